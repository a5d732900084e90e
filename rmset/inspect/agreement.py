"""Agreement of a video's tracks with the exact detector on whole frames: `rmset track --check`.

A tracker that searches only near expected faces cannot detect its own misses. So MTCNN as published searches a few
whole frames, spread over the video, with the film removed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.geometry import Boxes, as_boxes, iou, outside, pixels
from rmset.inspect.evaluate import faces_found
from rmset.layout_record import Segment
from rmset.parts.assign import match
from rmset.parts.detect import Detector, load
from rmset.parts.search import blanked
from rmset.progress import Progress, silent
from rmset.read.video import reader_of
from rmset.root import Root

LOW = 0.95
"""Recall below which the user is warned; ours."""
KEY = "check"
"""Name of the agreement among the counts of a track record."""
# A low-confidence face of the exact detector does not prove a miss.
_SURE = 0.95


@dataclass(frozen=True)
class Agreement:
    """Tracks of one video beside the exact detector on sampled frames."""

    frames: int
    """frames searched whole"""
    faces: int
    """confident faces of the exact detector, at most one per person of a panel; for people without a panel only matched
    ones, because other faces may be strangers"""
    recall: float
    """share of these with a tracked box of IoU >= 0.5; 1 if there are none"""
    mean_iou: float
    """mean IoU of those pairs; 0 if there are none"""
    unseen: int
    """tracked boxes, in these frames, without a face of the exact detector"""

    @property
    def low(self) -> bool:
        """Whether to warn the user."""
        return self.recall < LOW

    def as_counts(self) -> dict[str, float]:
        """Return the values for the record."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def agreement(root: Root, video_id: str, frames: int = 24, progress: Progress = silent) -> Agreement:
    """Search `frames` frames whole and compare.

    Args:
        root: data set of the video and its tracks.
        video_id: id of the video.
        frames: number of frames, spread evenly over the tracked ones; about half a second each at 1080p.
        progress: progress callback.

    Raises:
        RootError: the video has no tracks.
        VideoError: the video cannot be decoded.
    """
    layout, found = root.layout(video_id), faces_found(root, video_id)
    record = root.stage_record("track", video_id)
    if record is None:
        raise RootError(f"video {video_id}: the ledger has no entry for its tracks; run `rmset track {video_id}`")
    stride = int(record.config.get("stride", 1))
    where = np.concatenate(
        [np.arange(-(-s.start_frame // stride) * stride, s.end_frame, stride) for s in layout.segments if s.people]
    )
    chosen = where[np.unique(np.linspace(0, len(where) - 1, min(frames, len(where))).round().astype(int))]
    detector, pairs, faces, unseen, looked = load("mtcnn"), list[float](), 0, 0, 0
    with reader_of(root, video_id) as reader:
        for frame in reader.sample(chosen.tolist()):
            (segment,) = [s for s in layout.segments if s.start_frame <= frame.frame_idx < s.end_frame]
            seen = _exact(detector, frame.rgb, segment)
            names, boxes = found.at(frame.frame_idx)
            expected, overlaps, alone = _compare(segment, seen, names, boxes)
            pairs += overlaps
            faces, unseen, looked = faces + expected, unseen + alone, looked + 1
            progress(f"check {video_id}", looked, len(chosen))
    return Agreement(
        looked, faces, len(pairs) / faces if faces else 1.0, float(np.mean(pairs)) if pairs else 0.0, unseen
    )


def _exact(detector: Detector, image: npt.NDArray[np.uint8], segment: Segment) -> Boxes:
    removed = list(segment.masked)
    size = (image.shape[1], image.shape[0])
    smallest = min(min(p.box[2] - p.box[0], p.box[3] - p.box[1]) for p in segment.people)
    faces = detector.detect(blanked(image, [pixels(b, size) for b in removed]), max(20.0, 0.5 * smallest))
    faces = faces.where(outside(faces.boxes, as_boxes(removed)))
    return faces.where(faces.scores >= _SURE).boxes


def _compare(segment: Segment, seen: Boxes, names: npt.NDArray[np.int64], boxes: Boxes) -> tuple[int, list[float], int]:
    """Faces to be found, IoUs of those found, and boxes of ours that have no face, panel by panel."""
    expected, overlaps, alone = 0, list[float](), 0
    for panel in sorted({p.panel for p in segment.people}, key=str):
        people = [p.person_id for p in segment.people if p.panel == panel]
        ours = boxes[np.isin(names, people)]
        theirs = seen if panel is None else seen[~outside(seen, as_boxes([panel]))]
        pair = iou(ours, theirs)
        rows = match(pair, 0.5)
        found = [float(pair[i, j]) for i, j in enumerate(rows) if j >= 0]
        overlaps += found
        # A face on a wall picture belongs to no person; without panels, any face may be such a picture.
        expected += len(found) if panel is None else max(len(found), min(len(theirs), len(people)))
        alone += len(ours) - len(found)
    return expected, overlaps, alone
