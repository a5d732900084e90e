"""Questions to a few whole frames: is somebody masked, is film unmasked, is everybody found?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rmset.answers import FILM, FOUND, MASKED, Answer
from rmset.geometry import Box, Boxes, as_box, as_boxes, center, contains_point, covered, iou
from rmset.layout_record import Segment

# A face stays when it is seen in so many of the frames of its segment, and so many at least, so near its usual place.
_PRESENT, _FEWEST, _STEADY = 0.6, 3, 0.5
# A place shows another picture when this much of it differs from frame to frame (1 minus correlation).
_CUT, _OFTEN = 0.45, 0.5
# A face is one that was tracked when they share so much.
_SAME = 0.3
# What is left of the confidence when the answer is bad.
_LEFT = {MASKED: 0.4, FILM: 0.4, FOUND: 0.6}


@dataclass(frozen=True)
class Look:
    """One sampled frame."""

    frame_idx: int
    faces: Boxes
    """(N, 4): what the exact detector sees anywhere on the screen"""
    tracked: Boxes
    """(M, 4): faces of the tracks"""
    names: npt.NDArray[np.int64]
    """(M,): their people"""
    places: tuple[npt.NDArray[np.float32], ...]
    """small gray pictures: of each trigger region, then of each person's panel"""


def ask(segments: Sequence[tuple[Segment, Sequence[Look]]]) -> list[Answer]:
    """Answers to the three questions, over all segments."""
    bad: list[Answer] = []
    for segment, looks in segments:
        if len(looks) < _FEWEST:
            continue
        bad += _masked(segment, looks) + _film(segment, looks) + _found(segment, looks)
    asked = {MASKED: "no", FILM: "no", FOUND: "yes"}
    enough = any(len(looks) >= _FEWEST for _, looks in segments)
    good: list[Answer] = []
    for question, answer in asked.items():
        if not any(a.question == question for a in bad):
            says = answer if enough else "cannot tell"
            good.append(Answer(question, says, enough or None))  # type: ignore[arg-type]
    return sorted([*bad, *good], key=lambda a: (list(asked).index(a.question), a.frame_idx or 0))


def _masked(segment: Segment, looks: Sequence[Look]) -> list[Answer]:
    """Return a face on masked pixels that keeps its place and size while the film cuts is a person."""
    regions = segment.trigger_regions
    masked = as_boxes(list(segment.masked))
    cutting = [_cuts([look.places[n] for look in looks]) >= 2 / len(looks) for n in range(len(regions))]
    found = []
    for box, frame_idx, share in _staying(looks, masked, inside=True):
        here = [n for n, r in enumerate(regions) if bool(contains_point(as_boxes([r.box]), *center(box)).any())]
        # Where the film never cuts, a face in it may stay as well.
        if any(cutting[n] for n in here):
            detail = f"a face keeps its place in {share:.0%} of the frames while the film cuts"
            found.append(Answer(MASKED, "yes", False, detail, frame_idx, box, None, _LEFT[MASKED]))
    return found


def _film(segment: Segment, looks: Sequence[Look]) -> list[Answer]:
    """Somebody's panel that shows another picture again and again, whenever the film does, is film."""
    answers = []
    first = len(segment.trigger_regions)
    films = [_steps([look.places[n] for look in looks]) for n in range(first)]
    for number, person in enumerate(segment.people):
        steps = _steps([look.places[first + number] for look in looks])
        if not films or float((steps >= _CUT).mean()) < _OFTEN:
            continue
        together = max(float(((steps >= _CUT) == (f >= _CUT)).mean()) for f in films)
        if together >= 0.8:
            detail = f"the panel of person {person.person_id} cuts when the film does"
            answers.append(
                Answer(FILM, "yes", False, detail, looks[0].frame_idx, person.box, person.person_id, _LEFT[FILM])
            )
    return answers


def _found(segment: Segment, looks: Sequence[Look]) -> list[Answer]:
    """Faces that stay, are not masked and belong to no track; people whose face is seen but not tracked."""
    answers = []
    for box, frame_idx, share in _staying(looks, as_boxes(list(segment.masked)), inside=False):
        detail = f"a face stays in {share:.0%} of the frames and belongs to no person"
        answers.append(Answer(FOUND, "no", False, detail, frame_idx, box, None, _LEFT[FOUND]))
    return answers


def _staying(looks: Sequence[Look], masked: Boxes, *, inside: bool) -> list[tuple[Box, int, float]]:
    """Faces that keep their place, of those masked or of those that are neither masked nor tracked."""
    lines: list[list[tuple[int, Box]]] = []
    for look in looks:
        hidden = covered(look.faces, masked) > 0.5 if len(masked) else np.zeros(len(look.faces), bool)
        mine = hidden if inside else ~hidden
        if not inside and len(look.tracked):
            mine &= iou(look.faces, look.tracked).max(axis=1, initial=0) < _SAME
            # The corner of somebody's face, or somebody behind them, is not somebody else who sits there.
            mine &= covered(look.faces, look.tracked) < _SAME
        free = set(range(len(lines)))
        for row in np.flatnonzero(mine):
            box = as_box(look.faces[row])
            near = {n: float(iou(as_boxes([box]), as_boxes([lines[n][-1][1]]))[0, 0]) for n in free}
            best = max(near, key=lambda n: near[n], default=None)
            if best is None or near[best] < _SAME:
                lines.append([(look.frame_idx, box)])
            else:
                lines[best].append((look.frame_idx, box))
                free.discard(best)
    found = []
    for line in lines:
        boxes = as_boxes([b for _, b in line])
        usual = np.median(boxes, axis=0, keepdims=True).astype(np.float32)
        share = len(line) / len(looks)
        if len(line) >= _FEWEST and share >= _PRESENT and float(iou(boxes, usual).mean()) >= _STEADY:
            middle = line[len(line) // 2]
            found.append((middle[1], middle[0], share))
    return found


def _cuts(pictures: Sequence[npt.NDArray[np.float32]]) -> float:
    """Share of steps at which a place shows another picture, 0 to 1."""
    return float((_steps(pictures) >= _CUT).mean())


def _steps(pictures: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """How unlike each picture is to the one before, 0 to 1."""
    return np.array([_unlike(a, b) for a, b in pairwise(pictures)] or [0.0], np.float32)


def _unlike(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    one, other = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float(np.clip(1 - (one * other).sum() / scale, 0, 1)) if scale > 1e-3 else 0.0
