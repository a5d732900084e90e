"""How good the tracks, the layout and the mask are, against a truth file: HOTA, IDF1, MOTA and what they hide.

The tracking scores are trackeval's own. Faces that their panel cuts by more than a tenth are ignored regions: finding
them is neither right nor wrong.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.geometry import Boxes, as_boxes, covered, iou
from rmset.parts.shards import read_faces
from rmset.records import Layout
from rmset.store import Root
from rmset.truth import Truth

_VISIBLE = 0.9


@dataclass(frozen=True)
class Boxed:
    """Boxes with names, by frame. N boxes in all."""

    frame: npt.NDArray[np.int64]
    """(N,)"""
    name: npt.NDArray[np.int64]
    """(N,) person"""
    boxes: Boxes
    """(N, 4) xyxy px"""

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


def tracks(truth: Boxed, found: Boxed, ignored: Boxed) -> TrackScores:
    """Score found boxes against true ones, over all frames that either has.

    Args:
        truth: faces that must be found.
        found: faces that were found.
        ignored: faces that may be found.
    """
    data, left_out = _sequence(truth, found, ignored)
    # trackeval names its results without types; it is imported here because it costs half a second.
    from trackeval.metrics import CLEAR, HOTA, Identity

    quiet = {"PRINT_CONFIG": False}
    hota, clear = HOTA().eval_sequence(data), CLEAR(quiet).eval_sequence(data)
    identity = Identity(quiet).eval_sequence(data)
    return TrackScores(
        hota=float(np.mean(hota["HOTA"])),
        deta=float(np.mean(hota["DetA"])),
        assa=float(np.mean(hota["AssA"])),
        loca=float(np.mean(hota["LocA"])),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        id_switches=int(clear["IDSW"]),
        recall=float(clear["CLR_Re"]),
        precision=float(clear["CLR_Pr"]),
        mean_iou=float(clear["MOTP"]),
        truth_boxes=int(data["num_gt_dets"]),
        boxes=int(data["num_tracker_dets"]),
        ignored_boxes=left_out,
    )


def _sequence(truth: Boxed, found: Boxed, ignored: Boxed) -> tuple[dict, int]:
    """The frames as trackeval wants them, and how many boxes lie on ignored faces."""
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
            drop = elsewhere & (iou(may, their_boxes).max(axis=0, initial=0) >= 0.5)
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


@dataclass(frozen=True)
class MaskScores:
    """How well the layout's regions fit the true ones."""

    trigger_iou: float
    """IoU of the removed pixels with the true trigger pixels, over time; 1 where both are empty"""
    panels_masked: int
    """person panels of which more than a tenth is removed, over all segments"""
    boxes_in_trigger: int
    """face rows of which more than half lies in a true trigger region"""
    people_missed: int
    """people of the truth in whose panel nobody is named, over all segments"""


def mask(truth: Truth, layout: Layout, found: Boxed) -> MaskScores:
    """Score a layout and what it let through."""
    width, height = truth.frame_size
    shared = whole = 0.0
    masked, missed, leaked = set(), set(), 0
    for true in truth.segments:
        true_pixels = _painted([tuple(b) for b in true.trigger_regions], width, height)
        for ours in layout.segments:
            overlap = min(true.end_frame, ours.end_frame) - max(true.start_frame, ours.start_frame)
            if overlap <= 0:
                continue
            our_pixels = _painted([r.box for r in ours.trigger_regions], width, height)
            shared += float((true_pixels & our_pixels).sum()) * overlap
            whole += float((true_pixels | our_pixels).sum()) * overlap
            centres = [((p.box[0] + p.box[2]) / 2, (p.box[1] + p.box[3]) / 2) for p in ours.people]
            for person, panel in true.panels.items():
                if _share_painted(our_pixels, panel) > _share_painted(true_pixels, panel) + 0.1:
                    masked.add(person)
                if not any(panel[0] <= x < panel[2] and panel[1] <= y < panel[3] for x, y in centres):
                    missed.add(person)
        if true.trigger_regions:
            now = (found.frame >= true.start_frame) & (found.frame < true.end_frame)
            leaked += int((covered(found.boxes[now], as_boxes(true.trigger_regions)) > 0.5).sum())
    return MaskScores(shared / whole if whole else 1.0, len(masked), leaked, len(missed))


def _painted(boxes: list, width: int, height: int) -> npt.NDArray[np.bool_]:
    pixels = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        pixels[round(y0) : round(y1), round(x0) : round(x1)] = True
    return pixels


def _share_painted(painted: npt.NDArray[np.bool_], box: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = (round(v) for v in box)
    return float(painted[y0:y1, x0:x1].mean()) if x1 > x0 and y1 > y0 else 0.0


def video(root: Root, video_id: str, truth: Truth) -> dict[str, float | int | str]:
    """All scores of one video of a root against its truth, as one row.

    Raises:
        RootError: the truth is of another frame size, or the video has no tracks.
    """
    layout = root.layout(video_id)
    if layout.frame_size != truth.frame_size:
        raise RootError(
            f"video {video_id}: expected the truth of a {layout.frame_size} video, found {truth.frame_size}; "
            "name the video that the truth belongs to"
        )
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    table = read_faces(root.files.local(key), ["frame_idx", "person_id", "x0", "y0", "x1", "y1"])
    found = _boxed(
        table["frame_idx"].to_numpy(),
        table["person_id"].to_numpy(),
        np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1),
    )
    scores = tracks(_true(truth, cut=False), found, _true(truth, cut=True))
    return {"video_id": video_id, **asdict(scores), **asdict(mask(truth, layout, found))}


def _true(truth: Truth, *, cut: bool) -> Boxed:
    faces = [f for f in truth.faces if (f.visible < _VISIBLE) == cut]
    return _boxed(
        np.array([f.frame for f in faces]), np.array([f.person for f in faces]), as_boxes([f.box for f in faces])
    )


def _boxed(frame: np.ndarray, name: np.ndarray, boxes: np.ndarray) -> Boxed:
    order = np.argsort(frame, kind="stable")
    return Boxed(frame[order].astype(np.int64), name[order].astype(np.int64), as_boxes(boxes)[order])
