"""Probe of a video file: its metadata, and its actual content."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rmset.parts.numbering import VERSION, FrameIndex
from rmset.parts.survey import survey
from rmset.progress import Progress, silent

VIDEO_SUFFIXES = frozenset({
    ".264", ".265", ".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".hevc", ".ivf",
    ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf",
    ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m",
})  # fmt: skip
"""suffixes of videos in a folder; a file given directly is probed under any name"""


@dataclass(frozen=True)
class Probe:
    """Metadata of a video file, and its actual content."""

    width: int
    """px, as shown"""
    height: int
    fps: float
    """average"""
    frame_count: int
    """frames that a player shows"""
    duration_s: float
    codec: str
    fault: str | None
    """damage of a file whose frames can be read, one line; None if there is none"""
    notes: dict[str, str]
    """corrections that a player applies and a plain reader does not, by kind"""
    index: FrameIndex = field(repr=False)
    """where each frame is; kept beside the video's record"""

    def fields(self) -> dict[str, Any]:
        """Return what a video's record has of this."""
        names = ("width", "height", "fps", "frame_count", "duration_s", "codec", "fault", "notes")
        return {name: getattr(self, name) for name in names} | {"numbering": VERSION}


def probe(path: Path, progress: Progress = silent) -> Probe:
    """Size, rate, frames and codec of a video; it is decoded once from beginning to end.

    Raises:
        VideoError: the file is missing, empty, no video, or not even one frame can be decoded.
    """
    index = survey(path, progress=progress)
    return Probe(*index.size, index.fps, len(index), index.duration_s, index.codec, index.fault, index.notes, index)
