"""HOTA, IDF1, MOTA and their components, computed by trackeval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.geometry import Boxes, area, as_boxes, intersection, iou

# A box matches the visible part of a cut face if it covers this share of it and is at most this many times larger.
_HOLDS, _LARGER = 0.8, 8.0


@dataclass(frozen=True)
class Boxed:
    """Boxes with names, by frame. N boxes in all."""

    frame: npt.NDArray[np.int64]
    """(N,)"""
    name: npt.NDArray[np.int64]
    """(N,) person"""
    boxes: Boxes
    """(N, 4) xyxy px"""

    @classmethod
    def of(cls, frame: npt.NDArray[Any], name: npt.NDArray[Any], boxes: npt.NDArray[Any]) -> Boxed:
        """Boxes in any order."""
        order = np.argsort(frame, kind="stable")
        return cls(frame[order].astype(np.int64), name[order].astype(np.int64), as_boxes(boxes)[order])

    def at(self, frame: int) -> tuple[npt.NDArray[np.int64], Boxes]:
        """Names and boxes of one frame; `frame` is ascending."""
        low, high = np.searchsorted(self.frame, [frame, frame + 1])
        return self.name[low:high], self.boxes[low:high]


@dataclass(frozen=True)
class TrackScores:
    """Scores of tracks, 0 to 1 where not counted."""

    hota: float
    deta: float
    assa: float
    loca: float
    idf1: float
    mota: float
    id_switches: int
    recall: float
    """share of true boxes matched at IoU >= 0.5"""
    precision: float
    mean_iou: float
    """of the matched boxes"""
    truth_boxes: int
    boxes: int
    ignored_boxes: int
    """boxes on faces that are cut; not scored"""


@dataclass(frozen=True)
class Counted:
    """Counts of trackeval for one video or several."""

    hota: dict[str, Any]
    clear: dict[str, Any]
    identity: dict[str, Any]
    truth_boxes: int
    boxes: int
    ignored_boxes: int

    @property
    def scores(self) -> TrackScores:
        """Compute scores from the counts."""
        return TrackScores(
            hota=float(np.mean(self.hota["HOTA"])),
            deta=float(np.mean(self.hota["DetA"])),
            assa=float(np.mean(self.hota["AssA"])),
            loca=float(np.mean(self.hota["LocA"])),
            idf1=float(self.identity["IDF1"]),
            mota=float(self.clear["MOTA"]),
            id_switches=int(self.clear["IDSW"]),
            recall=float(self.clear["CLR_Re"]),
            precision=float(self.clear["CLR_Pr"]),
            mean_iou=float(self.clear["MOTP"]),
            truth_boxes=self.truth_boxes,
            boxes=self.boxes,
            ignored_boxes=self.ignored_boxes,
        )


def tracks(truth: Boxed, found: Boxed, ignored: Boxed) -> TrackScores:
    """Score found boxes against true ones, over all frames that either has.

    Args:
        truth: required faces.
        found: faces found.
        ignored: optional faces.
    """
    return count(truth, found, ignored).scores


def count(truth: Boxed, found: Boxed, ignored: Boxed) -> Counted:
    """Return the counts behind `tracks`, so that videos can be summed."""
    data, left_out = _sequence(truth, found, ignored)
    hota, clear, identity = _metrics()
    return Counted(
        hota.eval_sequence(data),
        clear.eval_sequence(data),
        identity.eval_sequence(data),
        int(data["num_gt_dets"]),
        int(data["num_tracker_dets"]),
        left_out,
    )


def together(videos: Sequence[Counted]) -> Counted:
    """Sum the counts of several videos, as trackeval does, so long videos weigh more."""
    hota, clear, identity = _metrics()

    def named(part: str) -> dict[int, dict[str, Any]]:
        return {i: getattr(video, part) for i, video in enumerate(videos)}

    return Counted(
        hota.combine_sequences(named("hota")),
        clear.combine_sequences(named("clear")),
        identity.combine_sequences(named("identity")),
        sum(v.truth_boxes for v in videos),
        sum(v.boxes for v in videos),
        sum(v.ignored_boxes for v in videos),
    )


def _metrics() -> tuple[Any, Any, Any]:
    # trackeval names its results without types; it is imported here because it costs half a second.
    from trackeval.metrics import CLEAR, HOTA, Identity

    quiet = {"PRINT_CONFIG": False}
    return HOTA(), CLEAR(quiet), Identity(quiet)


def _sequence(truth: Boxed, found: Boxed, ignored: Boxed) -> tuple[dict, int]:
    """Return the frames in trackeval's format, and the number of boxes on ignored faces."""
    true_names, found_names = np.unique(truth.name), np.unique(found.name)
    gt_ids, tracker_ids, similarities = [], [], []
    left_out = 0
    for frame in np.union1d(truth.frame, found.frame):
        names, boxes = truth.at(int(frame))
        theirs, their_boxes = found.at(int(frame))
        _, may = ignored.at(int(frame))
        similarity = iou(boxes, their_boxes)
        if len(may) and len(theirs):
            elsewhere = similarity.max(axis=0, initial=0) < 0.5
            on_it = iou(may, their_boxes) >= 0.5
            # Detectors extrapolate cut faces: their box covers the visible part, and more.
            shown = intersection(may, their_boxes) / np.maximum(area(may), 1)[:, None]
            on_it |= (shown >= _HOLDS) & (area(their_boxes)[None] <= _LARGER * area(may)[:, None])
            drop = elsewhere & on_it.any(axis=0)
            theirs, similarity = theirs[~drop], similarity[:, ~drop]
            left_out += int(drop.sum())
        gt_ids.append(np.searchsorted(true_names, names))
        tracker_ids.append(np.searchsorted(found_names, theirs))
        similarities.append(similarity.astype(np.float64))
    data = {
        "num_timesteps": len(gt_ids),
        "num_gt_ids": len(true_names),
        "num_tracker_ids": len(found_names),
        "num_gt_dets": sum(map(len, gt_ids)),
        "num_tracker_dets": sum(map(len, tracker_ids)),
        "gt_ids": gt_ids,
        "tracker_ids": tracker_ids,
        "similarity_scores": similarities,
    }
    return data, left_out
