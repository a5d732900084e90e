"""Assignment of boxes to people: one box per person, optimal in every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.geometry import as_boxes, iou
from rmset.layout_record import Person
from rmset.parts.detect import Detections

Rows = npt.NDArray[np.intp]


class Tracker(Protocol):
    """Assigns the faces of one segment to people, frame by frame."""

    def assign(self, faces: Detections) -> Rows:
        """For each person (P,), the row of the face that is theirs in this frame, or -1."""


def match(overlap: npt.NDArray[np.float32], least: float) -> Rows:
    """Return the one-to-one assignment with the greatest sum of IoU.

    Args:
        overlap: IoU of people (P) with boxes (N).
        least: smallest IoU of a pair.

    Returns:
        (P,) row of each person's box, or -1.

    >>> match(np.array([[0.9, 0.8], [0.8, 0.0]], np.float32), 0.1).tolist()
    [1, 0]
    """
    result = np.full(overlap.shape[0], -1, dtype=np.intp)
    pairs = (overlap >= least) & (overlap > 0)
    if (pairs.sum(axis=0) <= 1).all() and (pairs.sum(axis=1) <= 1).all():
        # No two compete, as in nearly all frames; importing SciPy's optimizers takes a quarter of a second.
        people, boxes = np.nonzero(pairs)
        result[people] = boxes
        return result
    from scipy.optimize import linear_sum_assignment

    # Forbidden pairs have weight 0, so that they never displace a permitted one.
    people, boxes = linear_sum_assignment(np.where(overlap >= least, overlap, 0), maximize=True)
    allowed = (overlap[people, boxes] >= least) & (overlap[people, boxes] > 0)
    result[people[allowed]] = boxes[allowed]
    return result


class ReferenceTracker:
    """The paper's: a box belongs to the person whose *reference* box it overlaps most."""

    def __init__(self, people: Sequence[Person], least_iou: float) -> None:
        self._reference = as_boxes([p.box for p in people])
        self._least = least_iou

    def assign(self, faces: Detections) -> Rows:
        """For each person (P,), the row of the face that is theirs in this frame, or -1."""
        return match(iou(self._reference, faces.boxes), self._least)


class PreviousTracker:
    """Ours: a box belongs to the person whose *last seen* box it overlaps most, so people may wander."""

    def __init__(self, people: Sequence[Person], least_iou: float) -> None:
        self._last = as_boxes([p.box for p in people]).copy()
        self._least = least_iou

    def assign(self, faces: Detections) -> Rows:
        """For each person (P,), the row of the face that is theirs in this frame, or -1."""
        rows = match(iou(self._last, faces.boxes), self._least)
        seen = rows >= 0
        self._last[seen] = faces.boxes[rows[seen]]
        return rows


class ByteTrackTracker:
    """ByteTrack (Zhang et al., 2022) from the package `trackers`.

    ByteTrack identifies tracks, not people: a track that begins on a person's last box is theirs until it ends.
    """

    def __init__(self, people: Sequence[Person], least_iou: float) -> None:
        try:
            import supervision
            import trackers
        except ImportError as error:
            raise UsageError(f"--assign bytetrack: needs {error.name}; `pip install 'rmset[bytetrack]'`") from error
        self._detections = supervision.Detections
        self._tracks = trackers.ByteTrackTracker(minimum_consecutive_frames=1)
        self._last = as_boxes([p.box for p in people]).copy()
        self._least = least_iou
        self._owner: dict[int, int] = {}

    def assign(self, faces: Detections) -> Rows:
        """For each person (P,), the row of the face that is theirs in this frame, or -1."""
        rows = np.full(len(self._last), -1, dtype=np.intp)
        # Rows are passed as class ids, because ByteTrack reorders its input.
        found = self._tracks.update(
            self._detections(xyxy=faces.boxes, confidence=faces.scores, class_id=np.arange(len(faces)))
        )
        pairs = zip(found.tracker_id.tolist(), found.class_id.tolist(), strict=True) if len(found) else ()
        row_of = {track: row for track, row in pairs if track >= 0}
        for track, row in row_of.items():
            if track in self._owner:
                rows[self._owner[track]] = row
        free_people = np.flatnonzero(rows < 0)
        free_tracks = [t for t in row_of if t not in self._owner]
        if len(free_people) and free_tracks:
            boxes = as_boxes(faces.boxes[[row_of[t] for t in free_tracks]])
            columns = match(iou(self._last[free_people], boxes), self._least)
            for person, column in zip(free_people, columns, strict=True):
                if column >= 0:
                    self._owner[free_tracks[column]] = int(person)
                    rows[person] = row_of[free_tracks[column]]
        seen = rows >= 0
        self._last[seen] = faces.boxes[rows[seen]]
        return rows


TRACKERS: dict[str, Callable[[Sequence[Person], float], Tracker]] = {
    "reference": ReferenceTracker,
    "previous": PreviousTracker,
    "bytetrack": ByteTrackTracker,
}


def tracker(name: str, people: Sequence[Person], least_iou: float) -> Tracker:
    """Make the tracker of this name.

    Raises:
        UsageError: unknown name, or a package that it needs is missing.
    """
    if name not in TRACKERS:
        raise UsageError(f"assignment {name!r}: unknown; expected one of {', '.join(TRACKERS)}")
    return TRACKERS[name](people, least_iou)
