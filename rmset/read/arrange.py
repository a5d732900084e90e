"""Arrays of a pair sampler: participating rows in two orders, and possible anchors.

They are sorted video by video, so that memory does not grow with the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError, UsageError
from rmset.progress import Progress, silent
from rmset.read.crops import CropKeys

Rows = npt.NDArray[np.integer]
Unit = Literal["frames", "steps", "seconds"]


@dataclass(frozen=True)
class PairRule:
    """Rule for the candidates of an anchor."""

    d: float = 5
    """positives lie within ± this; the paper's d"""
    d_far: float = 30
    """negatives lie beyond ± this; the paper's d'"""
    unit: Unit = "steps"
    """unit of d and d_far; one step is one exported frame, as in the authors' code"""
    stride: int = 1
    """frames in one step"""
    same_segment: bool = False
    """whether positives must be in the anchor's segment: at a boundary the layout, and with it the time, may jump"""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.unit not in get_args(Unit):
            raise UsageError(f"pairs: expected a unit of {', '.join(get_args(Unit))}, found {self.unit!r}")
        if not (self.d >= 0 and self.d_far >= 0 and self.stride >= 1):
            raise UsageError(
                f"pairs: expected d >= 0, d_far >= 0 and stride >= 1, found {self.d}, {self.d_far}, {self.stride}"
            )

    @property
    def reach(self) -> tuple[float, float]:
        """Return d and d_far in frames, or in milliseconds if the unit is seconds."""
        factor = {"frames": 1, "steps": self.stride, "seconds": 1000}[self.unit]
        return self.d * factor, self.d_far * factor

    @property
    def clock(self) -> Literal["frame_idx", "time_ms"]:
        """Return the column for distances."""
        return "time_ms" if self.unit == "seconds" else "frame_idx"


@dataclass(frozen=True)
class PairArrays:
    """Rows by person and by moment. M of the root's N rows take part; V videos, T tracks."""

    row: Rows | None
    """(M,) crop row of each position, by (video, clock); None if position and row are the same"""
    by_person: Rows
    """(M,) positions by (video, person, clock)"""
    video_start: npt.NDArray[np.int64]
    """(V + 1,) position at which each video begins"""
    track: npt.NDArray[np.int64]
    """(T,) video · 2¹⁶ + person, ascending"""
    track_start: npt.NDArray[np.int64]
    """(T + 1,) position in `by_person` at which each track begins"""
    anchors: Rows
    """(A,) crop rows that have at least one candidate of each kind, ascending"""


def arrange(keys: CropKeys, rule: PairRule, rows: Rows | None = None, progress: Progress = silent) -> PairArrays:
    """Sort the participating rows and find the anchors.

    Args:
        keys: person and time of all N crops.
        rule: rule for candidates.
        rows: (M,) participating rows, ascending; None for all.
        progress: progress callback on videos.
    """
    clock = keys.time_ms if rule.clock == "time_ms" else keys.frame
    total = len(keys) if rows is None else len(rows)
    small = np.dtype(np.int32 if len(keys) < 2**31 else np.int64)
    videos = len(keys.video_ids)
    of_video = keys.video if rows is None else keys.video[rows]
    if total and np.any(np.diff(of_video) < 0):
        raise RootError("pairs: expected crops video by video, found them mixed; export the root again with --force")
    video_start = np.searchsorted(of_video, np.arange(videos + 1)).astype(np.int64)
    row = None if rows is None else np.asarray(rows, small)
    by_person = np.empty(total, small)
    tracks: list[int] = []
    track_rows: list[int] = []
    anchors = np.empty(total, small)
    found = 0
    for video in range(videos):
        low, high = int(video_start[video]), int(video_start[video + 1])
        if low == high:
            continue
        mine: slice | Rows = slice(low, high) if rows is None else rows[low:high]
        time, person = np.asarray(clock[mine]), np.asarray(keys.who[mine])
        segment = np.asarray(keys.segment[mine]) if rule.same_segment else None
        if np.any(np.diff(time) < 0):
            # Shards re-sorted by another tool: positions differ from rows.
            order = np.argsort(time, kind="stable")
            row = np.arange(total, dtype=small) if row is None else row
            row[low:high] = row[low:high][order]
            time, person = time[order], person[order]
            segment = segment[order] if segment is not None else None
        order = np.lexsort((time, person))
        by_person[low:high] = order + low
        people, first = np.unique(person[order], return_index=True)
        tracks += [(video << 16) + int(p) for p in people]
        track_rows += np.diff(first, append=high - low).tolist()
        possible: Rows = np.flatnonzero(_has_both(time, person, segment, order, first, rule)) + low
        # Rows of a later video are higher, so sorting within each sorts all.
        possible = possible if row is None else np.sort(row[possible])
        anchors[found : found + len(possible)] = possible
        found += len(possible)
        progress("index pairs", video + 1, videos)
    track_start = np.concatenate([[0], np.cumsum(track_rows)]).astype(np.int64)
    tracked = np.asarray(tracks, np.int64)
    return PairArrays(row, by_person, video_start, tracked, track_start, anchors[:found])


def _has_both(
    time: npt.NDArray,
    person: npt.NDArray,
    segment: npt.NDArray | None,
    order: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    rule: PairRule,
) -> npt.NDArray[np.bool_]:
    """Mask of faces (n,) of one video, by time, with at least one positive and one negative."""
    near, far = rule.reach
    # Positives: all faces nearby, minus the person's own; with same_segment, each segment counts as a video.
    group = np.zeros(len(time), np.int64) if segment is None else segment.astype(np.int64)
    everybody = _count(time, group, near)
    own = _count(time, group << 16 | person.astype(np.int64), near)
    # Only the two ends of a track decide whether something is far enough away.
    track_time = time[order]
    last = np.append(first[1:], len(time)) - 1
    lengths = last - first + 1
    has_far = np.empty(len(time), np.bool_)
    has_far[order] = (np.repeat(track_time[first], lengths) < track_time - far) | (
        np.repeat(track_time[last], lengths) > track_time + far
    )
    return np.asarray((everybody > own) & has_far)


def _count(time: npt.NDArray, group: npt.NDArray[np.int64], reach: float) -> npt.NDArray[np.int64]:
    """Count, for each face (n,), the faces of its group within ± reach."""
    order = np.lexsort((time, group))
    sorted_time, sorted_group = time[order], group[order]
    edges = np.flatnonzero(np.diff(sorted_group, prepend=sorted_group[:1] - 1, append=sorted_group[-1:] + 1))
    count = np.empty(len(time), np.int64)
    for low, high in pairwise(edges.tolist()):
        mine = sorted_time[low:high]
        right = np.searchsorted(mine, mine + reach, side="right")
        count[order[low:high]] = right - np.searchsorted(mine, mine - reach, side="left")
    return count
