"""Detection of people in every frame: the paper's way, for any detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmset.geometry import Box, as_boxes, clip, outside, pixels, scale_about_center
from rmset.layout_record import Person
from rmset.parts.assign import Tracker
from rmset.parts.detect import Detections, Detector
from rmset.parts.follow import Found
from rmset.parts.frames import Frame, Image
from rmset.parts.pixels import Rect


class Searcher:
    """Detects the people of one segment in every frame, in each panel or in the whole frame.

    Args:
        detector: face detector.
        tracker: assigns faces to people.
        people: people of the segment.
        frame_size: (width, height) px.
        removed: the trigger regions; their pixels are black to the detector.
        smallest: faces down to this share of the person's reference face are searched.
        whole_frame: one search over the frame instead of one in each panel.
    """

    def __init__(
        self,
        detector: Detector,
        tracker: Tracker,
        people: Sequence[Person],
        frame_size: tuple[int, int],
        removed: Sequence[Box],
        smallest: float,
        whole_frame: bool,
    ) -> None:
        self._detector, self._tracker = detector, tracker
        self._people = len(people)
        self._removed = as_boxes(list(removed))
        self._blank = [pixels(b, frame_size) for b in removed]
        frame = (0.0, 0.0, float(frame_size[0]), float(frame_size[1]))
        self._areas: dict[Box, float] = {}
        for person in people:
            area = frame if whole_frame else person.panel or clip(scale_about_center(person.box, 3), frame)
            side = min(person.box[2] - person.box[0], person.box[3] - person.box[1])
            self._areas[area] = min(self._areas.get(area, np.inf), max(20.0, smallest * side))

    def step(self, frame: Frame) -> Found:
        """Find all people in the next frame."""
        image = blanked(frame.rgb, self._blank)
        seen = []
        for area, min_face in self._areas.items():
            x0, y0, x1, y1 = pixels(area, (image.shape[1], image.shape[0]))
            seen.append(self._detector.detect(image[y0:y1, x0:x1], min_face).moved(x0, y0))
        faces = Detections(
            np.concatenate([s.boxes for s in seen]),
            np.concatenate([s.scores for s in seen]),
            np.concatenate([s.landmarks for s in seen]),
        )
        faces = faces.where(outside(faces.boxes, self._removed))
        rows = self._tracker.assign(faces)
        who = np.flatnonzero(rows >= 0)
        mine = rows[who]
        found = Detections(faces.boxes[mine], faces.scores[mine], faces.landmarks[mine])
        return Found(who, found, np.ones(len(who), dtype=bool), len(faces) - len(who))


def blanked(image: Image, regions: Sequence[Rect]) -> Image:
    """Return the image (H, W, 3) with these rectangles black; the image itself if there are none."""
    if regions:
        image = image.copy()
        for x0, y0, x1, y1 in regions:
            image[y0:y1, x0:x1] = 0
    return image
