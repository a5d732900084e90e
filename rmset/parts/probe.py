"""What a video file says of itself, and what is really in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rmset.parts.frames import VideoReader

# The last picture may be held for so long, seconds and share of the video: what ends earlier was cut short.
_HELD_S, _HELD = 2.0, 0.02


@dataclass(frozen=True)
class Probe:
    """What a video file says of itself, and what is really in it."""

    width: int
    height: int
    fps: float
    frame_count: int
    duration_s: float
    codec: str
    fault: str | None
    """what is wrong although frames can be read, one line"""


def probe(path: Path) -> Probe:
    """Size, rate, frames and codec of a video, read from the file's packets; its first frame is decoded.

    Raises:
        VideoError: the file is missing, empty, no video, or not even its first frame can be decoded.
    """
    with VideoReader(path) as reader:
        stream, promised = reader.stream, reader.stream.frames
        times = reader.timestamps()
        fault = reader.fault
        if promised and reader.packets < promised:
            fault = f"cut short: {reader.packets} of {promised} frames are in the file"
        base = float(stream.time_base or 0)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        length, end = _promised_s(stream.metadata), (times[-1] if times else 0) * base
        if not fault and length - end > max(_HELD_S, _HELD * length):
            fault = f"cut short: {end:.1f} of {length:.1f} s are in the file"
    with VideoReader(path) as reader:
        first = next(reader.frames(stop=1)).rgb
        codec = reader.stream.codec_context.name
    span = (times[-1] - times[0]) * base if len(times) > 1 else 0.0
    if rate <= 0:
        rate = (len(times) - 1) / span if span > 0 else 25.0
    return Probe(first.shape[1], first.shape[0], rate, len(times), span + 1 / rate, codec, fault)


def _promised_s(tags: Mapping[str, str]) -> float:
    """Seconds of the video that Matroska and WebM, which count no frames, name in a tag; 0 where there is none."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tags.get("DURATION", ""))
    return sum(float(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0.0
