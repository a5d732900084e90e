"""Faces of every frame, with names: detect where people are, give each box to its person, bridge short gaps.

decoded frame -> trigger regions blanked -> detector in each panel -> assignment -> face rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import schema
from rmset.errors import RootError
from rmset.geometry import Box, as_box, as_boxes, centre, clip, contains_point, iou, pixels, scale_about_centre
from rmset.parts.assign import tracker
from rmset.parts.detect import Detections, Detector, load
from rmset.parts.frames import Image, VideoReader
from rmset.parts.shards import write_faces
from rmset.parts.tracks import Sightings, bridge
from rmset.progress import Progress, silent
from rmset.records import Person, Segment
from rmset.store import Root

NAME = "track"


@dataclass(frozen=True)
class TrackConfig:
    """What decides the bytes of a track file."""

    detector: str = "mtcnn"
    """name in `rmset.parts.detect.DETECTORS`"""
    assign: str = "reference"
    """`reference` (the paper) or `previous`"""
    stride: int = 1
    """every how many frames are looked at"""
    least_iou: float = 0.1
    """a box that overlaps a person's box less is not theirs; ours, the paper names no bound"""
    least_score: float = 0.7
    """MTCNN's own last threshold"""
    smallest: float = 0.5
    """faces down to this share of the person's reference face are searched; ours"""
    bridge: int = 10
    """gaps of at most so many looked-at frames are interpolated; ours"""
    part_gap: int = 60
    """a gap of more frames ends a part of the track; ours"""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.stride < 1 or not 0 < self.smallest <= 1 or self.bridge < 0:
            raise ValueError("expected stride >= 1, 0 < smallest <= 1 and bridge >= 0")


def run(root: Root, video_id: str, config: TrackConfig, progress: Progress = silent) -> dict[str, float]:
    """Track one video and publish `tracks/<video_id>.parquet`.

    Returns:
        What was counted: frames, faces, people, newcomers, seconds of fault.

    Raises:
        RootError: the video has no layout, or none of its segments has people.
        VideoError: the video cannot be decoded at all.
    """
    layout, record = root.layout(video_id), root.record(video_id)
    if not any(s.people for s in layout.segments):
        raise RootError(
            f"video {video_id}: its layout names nobody; draw people with "
            f"`rmset layout set {video_id} --person x0,y0,x1,y1`"
        )
    detector = load(config.detector)
    sightings = Sightings()
    counts: dict[str, float] = {"frames": 0, "newcomers": 0}
    with VideoReader(root.video_path(video_id)) as reader:
        segments = iter(layout.segments)
        search: _Search | None = None
        for frame in reader.frames(stride=config.stride):
            while search is None or frame.frame_idx >= search.segment.end_frame:
                following = next(segments, None)
                if following is None:
                    break
                index = layout.segments.index(following)
                search = _Search(following, index, layout.frame_size, detector, config)
            counts["frames"] += 1
            if search is not None and search.covers(frame.frame_idx):
                counts["newcomers"] += search.look(frame.rgb, frame.frame_idx, frame.time_ms, sightings)
            if frame.frame_idx % 30 == 0:
                progress(f"track {video_id}", frame.frame_idx, record.frame_count)
        if reader.fault:
            counts["fault_at_frame"] = counts["frames"]
    table = bridge(sightings, video_id, stride=config.stride, longest=config.bridge, part_gap=config.part_gap)
    with root.files.publish(root.tracks_key(video_id)) as path:
        write_faces(path, table)
    progress(f"track {video_id}", record.frame_count, record.frame_count)
    interpolated = pa.compute.sum(pa.compute.equal(table["source"], schema.INTERPOLATED)).as_py() or 0
    people = len(pa.compute.unique(table["person_id"]))
    return counts | {"faces": table.num_rows, "people": people, "interpolated": interpolated}


@dataclass(frozen=True)
class _Area:
    """A rectangle that is searched for one person's face or several people's."""

    box: Box
    min_face: float
    """px"""


class _Search:
    """Looks for the people of one segment."""

    def __init__(
        self, segment: Segment, index: int, frame_size: tuple[int, int], detector: Detector, config: TrackConfig
    ) -> None:
        self.segment = segment
        self._index = index
        self._detector = detector
        self._config = config
        self._blank = [pixels(r.box, frame_size) for r in segment.trigger_regions]
        self._trigger = as_boxes([r.box for r in segment.trigger_regions])
        self._reference = as_boxes([p.box for p in segment.people])
        self._areas = _areas(segment.people, frame_size, config.smallest)
        self._tracker = tracker(config.assign, segment.people, config.least_iou)

    def covers(self, frame_idx: int) -> bool:
        """Whether the frame lies in this segment and anybody is to be looked for."""
        return bool(self.segment.people) and self.segment.start_frame <= frame_idx < self.segment.end_frame

    def look(self, image: Image, frame_idx: int, time_ms: float, into: Sightings) -> int:
        """Find the people in one frame; returns how many faces belong to nobody."""
        image = image.copy()
        for x0, y0, x1, y1 in self._blank:
            image[y0:y1, x0:x1] = 0
        found = self._detect(image)
        rows = self._tracker.assign(found.boxes)
        for person, row in zip(self.segment.people, rows, strict=True):
            if row >= 0:
                overlap = float(iou(as_boxes([person.box]), found.boxes[row : row + 1])[0, 0])
                into.add(person.person_id, self._index, frame_idx, time_ms, found, int(row), overlap)
        return len(found) - int((rows >= 0).sum())

    def _detect(self, image: Image) -> Detections:
        seen = []
        for area in self._areas:
            x0, y0, x1, y1 = pixels(area.box, (image.shape[1], image.shape[0]))
            part = self._detector.detect(image[y0:y1, x0:x1], area.min_face).moved(x0, y0)
            seen.append(part.where(part.scores >= self._config.least_score))
        boxes = np.concatenate([s.boxes for s in seen])
        found = Detections(boxes, np.concatenate([s.scores for s in seen]), np.concatenate([s.landmarks for s in seen]))
        return found.where(~self._in_trigger(boxes))

    def _in_trigger(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        return np.array([bool(contains_point(self._trigger, *centre(as_box(b))).any()) for b in boxes], dtype=bool)


def _areas(people: Sequence[Person], frame_size: tuple[int, int], smallest: float) -> list[_Area]:
    """Where to search: each panel once, and around those whose panel is not known."""
    frame = (0.0, 0.0, float(frame_size[0]), float(frame_size[1]))
    smallest_face: dict[Box, float] = {}
    for person in people:
        area = person.panel or clip(scale_about_centre(person.box, 3), frame)
        side = min(person.box[2] - person.box[0], person.box[3] - person.box[1])
        smallest_face[area] = min(smallest_face.get(area, np.inf), max(20.0, smallest * side))
    return [_Area(box, face) for box, face in smallest_face.items()]
