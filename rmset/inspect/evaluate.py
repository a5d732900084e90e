"""Evaluation of tracks, layout and mask against a truth file: per video and overall.

Faces cut by their panel by more than a tenth are ignored regions: finding them is neither correct nor wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.geometry import Box, as_box, as_boxes, clip
from rmset.inspect.scores import Boxed, Counted, count, together
from rmset.layout_record import Layout
from rmset.parts.shards import read_faces
from rmset.root import Root
from rmset.synth import shapes
from rmset.synth.scene import FILM
from rmset.truth import Truth, TruthSegment

_VISIBLE = 0.9


@dataclass(frozen=True)
class MaskScores:
    """Scores of the layout's regions against the true ones."""

    trigger_iou: float
    """IoU of the removed pixels with the true trigger pixels, over time; 1 where both are empty"""
    panels_masked: int
    """person panels with more than a tenth removed, over all segments"""
    boxes_in_trigger: int
    """face rows of which more than half lies in a true trigger region"""
    people_missed: int
    """true people whose panel has no person in the layout, over all segments"""


def mask(truth: Truth, layout: Layout, found: Boxed) -> MaskScores:
    """Score a layout and its mask."""
    width, height = truth.frame_size
    shared = whole = 0.0
    masked, missed, leaked = set(), set(), 0
    for true in truth.segments:
        true_pixels = _film_pixels(true, (width, height))
        for ours in layout.segments:
            overlap = min(true.end_frame, ours.end_frame) - max(true.start_frame, ours.start_frame)
            if overlap <= 0:
                continue
            our_pixels = _painted(list(ours.masked), width, height)
            shared += float((true_pixels & our_pixels).sum()) * overlap
            whole += float((true_pixels | our_pixels).sum()) * overlap
            centers = [((p.box[0] + p.box[2]) / 2, (p.box[1] + p.box[3]) / 2) for p in ours.people]
            for person, panel in true.panels.items():
                if _share_painted(our_pixels, panel) > _share_painted(true_pixels, panel) + 0.1:
                    masked.add(person)
                if not any(panel[0] <= x < panel[2] and panel[1] <= y < panel[3] for x, y in centers):
                    missed.add(person)
        if true.trigger_regions:
            now = (found.frame >= true.start_frame) & (found.frame < true.end_frame)
            leaked += sum(_share_painted(true_pixels, tuple(b)) > 0.5 for b in found.boxes[now].tolist())
    return MaskScores(shared / whole if whole else 1.0, len(masked), leaked, len(missed))


def _film_pixels(true: TruthSegment, frame_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Mask (H, W) of film pixels, without layers of the truth that cover it."""
    if not true.layers:
        return _painted([tuple(b) for b in true.trigger_regions], *frame_size)
    rows = [
        (shapes.FILM_LABEL if la.content == FILM else int(la.content), _whole(la.box), la.shape, la.radius)
        for la in true.layers
    ]
    return np.asarray(shapes.label_map(frame_size, rows) == shapes.FILM_LABEL, dtype=bool)


def _whole(box: Box) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(v) for v in box)
    return x0, y0, x1, y1


def _painted(boxes: list, width: int, height: int) -> npt.NDArray[np.bool_]:
    pixels = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        pixels[round(y0) : round(y1), round(x0) : round(x1)] = True
    return pixels


def _share_painted(painted: npt.NDArray[np.bool_], box: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = (max(0, round(v)) for v in box)
    inside = painted[y0:y1, x0:x1]
    return float(inside.mean()) if inside.size else 0.0


@dataclass(frozen=True)
class Evaluated:
    """One video against its truth."""

    video_id: str
    counted: Counted
    mask: MaskScores | None
    """None if the truth has no regions (MOTChallenge)"""

    @property
    def row(self) -> dict[str, float | int | str]:
        """All scores, flat."""
        return {"video_id": self.video_id, **asdict(self.counted.scores), **(asdict(self.mask) if self.mask else {})}


def video(root: Root, video_id: str, truth: Truth) -> Evaluated:
    """Evaluate one video of a root.

    Raises:
        RootError: the truth is of another frame size, or the video has no tracks.
    """
    layout = root.layout(video_id)
    if layout.frame_size != truth.frame_size:
        raise RootError(
            f"video {video_id}: expected the truth of a {layout.frame_size} video, found {truth.frame_size}; "
            "name the video that the truth belongs to"
        )
    found = faces_found(root, video_id)
    return Evaluated(video_id, count(must_be_found(truth), found, may_be_found(truth)), mask(truth, layout, found))


def overall(videos: list[Evaluated]) -> dict[str, Any]:
    """Return the row of all videos together: boxes, matches and faults summed, regions averaged."""
    row: dict[str, Any] = {"video_id": f"all {len(videos)}", **asdict(together([v.counted for v in videos]).scores)}
    masks: list[Mapping[str, Any]] = [asdict(v.mask) for v in videos if v.mask is not None]
    if len(masks) == len(videos):
        row["trigger_iou"] = float(np.mean([m["trigger_iou"] for m in masks]))
        row |= {n: sum(m[n] for m in masks) for n in ("panels_masked", "boxes_in_trigger", "people_missed")}
    return row


def faces_found(root: Root, video_id: str) -> Boxed:
    """Return the tracked faces of a video.

    Raises:
        RootError: the video has no tracks.
    """
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    table = read_faces(root.files.local(key), ["frame_idx", "person_id", "x0", "y0", "x1", "y1"])
    corners = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
    return Boxed.of(table["frame_idx"].to_numpy(), table["person_id"].to_numpy(), corners)


def must_be_found(truth: Truth) -> Boxed:
    """Faces that are not cut."""
    return _faces(truth, cut=False)


def may_be_found(truth: Truth) -> Boxed:
    """Faces cut by more than a tenth, both whole and as shown in their panel: either counts as found."""
    whole = _faces(truth, cut=True)
    panels = [dict[int, Box]() for _ in range(truth.segments[-1].end_frame)] if truth.segments else []
    for segment in truth.segments:
        panels[segment.start_frame : segment.end_frame] = [segment.panels] * (segment.end_frame - segment.start_frame)
    shown = [
        clip(as_box(box), panels[frame].get(int(name), as_box(box))) if frame < len(panels) else as_box(box)
        for frame, name, box in zip(whole.frame, whole.name, whole.boxes, strict=True)
    ]
    return Boxed.of(
        np.concatenate([whole.frame, whole.frame]),
        np.concatenate([whole.name, whole.name]),
        np.concatenate([whole.boxes, as_boxes(shown)]),
    )


def _faces(truth: Truth, *, cut: bool) -> Boxed:
    faces = [f for f in truth.faces if (f.visible < _VISIBLE) == cut]
    return Boxed.of(
        np.array([f.frame for f in faces]), np.array([f.person for f in faces]), as_boxes([f.box for f in faces])
    )
