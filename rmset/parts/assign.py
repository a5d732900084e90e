"""Which detection is whom: assignment of boxes to people, one box a person, optimal in every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.geometry import Boxes, as_boxes, iou
from rmset.records import Person


class Tracker(Protocol):
    """Gives names to the boxes of one segment, frame by frame."""

    def assign(self, boxes: Boxes) -> npt.NDArray[np.intp]:
        """For each person (P,), the row of the box (N, 4) that is theirs in this frame, or -1."""


def match(overlap: npt.NDArray[np.float32], least: float) -> npt.NDArray[np.intp]:
    """The one-to-one assignment with the greatest sum of IoU.

    Args:
        overlap: IoU of people (P) with boxes (N).
        least: pairs below this IoU are no pairs.

    Returns:
        (P,) row of each person's box, or -1.

    >>> match(np.array([[0.9, 0.8], [0.8, 0.0]], np.float32), 0.1).tolist()
    [1, 0]
    """
    from scipy.optimize import linear_sum_assignment

    result = np.full(overlap.shape[0], -1, dtype=np.intp)
    # Forbidden pairs count nothing, so that they never push a permitted one aside.
    people, boxes = linear_sum_assignment(np.where(overlap >= least, overlap, 0), maximize=True)
    allowed = overlap[people, boxes] >= least
    result[people[allowed]] = boxes[allowed]
    return result


class ReferenceTracker:
    """The paper's: a box belongs to the person whose *reference* box it overlaps most."""

    def __init__(self, people: Sequence[Person], least_iou: float) -> None:
        self._reference = as_boxes([p.box for p in people])
        self._least = least_iou

    def assign(self, boxes: Boxes) -> npt.NDArray[np.intp]:
        """For each person (P,), the row of the box (N, 4) that is theirs in this frame, or -1."""
        return match(iou(self._reference, boxes), self._least)


class PreviousTracker:
    """Ours: a box belongs to the person whose *last seen* box it overlaps most, so people may wander."""

    def __init__(self, people: Sequence[Person], least_iou: float) -> None:
        self._last = as_boxes([p.box for p in people]).copy()
        self._least = least_iou

    def assign(self, boxes: Boxes) -> npt.NDArray[np.intp]:
        """For each person (P,), the row of the box (N, 4) that is theirs in this frame, or -1."""
        rows = match(iou(self._last, boxes), self._least)
        seen = rows >= 0
        self._last[seen] = boxes[rows[seen]]
        return rows


TRACKERS: dict[str, Callable[[Sequence[Person], float], Tracker]] = {
    "reference": ReferenceTracker,
    "previous": PreviousTracker,
}


def tracker(name: str, people: Sequence[Person], least_iou: float) -> Tracker:
    """Make the tracker of this name.

    Raises:
        UsageError: unknown name.
    """
    if name not in TRACKERS:
        raise UsageError(f"assignment {name!r}: unknown; expected one of {', '.join(TRACKERS)}")
    return TRACKERS[name](people, least_iou)
