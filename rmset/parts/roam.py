"""Everyone's faces in a video without a layout, followed from frame to frame.

    full search now and then -> newcomers        last net on last boxes, in between (`parts.follow`)

The whole frame is searched about once a second, and at once where faces are lost; between searches each person costs
one pass of MTCNN's last net. A person who is away for longer than two searches, or whose surroundings change at once
(a cut), gets a new number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box, Boxes, as_box, as_boxes, clip, iou, pixels, scale_about_center
from rmset.layout_record import Person
from rmset.parts.assign import match
from rmset.parts.detect import Detections, cascade
from rmset.parts.detect.nets import Nets
from rmset.parts.follow import FollowConfig, Follower
from rmset.parts.pixels import Pixels, Rect

# IoU from which two boxes of a frame are one face, and a new face is a person who was lost there.
_SAME, _BACK = 0.3, 0.2
# Mean change of brightness of a face and its surroundings from one frame to the next that is a cut.
_CUT = 32.0
_AROUND = 2.0


@dataclass(frozen=True)
class RoamConfig:
    """Intervals and sizes."""

    look_every: int = 30
    """frames between searches of the whole frame"""
    retry_every: int = 5
    """least frames between them, where faces are lost or no person is seen"""
    min_face: float = 40
    """smallest face to search for, px"""


@dataclass(frozen=True)
class Seen:
    """Faces of one frame: row i belongs to the person `people[i]`."""

    people: npt.NDArray[np.int64]
    """(N,) numbers from 0, in order of first appearance"""
    faces: Detections
    """N faces"""


class Roamer:
    """Follows everyone in a video.

    Args:
        nets: MTCNN's nets.
        frame_size: (width, height) px.
        config: intervals and sizes.
    """

    def __init__(self, nets: Nets, frame_size: tuple[int, int], config: RoamConfig) -> None:
        self._nets, self._size, self._config = nets, frame_size, config
        self._ids: list[int] = []
        self._follower: Follower | None = None
        self._boxes: dict[int, Box] = {}
        """last box of each person"""
        self._away: dict[int, int] = {}
        """frames since each person was last seen"""
        self._glances: dict[int, tuple[Rect, npt.NDArray[np.uint8]]] = {}
        self._next = 0
        self._since = config.look_every

    def step(self, picture: Pixels) -> Seen:
        """Find everyone in the next frame."""
        held = [p for p in self._ids if self._away[p] == 0]
        if cut := self._cut(picture):
            self._restart([p for p in self._ids if p not in cut])
        faces = self._followed(picture)
        lost = [p for p in held if p not in faces]
        self._since += 1
        due = self._since >= self._config.look_every
        due |= self._since >= self._config.retry_every and (not faces or 2 * len(lost) >= max(1, len(held)))
        if due or cut:
            self._look(picture, faces)
        for person in self._ids:
            self._away[person] = 0 if person in faces else self._away[person] + 1
        for person, found in faces.items():
            self._boxes[person] = as_box(found.boxes[0])
        self._glance(picture, faces)
        order = sorted(faces)
        return Seen(np.array(order, np.int64), _joined([faces[p] for p in order]))

    def _followed(self, picture: Pixels) -> dict[int, Detections]:
        if self._follower is None:
            return {}
        found = self._follower.step(picture)
        return {
            self._ids[int(who)]: found.faces.where(np.arange(len(found.people)) == row)
            for row, who in enumerate(found.people)
        }

    def _look(self, picture: Pixels, faces: dict[int, Detections]) -> None:
        """Search the whole frame; adds newcomers, and lost people who are back."""
        self._since = 0
        whole: Rect = (0, 0, picture.width, picture.height)
        found = cascade.search(self._nets, picture, whole, self._config.min_face, padded=True)
        known = _joined(list(faces.values())).boxes
        found = found.where(iou(found.boxes, known).max(axis=1, initial=0) < _SAME)
        patience = 2 * self._config.look_every
        away = [p for p in self._ids if p not in faces and self._away[p] < patience]
        rows = match(iou(as_boxes([self._boxes[p] for p in away]), found.boxes), _BACK)
        named = {int(row): p for p, row in zip(away, rows, strict=True) if row >= 0}
        for row in range(len(found)):
            if row not in named:
                named[row] = self._next
                self._next += 1
            faces[named[row]] = found.where(np.arange(len(found)) == row)
            self._boxes[named[row]] = as_box(found.boxes[row])
            self._away[named[row]] = 0
        stay = [p for p in self._ids if p in faces or p in away]
        if named or stay != self._ids:
            self._restart([*stay, *(p for p in named.values() if p not in stay)])

    def _restart(self, people: list[int]) -> None:
        """Follow these people from their last boxes on."""
        self._ids = sorted(people)
        for gone in set(self._boxes) - set(people):
            del self._boxes[gone], self._away[gone]
        whole: Box = (0.0, 0.0, float(self._size[0]), float(self._size[1]))
        seen = [Person(p, clip(self._boxes[p], whole)) for p in self._ids]
        config = FollowConfig(check_every=self._config.look_every)
        self._follower = Follower(self._nets, seen, self._size, [], config) if seen else None

    def _cut(self, picture: Pixels) -> set[int]:
        """People whose surroundings have changed at once."""
        return {
            person for person, (rect, before) in self._glances.items()
            if person in self._ids and float(np.abs(picture.glance(rect).astype(np.int16) - before).mean()) > _CUT
        }  # fmt: skip

    def _glance(self, picture: Pixels, faces: dict[int, Detections]) -> None:
        whole: Box = (0.0, 0.0, float(self._size[0]), float(self._size[1]))
        self._glances = {}
        for person, found in faces.items():
            rect = pixels(clip(scale_about_center(as_box(found.boxes[0]), _AROUND), whole), self._size)
            if rect[0] < rect[2] and rect[1] < rect[3]:
                self._glances[person] = rect, picture.glance(rect)


def _joined(parts: list[Detections]) -> Detections:
    if not parts:
        return Detections.none()
    boxes: Boxes = np.concatenate([p.boxes for p in parts])
    return Detections(
        boxes, np.concatenate([p.scores for p in parts]), np.concatenate([p.landmarks for p in parts])
    )  # fmt: skip
