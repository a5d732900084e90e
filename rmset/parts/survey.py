"""One pass over a video: decode and number every frame, and record corrections that players apply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from re import fullmatch
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rmset.errors import VideoError
from rmset.parts.display import meant, squared
from rmset.parts.numbering import FrameIndex
from rmset.parts.remarks import cut_short, fault_of, notes_of
from rmset.parts.seek import decoded, drained, start_decoder
from rmset.parts.seen import Seen
from rmset.parts.stream import open_video
from rmset.parts.times import shown_at
from rmset.progress import Progress, silent

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    Video = tuple[InputContainer, VideoStream]

# Decoders that can start at a key frame; others may need pictures before it (GIF).
_BEGIN_AT_KEYS = {
    "h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4",
    "h263", "ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "flv",
    "wmv1", "wmv2", "vc1", "theora", "mjpeg", "prores", "dnxhd",
}  # fmt: skip
# Decoders that can skip unreferenced frames.
_LEAVE_OUT = {"h264", "hevc", "mpeg1video", "mpeg2video"}
# Containers whose time may restart.
_RESTARTS = {"mpegts", "mpeg"}
# The container's rate is used if it differs from the rate of its frames' times by at most this factor.
_SAME_RATE = 1.5


def survey(path: Path, threads: int = 0, most: int | None = None, progress: Progress = silent) -> FrameIndex:
    """Decode a video once and note every frame.

    Args:
        path: the file.
        threads: decoder threads; 0: one per core.
        most: number of frames needed; the index may end after them.
        progress: called every hundred frames.

    Raises:
        VideoError: the file is missing, empty, not a video, rotated by other than multiples of 90°, or undecodable.
    """
    container, stream = open_video(path)
    with container:
        promised, listed, name = stream.frames, len(stream.index_entries), container.format.name
        length = _seconds(stream.metadata.get("DURATION", ""))
        total = promised or round(length * float(stream.average_rate or 0))
        seen = _look(
            path,
            (container, stream),
            threads,
            most,
            lambda frames: progress(f"probe {path.name}", frames, max(total, frames)),
        )
        base, rate = float(stream.time_base or 0), float(stream.average_rate or stream.guessed_rate or 0)
        codec, shape, others = stream.codec_context.name, stream.sample_aspect_ratio, len(container.streams.video) - 1
        notes = {"stream": f"stream {stream.index} is the video"} if others and stream.index else {}
    if not seen.packet:
        why = seen.stopped or (seen.errors[0][2] if seen.errors else "the stream is empty")
        raise VideoError(f"{path}: no frame can be decoded ({why}); fetch it again")
    if most is not None:
        length, promised = 0.0, 0
    elif name == "avi":
        # It counts repeated pictures.
        length, promised = promised * base, 0
    elif listed:
        # An edit list hides frames from the file's list, not from its count.
        promised = min(promised, listed)
    # Matroska counts its length from 0, wherever the first frame is.
    late = max(0.0, (min((p for p in seen.pts if p is not None), default=0)) * base) if length else 0.0
    order = [max(0, p) for p in seen.packet]
    times = shown_at(order, seen.pts, seen.dts, base, rate, restarts=name in _RESTARTS)
    if times.source == "rate" and len(order) > 1:
        raise VideoError(
            f"{path}: expected a container that keeps times, found a bare stream; "
            f"`ffmpeg -i {path.name} -c copy x.mkv` makes one"
        )
    stored, turn = squared(seen.sizes[0][1], shape), seen.turns[0][1]
    fault = cut_short(seen, times, promised, length, late) or fault_of(seen, times)
    return FrameIndex(
        time_ms=times.ms,
        packet=np.array([0] * len(order) if min(seen.packet) < 0 else order, np.int32),
        stored=stored,
        shape=float(meant(shape)),
        turn=turn,
        codec=codec,
        fps=_rate(times.ms, rate),
        packets=len(seen.pts),
        key_frames=seen.key_frames() if codec in _BEGIN_AT_KEYS and not seen.is_counted else (),
        can_skip=codec in _LEAVE_OUT and seen.is_plain,
        one_thread=seen.one_thread,
        fault=fault,
        notes=notes | notes_of(seen, times, shape, stored),
    )


def _look(path: Path, first: Video, threads: int, most: int | None, progress: Callable[[int], None]) -> Seen:
    """Make one pass; after damage, repeat it in one thread, because only that is reproducible."""
    seen = _pass(path, first, most, threads, progress)
    if not seen.packet or most is not None or (seen.is_plain and not seen.incomplete and _ends_whole(path, seen)):
        return seen
    second = open_video(path)
    with second[0]:
        again = _pass(path, second, most, threads, progress, one_thread=True)
    again.one_thread = again.is_damaged or again.packet != seen.packet
    return again


def _ends_whole(path: Path, seen: Seen) -> bool:
    """Whether the last group of pictures decodes completely in one thread.

    Multi-threaded decoders do not always report damage, and truncated files have some at the end.
    """
    import av

    keys = seen.key_frames()
    if not keys:
        return True
    container, stream = open_video(path)
    with container:
        codec = stream.codec_context
        start_decoder(codec, one_thread=True)
        try:
            container.seek(keys[-1].seek, stream=stream, backward=True)
            for packet in container.demux(stream):
                frames, error = decoded(codec, packet, 0) if packet.size else drained(codec)
                if error is not None or any(frame.is_corrupt for frame in frames):
                    return False
        except av.error.FFmpegError:
            return False
    return True


def _pass(
    path: Path,
    video: Video,
    most: int | None,
    threads: int,
    progress: Callable[[int], None],
    *,
    one_thread: bool = False,
) -> Seen:
    container, stream = video
    # Without the loop filter, which does not affect which frames there are, decoding is faster.
    stream.codec_context.options = {"skip_loop_filter": "all"}
    start_decoder(stream.codec_context, threads, one_thread=one_thread)
    try:
        return Seen().look(container.demux(stream), stream, most, progress)
    except VideoError as error:
        raise VideoError(f"{path}: {error}") from error


def _rate(ms: npt.NDArray[np.float64], named: float) -> float:
    """Average frames per second: the container's value, if its frames agree."""
    measured = (len(ms) - 1) * 1000 / float(ms[-1]) if ms[-1] > 0 else 0.0
    if named <= 0 or (measured and not 1 / _SAME_RATE <= named / measured <= _SAME_RATE):
        return measured or 25.0
    return named


def _seconds(text: str) -> float:
    """Seconds of the video that Matroska and WebM, which count no frames, name in a tag; 0 where there is none."""
    found = fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    return sum(float(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0.0
