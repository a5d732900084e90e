"""Whether a downloaded file is the video that was promised."""

from __future__ import annotations

from pathlib import Path

from rmset.errors import FetchError, VideoError
from rmset.parts.media import cause
from rmset.parts.probe import Probe, probe
from rmset.parts.stream import open_video
from rmset.stages.fetch.bounds import check_bytes
from rmset.stages.fetch.causes import Cause

TOLERANCE = 0.01
ROUNDING_S = 1.0
"""hosts tell durations in whole seconds"""


def check(
    path: Path,
    *,
    min_height: int = 0,
    promised: dict[str, float | None] | None = None,
    max_bytes: int | None = None,
) -> Probe:
    """Probe a file: it opens, is whole and tall enough, is as long as promised, and every key frame decodes.

    Args:
        path: the file.
        min_height: px, after rotation.
        promised: who promised -> duration, s.
        max_bytes: what the user set, if anything.

    Raises:
        FetchError: something is not as it should be.
    """
    try:
        found = probe(path)
        if found.fault:
            raise FetchError(found.fault, Cause.BROKEN)
        if found.height < min_height:
            raise FetchError(f"the video has {found.height} px, expected {min_height}", Cause.TOO_SMALL)
        for who, duration in (promised or {}).items():
            if duration and abs(found.duration_s - duration) > max(ROUNDING_S, TOLERANCE * duration):
                raise FetchError(f"{who} promised {duration:g} s, the file has {found.duration_s:.2f} s", Cause.BROKEN)
        check_bytes(path.stat().st_size, found.duration_s, max_bytes)
        decode_key_frames(path)
    except VideoError as error:
        # The path of a partial download is of no use in the message.
        raise FetchError(str(error).replace(f"{path}: ", ""), Cause.BROKEN) from error
    return found


def decode_key_frames(path: Path) -> int:
    """Decode every key frame and nothing else; return how many there are.

    Raises:
        FetchError: one of them cannot be decoded, or there is none.
    """
    import av

    count = 0
    try:
        container, stream = open_video(path)
        with container:
            stream.thread_type = "AUTO"
            stream.codec_context.skip_frame = "NONKEY"
            # Decoders conceal damage by default.
            stream.codec_context.options = {"err_detect": "explode"}
            for frame in container.decode(stream):
                count += 1
                if frame.is_corrupt:
                    raise FetchError(f"key frame {count} at {float(frame.time or 0):.2f} s is damaged", Cause.BROKEN)
    except av.error.FFmpegError as error:
        raise FetchError(f"key frame {count + 1} does not decode: {cause(error)}", Cause.BROKEN) from error
    if not count:
        raise FetchError("no key frame decodes", Cause.BROKEN)
    return count
