"""A follower that looks only in every n-th frame for people who hardly move.

asked frame -> frames that wait -> asked frame -> boxes in between, on a line where both ends are near each other

The line checks itself: where the two ends are apart, or one is missing, the last net is asked in the frame that waited.
Who moves is looked for in every frame. Boxes on a line are means of two answers, so they jitter less than the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Boxes, as_boxes, iou, outside
from rmset.parts.detect import Detections
from rmset.parts.follow import NEAR, Follower, Found
from rmset.parts.pixels import Pixels


@dataclass(frozen=True)
class _Face:
    box: npt.NDArray[np.float32]
    score: float
    landmarks: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Waiting:
    """A frame in which some people were left."""

    picture: Pixels
    found: Found
    left: npt.NDArray[np.bool_]
    """(P,)"""


class Resting:
    """Looks for all people in every n-th frame, and for those who move in every frame.

    Args:
        follower: follower of the people.
        every: n; 1 looks for all people in every frame.
        removed: the trigger regions (N, 4).
    """

    def __init__(self, follower: Follower, every: int, removed: Boxes) -> None:
        self._follower, self._every, self._removed = follower, every, removed
        self._last: Found | None = None
        self._waiting: list[_Waiting] = []

    def step(self, picture: Pixels) -> list[Found]:
        """Look at the next frame; returns the people of the frames that are finished, in order."""
        left = self._left()
        if left.any():
            self._waiting.append(_Waiting(picture, self._follower.step(picture, left), left))
            return []
        now = self._follower.step(picture)
        finished = [*self._finished(now), now]
        self._last, self._waiting = now, []
        return finished

    def end(self) -> list[Found]:
        """Return the people of the frames that still wait."""
        finished = self._finished(None)
        self._waiting = []
        return finished

    def _left(self) -> npt.NDArray[np.bool_]:
        """People (P,) who may be left in the next frame: none if it is time to look for all."""
        if len(self._waiting) + 1 >= self._every:
            return np.zeros_like(self._follower.steady)
        return self._follower.steady & (self._waiting[-1].left if self._waiting else True)

    def _finished(self, now: Found | None) -> list[Found]:
        """Complete the frames that wait."""
        if not self._waiting or self._last is None:
            return []
        known = [_faces(found) for found in (self._last, *(w.found for w in self._waiting), *([now] if now else []))]
        return [self._completed(n, waiting, known) for n, waiting in enumerate(self._waiting, 1)]

    def _completed(self, n: int, waiting: _Waiting, known: Sequence[dict[int, _Face]]) -> Found:
        """Add the people who were left in frame n of those known."""
        added: dict[int, _Face] = {}
        unsure: list[tuple[int, npt.NDArray[np.float32]]] = []
        for person in np.flatnonzero(waiting.left).tolist():
            before = next(k for k in range(n - 1, -1, -1) if person in known[k])
            after = next((k for k in range(n + 1, len(known)) if person in known[k]), None)
            one = known[before][person]
            if after is None:
                unsure.append((person, one.box))
                continue
            other, share = known[after][person], (n - before) / (after - before)
            face = _on_line(one, other, share)
            if _overlap(one.box, other.box) >= NEAR and outside(as_boxes(face.box[None]), self._removed)[0]:
                added[person] = face
            else:
                unsure.append((person, face.box))
        if unsure:
            who = np.array([person for person, _ in unsure], dtype=np.intp)
            faces, good = self._follower.ask(waiting.picture, who, as_boxes(np.stack([box for _, box in unsure])))
            for row in np.flatnonzero(good).tolist():
                added[int(who[row])] = _Face(faces.boxes[row], float(faces.scores[row]), faces.landmarks[row])
        return _with(waiting.found, added)


def _faces(found: Found) -> dict[int, _Face]:
    faces = found.faces
    return {
        int(person): _Face(faces.boxes[row], float(faces.scores[row]), faces.landmarks[row])
        for row, person in enumerate(found.people)
    }


def _on_line(one: _Face, other: _Face, share: float) -> _Face:
    """Return the face between two, `share` of the way."""
    return _Face(
        np.asarray(one.box + np.float32(share) * (other.box - one.box), np.float32),
        min(one.score, other.score),
        np.asarray(one.landmarks + np.float32(share) * (other.landmarks - one.landmarks), np.float32),
    )


def _overlap(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(iou(as_boxes(one[None]), as_boxes(other[None]))[0, 0])


def _with(found: Found, added: dict[int, _Face]) -> Found:
    """Return the found people with others, by number."""
    if not added:
        return found
    people = np.concatenate([found.people, np.array(list(added), dtype=np.intp)])
    faces = list(added.values())
    order = np.argsort(people, kind="stable")
    return Found(
        people[order],
        Detections(
            np.concatenate([found.faces.boxes, as_boxes(np.stack([f.box for f in faces]))])[order],
            np.concatenate([found.faces.scores, np.array([f.score for f in faces], np.float32)])[order],
            np.concatenate([found.faces.landmarks, np.stack([f.landmarks for f in faces])])[order],
        ),
        np.concatenate([found.searched, np.zeros(len(faces), dtype=bool)])[order],
        found.newcomers,
    )
