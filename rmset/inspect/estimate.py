"""Estimated cost of a manifest: bytes, hours, crops."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmset.inspect.calibrate import Rates
from rmset.manifest import Entry
from rmset.records import url_video_id
from rmset.root import Root

# RMFER, section 3: 216 videos, 3.14 million frames, 3,485 people, 45.67 million crops.
PAPER_PEOPLE = 3485 / 216
PAPER_DURATION_S = 3.14e6 / 216 / 30
PAPER_COVERAGE = 45.67e6 / (3.14e6 * PAPER_PEOPLE)
FPS = 30.0
BITS_PER_PIXEL = 0.065
"""of H.264 video as platforms serve it, about 4 Mbit/s at 1080p30; ours"""


@dataclass(frozen=True)
class Estimate:
    """The cost of one manifest; hours are those of one worker."""

    videos: int
    videos_here: int
    """already in the root"""
    hours_of_video: float
    assumed_durations: int
    """videos of unknown length"""
    download_bytes: int
    """of the missing videos"""
    video_bytes: int
    frames: int
    people_per_video: float
    crops: int
    crop_bytes: int
    decode_hours: float
    """layout, tracking and export each decode; this is all of it"""
    track_hours: float
    export_hours: float
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        """Disk space still needed."""
        return self.download_bytes + self.crop_bytes

    @property
    def fits(self) -> bool:
        """Whether the disk has enough space."""
        return self.needed_bytes <= self.free_bytes


def estimate(
    root: Root,
    entries: Sequence[Entry],
    rates: Rates,
    *,
    min_height: int = 1080,
    people: float | None = None,
    track_stride: int = 1,
    stride: int = 1,
) -> Estimate:
    """Estimate the cost of fetching, tracking and exporting a manifest's videos.

    Lengths come from the root's records, else from the manifest, else from the mean of those known, else from the
    paper; people from the root's layouts, else from the paper.

    Args:
        root: data set; its videos and layouts replace estimates.
        entries: the manifest.
        rates: rates of this machine.
        min_height: px, if the manifest gives none.
        people: people per video; default: measured, else the paper's.
        track_stride: track every N-th frame.
        stride: export every N-th frame.
    """
    known = {record.video_id: record for record in root.records()}
    records = [known.get(_video_id(e)) or known.get(e.video) for e in entries]
    here = [r for r in records if r is not None]
    durations = [e.duration_s for e in entries if e.duration_s] + [v.duration_s for v in here]
    usual = sum(durations) / len(durations) if durations else PAPER_DURATION_S
    seconds, download, stored, decode, frames, assumed = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for entry, record in zip(entries, records, strict=True):
        duration = record.duration_s if record else entry.duration_s or usual
        assumed += record is None and entry.duration_s is None
        height = record.height if record else entry.min_height or min_height
        count = record.frame_count if record else duration * FPS
        size = record.bytes if record else duration * FPS * height * height * 16 / 9 * BITS_PER_PIXEL / 8
        seconds, stored, frames = seconds + duration, stored + size, frames + count
        download += 0 if record else size
        # Cost of decoding goes with the pixels; tracking and export each read every frame.
        decode += 2 * count / rates.decode_fps * (height / 1080) ** 2
    counted = _people(root)
    people = people or counted or PAPER_PEOPLE
    faces = frames / track_stride * people * PAPER_COVERAGE
    crops = frames / max(stride, track_stride) * people * PAPER_COVERAGE
    return Estimate(
        videos=len(entries),
        videos_here=len(here),
        hours_of_video=seconds / 3600,
        assumed_durations=assumed,
        download_bytes=round(download),
        video_bytes=round(stored),
        frames=round(frames),
        people_per_video=round(people, 1),
        crops=round(crops),
        crop_bytes=round(crops * rates.bytes_per_crop),
        decode_hours=decode / 3600,
        track_hours=(faces * rates.track_s_per_face + len(entries) * rates.per_video_s) / 3600,
        export_hours=crops * rates.export_s_per_crop / 3600,
        free_bytes=free_bytes(root.files.workspace()),
    )


def _video_id(entry: Entry) -> str:
    return entry.youtube_id or url_video_id(entry.url)


def _people(root: Root) -> float | None:
    """Mean number of people in the existing layouts."""
    counts = [max((len(s.people) for s in layout.segments), default=0) for layout in root.layouts()]
    return sum(counts) / len(counts) if counts else None


def free_bytes(path: Path) -> int:
    """Free space on the disk of the path, which may not exist yet."""
    while not path.exists():
        path = path.absolute().parent
    return shutil.disk_usage(path).free
