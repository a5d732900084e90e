"""Copies among the videos of a root."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from rmset.errors import RmsetError
from rmset.parts.fingerprint import Fingerprint, is_empty
from rmset.parts.twins import Twin, twin
from rmset.progress import Progress, silent
from rmset.read.duplicates import VIDEOS, write_duplicates
from rmset.read.fingerprints import kept_fingerprint
from rmset.root import Root

LOCK = "duplicates"


@dataclass(frozen=True)
class VideoCopy:
    """A video that is a copy of another."""

    video_id: str
    of_video_id: str
    """the one with more pixels, else the longer one, else the first"""
    how: Twin


def find_videos(root: Root, left_out: list[str] | None = None, progress: Progress = silent) -> list[VideoCopy]:
    """Compare all videos, and write `duplicates.parquet`.

    Args:
        root: the data set.
        left_out: gets a line for each video that cannot be compared.
        progress: progress callback on videos and pairs.

    Raises:
        RootError: the root is not writable, or another process looks for duplicates.
    """
    with root.files.lock(LOCK):
        prints = _fingerprints(root, left_out, progress)
        pairs = list(combinations(sorted(prints, key=lambda v: _rank(root, v)), 2))
        found = []
        for done, (first, second) in enumerate(pairs):
            how = twin(prints[first], prints[second])
            if how is not None and how.is_copy:
                found.append(VideoCopy(second, first, how))
            progress("compare videos", done + 1, len(pairs))
        found.sort(key=lambda copy: (copy.video_id, copy.of_video_id))
        nothing = [None] * len(found)
        columns = {
            "video_id": [c.video_id for c in found], "person_id": nothing, "frame_idx": nothing,
            "of_video_id": [c.of_video_id for c in found], "of_person_id": nothing, "of_frame_idx": nothing,
            "difference": [1 - c.how.share for c in found], "edit": [str(c.how) for c in found],
        }  # fmt: skip
        with root.files.publish(VIDEOS) as path:
            write_duplicates(path, columns)
    return found


def _fingerprints(root: Root, left_out: list[str] | None, progress: Progress) -> dict[str, Fingerprint]:
    prints = {}
    ids = root.video_ids()
    for done, video_id in enumerate(ids):
        progress("fingerprints", done, len(ids))
        try:
            found = kept_fingerprint(root, video_id)
        except (RmsetError, OSError) as error:
            if left_out is not None:
                left_out.append(f"video {video_id} is left out: {error}")
            continue
        if not is_empty(found):
            prints[video_id] = found
    progress("fingerprints", len(ids), len(ids))
    return prints


def _rank(root: Root, video_id: str) -> tuple[int, float, str]:
    record = root.record(video_id)
    return -record.width * record.height, -record.duration_s, video_id
