"""Copy a video's packets into an MP4 or Matroska file, whole or in part, without re-encoding.

This uses PyAV, because yt-dlp would run the program ffmpeg, which opens its own connections without regard to the pace.
"""

from __future__ import annotations

from pathlib import Path

from rmset.errors import FetchError, VideoError
from rmset.parts.media import create_media, open_media
from rmset.parts.stream import open_video, video_stream
from rmset.stages.fetch.causes import Cause

_SUFFIXES = {"mov,mp4,m4a,3gp,3g2,mj2": ".mp4", "matroska,webm": ".mkv", "avi": ".avi", "mpegts": ".ts", "mpeg": ".mpg"}


def suffix_of(path: Path) -> str:
    """Return the suffix for the content of a file, independent of its host's name for it.

    Raises:
        FetchError: it is not a video.
    """
    try:
        with open_media(path) as container:
            stream = video_stream(container)
            if stream is None:
                raise FetchError("the file has no video stream", Cause.NO_VIDEO)
            codec, form = stream.codec_context.name, container.format.name
    except VideoError as error:
        raise FetchError(str(error).replace(f"{path}: ", ""), Cause.BROKEN) from error
    if form == "matroska,webm" and codec in ("vp8", "vp9", "av1", "libdav1d"):
        return ".webm"
    return _SUFFIXES.get(form, ".mkv")


def copy(source: Path, target: Path, section: tuple[float, float | None] | None = None, audio: bool = True) -> None:
    """Copy packets from the key frame at or before the start of the section up to its end.

    Args:
        source: any video file.
        target: its suffix decides the container.
        section: `[from, to)`, s; None copies all.
        audio: whether sound is copied too.

    Raises:
        FetchError: the container cannot hold the streams, or the section lies behind the end.
    """
    import av

    try:
        with open_media(source) as read, create_media(target) as out:
            if (video := video_stream(read)) is None:
                raise FetchError("the file has no video stream", Cause.NO_VIDEO)
            streams = [video, *(read.streams.audio[:1] if audio else [])]
            outputs = {s.index: out.add_stream_from_template(s) for s in streams}
            origin = float((video.start_time or 0) * (video.time_base or 0))
            first = None if section is None else _key_frame_before(source, section[0] + origin)
            end = None if section is None or section[1] is None else section[1] + origin
            copied = 0
            for packet in read.demux(*streams):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                if first is not None and float(packet.pts * packet.time_base) < first:
                    continue
                # Up to the end in decoding order: a frame shown before the end may depend on one shown after it.
                if end is not None and float(packet.dts * packet.time_base) >= end:
                    continue
                shift = round((first or 0.0) / float(packet.time_base))
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                copied += packet.stream.index == video.index
                packet.stream = outputs[packet.stream.index]
                out.mux(packet)
    except (av.error.FFmpegError, VideoError, ValueError) as error:
        raise FetchError(f"cannot be copied into {target.suffix}: {str(error).lower()}", Cause.BROKEN) from error
    if not copied:
        raise FetchError(f"the section {section} lies behind the end of the video", Cause.BROKEN)


def _key_frame_before(path: Path, time_s: float) -> float:
    """Time of the last key frame at or before a moment, s; of the first one if there is none before."""
    found: float | None = None
    container, stream = open_video(path)
    with container:
        for packet in container.demux(stream):
            if packet.is_keyframe and packet.pts is not None:
                at = float(packet.pts * (packet.time_base or 0))
                if found is not None and at > time_s + 1e-6:
                    break
                found = at
    return found or 0.0
