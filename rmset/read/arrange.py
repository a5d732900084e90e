"""Arrays of a pair sampler: participating rows in two orders, and possible anchors.

Candidates never leave a video, so each video is arranged by itself, with numbers that count from 0 in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.read.columns import Column, OwnOrPlace, Parted, Places, Rows, as_column
from rmset.read.crops import CropKeys

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
    """Rows by person and by moment. M of the root's N rows take part; V videos, T tracks.

    Positions count all videos one after another, 0 to M - 1.
    """

    video_start: Places
    """(V + 1,) position at which each video begins"""
    row: Column | None
    """(M,) crop row of each position, by (video, clock), counted within its video; None if that is the position"""
    by_person: Column
    """(M,) positions, counted within their video, by (video, person, clock)"""
    track: npt.NDArray[np.int64]
    """(T,) video · 2¹⁶ + person, ascending"""
    track_start: npt.NDArray[np.int64]
    """(T + 1,) position in `by_person` at which each track begins"""
    anchors: Column
    """(A,) crop rows that have at least one candidate of each kind, ascending"""


@dataclass(frozen=True)
class VideoPairs:
    """The arrays of one video; n of its rows take part, all numbers count from 0 in it."""

    by_person: npt.NDArray[np.int32]
    """(n,) positions by (person, clock)"""
    row: npt.NDArray[np.int32] | None
    """(n,) row of each position, by clock; None if that is the position"""
    anchors: npt.NDArray[np.int32]
    """rows with candidates of both kinds, ascending"""
    person: npt.NDArray[np.int32]
    """(t,) person of each track, ascending"""
    track_start: npt.NDArray[np.int32]
    """(t,) place in `by_person` at which each track begins"""

    @property
    def columns(self) -> dict[str, npt.NDArray[np.int32]]:
        """Arrays by name."""
        return {name: values for name, values in vars(self).items() if values is not None}


def arrange(keys: CropKeys, rule: PairRule, rows: Rows | None = None, progress: Progress = silent) -> PairArrays:
    """Sort the participating rows and find the anchors.

    Args:
        keys: person and time of all N crops.
        rule: rule for candidates.
        rows: (M,) participating rows, ascending; None for all.
        progress: progress callback on videos.

    Raises:
        RootError: the rows of a video are not consecutive.
    """
    found = []
    for video in range(len(keys.video_ids)):
        found.append(arrange_video(keys, rule, video, rows))
        progress("index pairs", video + 1, len(keys.video_ids))

    def joined(name: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """One column of all videos, and the length of each."""
        each = [video.columns.get(name, np.empty(0, np.int32)) for video in found]
        return np.concatenate([np.empty(0, np.int32), *each]), np.array([len(values) for values in each], np.int64)

    return put_together(keys, {name: (*joined(name), None) for name in VIDEO_COLUMNS})


VIDEO_COLUMNS = ("by_person", "row", "anchors", "person", "track_start")
Joined = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64] | None]
"""array with the values of all videos, length of each video's, and where they begin (None: one after another)"""


def put_together(keys: CropKeys, columns: Mapping[str, Joined]) -> PairArrays:
    """Return the arrays of all videos as one.

    Args:
        keys: person and time of all crops.
        columns: arrays of `VideoPairs`, by name.
    """
    ends = {name: np.concatenate([[0], np.cumsum(length)]).astype(np.int64) for name, (_, length, _) in columns.items()}
    starts = {name: ends[name][:-1] if start is None else start for name, (_, _, start) in columns.items()}
    taking = columns["by_person"][1]

    def column(name: str, add: npt.NDArray[np.int64] | None = None) -> Parted:
        return Parted(columns[name][0], starts[name], ends[name], add)

    own = columns["row"][1] > 0
    row = OwnOrPlace(columns["row"][0], starts["row"], ends["by_person"], own) if own.any() else None
    video = np.repeat(np.arange(len(taking)), columns["person"][1])
    return PairArrays(
        ends["by_person"], row, column("by_person"), (video << 16) + column("person").whole(),
        np.append(column("track_start").whole() + ends["by_person"][video], ends["by_person"][-1]),
        column("anchors", keys.starts[:-1]),
    )  # fmt: skip


def arrange_video(keys: CropKeys, rule: PairRule, video: int, rows: Rows | None = None) -> VideoPairs:
    """Sort the participating rows of one video and find its anchors.

    Args:
        keys: person and time of all N crops.
        rule: rule for candidates.
        video: position in `keys.video_ids`.
        rows: participating rows of all videos, ascending; None for all.
    """
    low, high = keys.starts[video : video + 2].tolist()
    mine = np.arange(low, high)
    if rows is not None:
        mine = np.asarray(rows[slice(*np.searchsorted(rows, [low, high]))], np.int64)
    row = (mine - low).astype(np.int32) if len(mine) < high - low else None

    def values(column: npt.NDArray | Column) -> npt.NDArray:
        return as_column(column).take(mine, np.array([video]))

    time, person = values(keys.time_ms if rule.clock == "time_ms" else keys.frame), values(keys.who)
    segment = values(keys.segment) if rule.same_segment else None
    if np.any(np.diff(time) < 0):
        # Shards re-sorted by another tool: positions differ from rows.
        order = np.argsort(time, kind="stable")
        row = order.astype(np.int32) if row is None else row[order]
        time, person = time[order], person[order]
        segment = segment[order] if segment is not None else None
    # By person and time, as times ascend already; a stable sort of small numbers takes linear time.
    by_person = np.argsort(person, kind="stable")
    first = _edges(person[by_person])
    possible = np.flatnonzero(_has_both(time, segment, by_person, first, rule))
    anchors = possible.astype(np.int32) if row is None else np.sort(row[possible])
    return VideoPairs(
        by_person.astype(np.int32), row, anchors, person[by_person[first]].astype(np.int32), first.astype(np.int32)
    )


def _edges(ascending: npt.NDArray) -> npt.NDArray[np.int64]:
    """Return the place of the first of each group of equal values."""
    changes = np.flatnonzero(ascending[1:] != ascending[:-1]) + 1
    return np.concatenate([np.zeros(min(len(ascending), 1), np.int64), changes])


def _has_both(
    time: npt.NDArray,
    segment: npt.NDArray | None,
    by_person: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    rule: PairRule,
) -> npt.NDArray[np.bool_]:
    """Mask of faces (n,) of one video, by time, with at least one positive and one negative.

    Args:
        time: (n,) ascending.
        segment: (n,) segments, if positives have to be in the anchor's.
        by_person: (n,) faces by person and time.
        first: (t,) place in `by_person` at which each person begins.
        rule: rule for candidates.
    """
    if not len(time):
        return np.zeros(0, np.bool_)
    near, far = rule.reach
    # Positives: all faces nearby, minus the person's own; with same_segment, each segment counts as a video.
    if segment is None:
        everybody = _count(time, np.arange(len(time)), first[:1], near)
        own = _count(time, by_person, first, near)
    else:
        by_segment = np.argsort(segment, kind="stable")
        everybody = _count(time, by_segment, _edges(segment[by_segment]), near)
        of = np.repeat(np.arange(len(first)), np.diff(first, append=len(time)))
        order = np.lexsort((of, segment[by_person]))
        own_edges = _edges(segment[by_person[order]].astype(np.int64) << 32 | of[order])
        own = _count(time, by_person[order], own_edges, near)
    # Only the two ends of a track decide whether something is far enough away.
    track_time = time[by_person]
    last = np.append(first[1:], len(time)) - 1
    lengths = last - first + 1
    has_far = np.empty(len(time), np.bool_)
    has_far[by_person] = (np.repeat(track_time[first], lengths) < track_time - far) | (
        np.repeat(track_time[last], lengths) > track_time + far
    )
    return np.asarray((everybody > own) & has_far)


def _count(
    time: npt.NDArray, order: npt.NDArray[np.int64], first: npt.NDArray[np.int64], reach: float
) -> npt.NDArray[np.int64]:
    """Count, for each face (n,), the faces of its group within ± reach.

    Args:
        time: (n,) times.
        order: (n,) faces by group and time.
        first: place in `order` at which each group begins.
        reach: distance in time.
    """
    ordered = time[order]
    count = np.empty(len(time), np.int64)
    for low, high in pairwise([*first.tolist(), len(time)]):
        mine = ordered[low:high]
        right = np.searchsorted(mine, mine + reach, side="right")
        count[order[low:high]] = right - np.searchsorted(mine, mine - reach, side="left")
    return count
