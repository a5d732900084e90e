"""Face tracking at the cost of one small net per face.

Panels do not move and faces move little. So the previous box, converted back to an input square of MTCNN's last net,
goes through that net only. Each answer has to pass these checks:

    score, overlap with the last box, change of size, aspect    else the panel is searched at once
    two people on one face                                      the panel is searched for both
    every `check_every` frames                                  the panel is searched anyway, and its box taken

The conversion matters. The last net was trained on squares of the previous net, which are smaller and lower than the
boxes that it outputs. On its own boxes it drifts away within a second or two; on boxes converted by the measured ratio
it stays on the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box, Boxes, as_boxes, clip, iou, outside, paired_iou, pixels, scale_about_center
from rmset.geometry import area as area_of
from rmset.layout_record import Person
from rmset.parts.assign import match
from rmset.parts.detect import Detections, cascade
from rmset.parts.detect.nets import Nets
from rmset.parts.pixels import Pixels, Rect, gain_for, lightened
from rmset.parts.still import Stillness

# Side of R-Net's square by the side of the box that O-Net makes of it, and how much lower it lies; medians over faces
# of clips found by the whole cascade, then tuned by how well a loop of 400 frames stays on them.
_ENTRY_SCALE, _ENTRY_DROP = 0.88, 0.03
# Thresholds of the last two nets for a face that a hand covers, and least IoU with the person's last box there.
_COVERED, _AT_PLACE = (0.5, 0.4), 0.4

# Least IoU of two boxes of a face, some frames apart, that leaves its boxes in between to a line.
NEAR = 0.85


@dataclass(frozen=True)
class FollowConfig:
    """Thresholds for accepting an answer of the last net."""

    check_every: int = 30
    """frames between full searches of a panel with a tracked face; twice as many after one that agreed with a face that
    hardly moves"""
    full_every: int = 4
    """every n-th of these searches covers all sizes; the others only the size of the tracked face"""
    retry_every: int = 3
    """frames between searches for a lost face"""
    least_score: float = 0.8
    """below it the panel is searched"""
    least_overlap: float = 0.5
    """IoU with the last box, below it the panel is searched"""
    most_growth: float = 1.4
    """ratio of box heights from frame to frame, beyond it the panel is searched"""
    smallest: float = 0.5
    """faces down to this share of the person's reference face are searched"""
    least_iou: float = 0.1
    """in a shared panel, a face with less IoU to the person's last box belongs to another person"""


@dataclass(frozen=True)
class Found:
    """Faces of one frame: row i belongs to the person `people[i]`."""

    people: npt.NDArray[np.intp]
    """(N,) position among the segment's people"""
    faces: Detections
    """N faces"""
    searched: npt.NDArray[np.bool_]
    """(N,) by the whole cascade, not only by the last net"""
    newcomers: int
    """faces of searched panels that belong to no person"""


class Follower:
    """Tracks the people of one segment, one face per person.

    Args:
        nets: MTCNN's nets.
        people: people to track; the search begins at their reference boxes.
        frame_size: (width, height) px.
        removed: the trigger regions; a face whose center lies in one belongs to no person.
        config: thresholds.
    """

    def __init__(
        self,
        nets: Nets,
        people: Sequence[Person],
        frame_size: tuple[int, int],
        removed: Sequence[Box],
        config: FollowConfig,
    ) -> None:
        self._nets, self._config = nets, config
        self._frame_size = frame_size
        self._roams = np.array([p.panel is None for p in people], dtype=bool)
        areas = [pixels(p.panel, frame_size) if p.panel else self._around(p.box) for p in people]
        self._areas = np.array(areas, np.int64).reshape(-1, 4)
        self._reference = as_boxes([p.box for p in people])
        self._side = np.minimum(
            self._reference[:, 2] - self._reference[:, 0], self._reference[:, 3] - self._reference[:, 1]
        )
        self._removed = as_boxes(list(removed))
        # Last box and its motion for each person; whether tracked; frames since the last search.
        self._last = self._reference.copy()
        self._moved = np.zeros((len(people), 4), np.float32)
        self._scores = np.zeros(len(people), np.float32)
        self._landmarks = np.zeros((len(people), 5, 2), np.float32)
        self._still = Stillness(len(people))
        self._held = np.zeros(len(people), dtype=bool)
        # By how much each person's panel is lightened, as of its last search.
        self._gain = np.ones(len(people))
        self._doubt = np.zeros(len(people), dtype=np.int64)
        self._searches = np.zeros(len(people), dtype=np.int64)
        # Full searches of different people are spread over frames.
        self._since = np.arange(len(people)) * config.check_every // max(1, len(people))
        fixed = np.unique(self._areas[~self._roams], axis=0)
        self._panels = [np.flatnonzero((self._areas == area).all(axis=1) & ~self._roams) for area in fixed]
        self._panels += [np.array([person]) for person in np.flatnonzero(self._roams)]
        # A face in a panel of one person cannot become another's.
        self._alone = np.zeros(len(people), dtype=bool)
        for members in self._panels:
            self._alone[members] = len(members) == 1
        self._alone &= ~self._roams
        self.steady = np.zeros(len(people), dtype=bool)
        """(P,) people who have hardly moved since they were last looked for"""
        self._first = True

    def step(self, picture: Pixels, left: npt.NDArray[np.bool_] | None = None) -> Found:
        """Find the people in the next frame.

        Args:
            picture: the frame.
            left: (P,) people, out of the steady ones, who are left as they are; they are not among those found.
        """
        active = np.ones(len(self._last), dtype=bool) if left is None else ~left
        refined, trusted = self._refine(picture, active)
        wanted = self._wanted(trusted, active)
        boxes, scores, landmarks = refined.boxes.copy(), refined.scores.copy(), refined.landmarks.copy()
        present, searched = trusted.copy(), np.zeros(len(self._last), dtype=bool)
        newcomers = 0
        for members in self._panels:
            if not wanted[members].any():
                continue
            faces = self._search(picture, members, trusted)
            rows = self._named(members, faces, trusted, boxes)
            newcomers += len(faces) - int((rows >= 0).sum())
            agrees = self._agree(members, faces, rows, trusted, boxes)
            for person, row in zip(members, rows, strict=True):
                self._since[person] = 0
                if row >= 0:
                    boxes[person], scores[person] = faces.boxes[row], faces.scores[row]
                    landmarks[person] = faces.landmarks[row]
                    present[person] = searched[person] = True
                    self._doubt[person] = 0
                    if agrees[person]:
                        self._since[person] = -self._config.check_every
                    self._still.forget(int(person))
                elif trusted[person]:
                    # The last net finds a face and the cascade does not: accepted once, not twice.
                    self._doubt[person] += 1
                    present[person] = self._doubt[person] < 2
        present &= ~self._taken(boxes, present)
        moved = np.where((present & self._held)[:, None], boxes - self._last, 0).astype(np.float32)
        self._moved = np.where(active[:, None], moved, self._moved)
        self.steady = np.where(active, present & self._held & self._alone & _is_near(boxes, self._last), self.steady)
        self._held = present | ~active
        self._last[present] = boxes[present]
        self._scores, self._landmarks = scores, landmarks
        for person in np.flatnonzero(present & self._roams):
            x0, y0, x1, y1 = self._last[person].tolist()
            self._areas[person] = self._around((x0, y0, x1, y1))
        self._first = False
        who = np.flatnonzero(present)
        return Found(who, Detections(boxes[who], scores[who], landmarks[who]), searched[who], newcomers)

    def _agree(
        self,
        members: npt.NDArray[np.intp],
        faces: Detections,
        rows: npt.NDArray[np.intp],
        trusted: npt.NDArray[np.bool_],
        boxes: Boxes,
    ) -> npt.NDArray[np.bool_]:
        """People (P,), alone in their panel, whose search found what the last net had found, and who hardly move."""
        agree = np.zeros(len(self._last), dtype=bool)
        only = members[0]
        if len(members) == 1 and rows[0] >= 0 and trusted[only] and self.steady[only]:
            agree[only] = bool(_is_near(faces.boxes[rows], boxes[members])[0])
        return agree

    def _around(self, box: Box) -> Rect:
        """Return the search area of a person without a panel: around the last box."""
        frame = (0.0, 0.0, float(self._frame_size[0]), float(self._frame_size[1]))
        return pixels(clip(scale_about_center(box, 3), frame), self._frame_size)

    def ask(self, picture: Pixels, who: npt.NDArray[np.intp], near: Boxes) -> tuple[Detections, npt.NDArray[np.bool_]]:
        """Run the last net for some people in a frame that was passed over.

        Args:
            picture: the frame.
            who: (N,) the people.
            near: (N, 4) their boxes as expected.

        Returns:
            N faces, and whether each passes the checks.
        """
        faces = self._answers(picture, who, entry_squares(near))
        return faces, self._fits(faces.boxes, faces.scores, near)

    def _answers(self, picture: Pixels, who: npt.NDArray[np.intp], squares: Boxes) -> Detections:
        """Run the last net on squares (N, 4) for people (N,)."""
        found = Detections(
            np.empty((len(who), 4), np.float32), np.empty(len(who), np.float32), np.empty((len(who), 5, 2), np.float32)
        )
        for gain in np.unique(self._gain[who]):
            mine = self._gain[who] == gain
            lit = lightened(picture, float(gain))
            answer = cascade.output(self._nets, lit, self._areas[who[mine]], squares[mine], padded=True)
            found.boxes[mine], found.scores[mine], found.landmarks[mine] = answer.boxes, answer.scores, answer.landmarks
        return found

    def _refine(self, picture: Pixels, active: npt.NDArray[np.bool_]) -> tuple[Detections, npt.NDArray[np.bool_]]:
        """Run the last net for active tracked people (P); returns its boxes and whether they pass the checks.

        If nothing has moved since the last answer, that answer is reused.
        """
        boxes, scores, landmarks = self._last.copy(), self._scores.copy(), self._landmarks.copy()
        held = self._held & active
        asked = np.array([p for p in np.flatnonzero(held) if self._still.moved(int(p), picture)], dtype=np.intp)
        if len(asked):
            squares = entry_squares(self._last[asked])
            answer = self._answers(picture, asked, squares)
            boxes[asked], scores[asked], landmarks[asked] = answer.boxes, answer.scores, answer.landmarks
            low, high = cascade.bounded(squares, self._areas[asked])
            for person, (x0, y0), (x1, y1) in zip(asked, low.tolist(), high.tolist(), strict=True):
                if x0 < x1 and y0 < y1:
                    self._still.asked(person, picture, (x0, y0, x1, y1))
        good = self._fits(boxes, scores, self._last) & ~self._shared(boxes)
        return Detections(boxes, scores, landmarks), held & good

    def _fits(self, boxes: Boxes, scores: npt.NDArray[np.float32], near: Boxes) -> npt.NDArray[np.bool_]:
        """Whether answers (N,) are faces of the expected place, size and shape."""
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        growth = height / np.maximum(near[:, 3] - near[:, 1], 1)
        most = self._config.most_growth
        overlap = paired_iou(boxes, near)
        good = (scores >= self._config.least_score) & (overlap >= self._config.least_overlap)
        good &= (growth <= most) & (growth >= 1 / most)
        good &= (width > 0.5 * height) & (width < 1.2 * height)
        return np.asarray(good & outside(boxes, self._removed), dtype=bool)

    def _shared(self, boxes: Boxes) -> npt.NDArray[np.bool_]:
        """People who share a face with another person, in the same panel or both without one."""
        shared = np.zeros(len(boxes), dtype=bool)
        for members in [*self._panels, np.flatnonzero(self._roams)]:
            if len(members) > 1:
                overlap = iou(boxes[members], boxes[members]) - np.eye(len(members), dtype=np.float32)
                shared[members] = (overlap > 0.5).any(axis=1)
        return shared

    def _taken(self, boxes: Boxes, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """People without panels whose face rather belongs to another person: each face has one person."""
        taken = np.zeros(len(boxes), dtype=bool)
        roaming = np.flatnonzero(present & self._roams)
        if len(roaming) < 2:
            return taken
        expected = self._last[roaming] + self._moved[roaming]
        fit = paired_iou(boxes[roaming], as_boxes(expected))
        same = iou(boxes[roaming], boxes[roaming]) > 0.5
        # A shared face stays with the person whose predicted position is nearest; else with the first.
        order = np.argsort(-fit, kind="stable")
        for rank, one in enumerate(order):
            taken[roaming[one]] = any(same[one, other] and not taken[roaming[other]] for other in order[:rank])
        return taken

    def _wanted(self, trusted: npt.NDArray[np.bool_], active: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """People whose panel is searched in this frame."""
        self._since += 1
        lost_now = self._held & ~trusted
        overdue = np.where(self._held, self._since >= self._config.check_every, self._since >= self._config.retry_every)
        return np.asarray((lost_now | overdue | self._first) & active, dtype=bool)

    def _search(self, picture: Pixels, members: npt.NDArray[np.intp], trusted: npt.NDArray[np.bool_]) -> Detections:
        """Run the cascade in a panel; usually only for sizes near that of the tracked face."""
        x0, y0, x1, y1 = (int(v) for v in self._areas[members[0]])
        area: Rect = (x0, y0, x1, y1)
        least, most = max(20.0, float(self._side[members].min()) * self._config.smallest), np.inf
        self._searches[members] += 1
        if trusted[members].all() and (self._searches[members] % self._config.full_every).all():
            side = np.sqrt(area_of(self._last[members]))
            least, most = max(least, float(side.min()) * 0.6), float(side.max()) * 1.6
        self._gain[members] = gain_for(picture, area)
        faces = cascade.search(self._nets, picture, area, _rounded(least), most, padded=True, unsure=_COVERED)
        sure = faces.scores > cascade.THRESHOLDS[2]
        sure |= iou(faces.boxes, self._last[members]).max(axis=1, initial=0) >= _AT_PLACE
        return faces.where(sure & outside(faces.boxes, self._removed))

    def _named(
        self, members: npt.NDArray[np.intp], faces: Detections, trusted: npt.NDArray[np.bool_], refined: Boxes
    ) -> npt.NDArray[np.intp]:
        """For each member of a panel, the row of their face, or -1."""
        if not len(faces):
            return np.full(len(members), -1, dtype=np.intp)
        where = np.where(trusted[members, None], refined[members], self._last[members])
        rows = match(iou(as_boxes(where), faces.boxes), self._config.least_iou)
        if len(members) == 1 and rows[0] < 0 and not trusted[members[0]] and not self._roams[members[0]]:
            # Alone in the panel: any face there is this person.
            rows[0] = 0
        return rows


def _is_near(boxes: Boxes, last: Boxes) -> npt.NDArray[np.bool_]:
    """Whether boxes (N,) have hardly moved: halfway, a face that turns back is off by an eighth of that at most."""
    return np.asarray(paired_iou(boxes, as_boxes(last)) >= NEAR, dtype=bool)


def _rounded(size: float) -> float:
    """Round a size down, so that similar panels share one pyramid, which OpenVINO compiles once."""
    return float(2 ** (np.floor(np.log2(size) * 4) / 4))


def entry_squares(boxes: Boxes) -> Boxes:
    """Convert output boxes (N, 4) of the last net back to its input squares (N, 4)."""
    square = cascade.squared(boxes)
    side = square[:, 2:] - square[:, :2]
    center = (square[:, :2] + square[:, 2:]) / 2 + side * np.array([0, _ENTRY_DROP], np.float32)
    half = side * (_ENTRY_SCALE / 2)
    return np.hstack([center - half, center + half]).astype(np.float32)
