"""Selection of a file's video stream: the one that a player shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rmset.errors import VideoError
from rmset.parts.media import open_media

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def video_stream(container: InputContainer) -> VideoStream | None:
    """Choose the stream that a player shows: FFmpeg's best, never a cover or a thumbnail; None without video."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails
    real = [s for s in container.streams.video if not s.disposition & still]
    best = container.streams.best("video")
    for stream in real:
        if best is not None and stream.index == best.index:
            return stream
    return max(real, key=lambda s: (bool(s.disposition & Disposition.default), s.bit_rate or 0, -s.index), default=None)


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open a file for reading; returns it and its video stream. The caller closes the file.

    Raises:
        VideoError: the file is missing, empty, has no video, or no decoder is available.
    """
    import av

    container = open_media(path)
    # No generated times: AVI has none, and its frames would be shown out of order.
    container.flags &= ~av.container.Flags.gen_pts.value  # type: ignore[operator]  # an int, though typed otherwise
    stream = video_stream(container)
    has_decoder: bool = stream is not None and bool(stream.codec_context)
    if stream is not None and has_decoder:
        return container, stream
    if stream is not None:
        found = "one in a codec that cannot be decoded here; convert it to H.264"
    elif container.streams.video:
        found = "sound with a picture; give a file with a video in it"
    else:
        found = "a file without a video stream"
    container.close()
    raise VideoError(f"{path}: expected a video, found {found}")


def rate_of(path: Path) -> float:
    """Average frames per second stated by the file; 30 if none.

    Raises:
        VideoError: the file is missing, empty, or no video.
    """
    container, stream = open_video(path)
    with container:
        return float(stream.average_rate or stream.guessed_rate or 30)
