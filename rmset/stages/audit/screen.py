"""Checks on a few whole frames: is a person masked, is film unmasked, is every person found?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from rmset.answers import FILM, FOUND, MASKED, Answer
from rmset.geometry import Box, Boxes, as_box, as_boxes, center, contains_point, covered, iou, pixels
from rmset.layout_record import Segment
from rmset.parts.frames import Gray

# A face that stays: least share of its segment's frames, fewest frames, and least IoU with its usual place.
_PRESENT, _FEWEST, _STEADY = 0.6, 3, 0.5
# Least difference of a place at a cut (1 minus correlation), and least share of frames at which film cuts.
_CUT, _OFTEN = 0.45, 0.5
# (width, height) of the small pictures in which a place is compared over time.
_THUMB = (24, 14)
# Difference below which the surroundings of a face are unchanged.
_STAYS = 0.25
# Share of frames from which a face is always there; IoU from which film and panel are in one place.
_ALWAYS, _ONE_PLACE = 0.8, 0.6
# Share of the smaller of two regions in the larger from which both show one film.
_NESTED = 0.8
# Confidence left if the answer is "cannot tell".
_PERHAPS = 0.7
# Share of a face in its panel below which it lies beside the panel; fewest frames that show it.
_BESIDE, _TWICE = 0.5, 2
# Least overlap of a detected face with a tracked one to be the same.
_SAME = 0.3
# Confidence left if the answer is bad.
_LEFT = {MASKED: 0.4, FILM: 0.4, FOUND: 0.6}


@dataclass(frozen=True)
class Look:
    """One sampled frame."""

    frame_idx: int
    faces: Boxes
    """(N, 4): faces detected on the screen"""
    tracked: Boxes
    """(M, 4): faces of the tracks"""
    names: npt.NDArray[np.int64]
    """(M,): person ids of the tracked faces"""
    places: tuple[npt.NDArray[np.float32], ...]
    """small gray pictures of each trigger region, then of each person's panel"""
    rooms: tuple[npt.NDArray[np.float32], ...]
    """small gray pictures of the surroundings of each of the N faces"""
    everywhere: bool = True
    """whether the whole screen was searched, and not only the trigger regions"""


def thumb(gray: Gray, place: Box) -> npt.NDArray[np.float32]:
    """Return a place of a frame (H, W) as a small picture, float32 (14, 24)."""
    x0, y0, x1, y1 = pixels(place, (gray.shape[1], gray.shape[0]))
    return np.asarray(cv2.resize(gray[y0:y1, x0:x1], _THUMB, interpolation=cv2.INTER_AREA), np.float32)


def doubts(
    segment: Segment, looks: Sequence[Look], segments: Sequence[tuple[Segment, Sequence[Look]]]
) -> Literal["", "regions", "everywhere"]:
    """Where more frames of a segment are to be searched; empty if nowhere.

    `everywhere` if a face is untracked; `regions` if a masked face outlives a cut of the film or is there while it
    never cuts, or if a panel cuts.
    """
    masked = as_boxes(list(segment.masked))
    if _lines(looks, masked, inside=False, fewest=1):
        return "everywhere"
    lines = _lines(looks, masked, inside=True, fewest=2)
    strange = any(
        _outlived(line, n)[0] or not _cuts(segment.trigger_regions[n].box, segments)
        for line in lines
        for n in _regions_of(line, segment)
    )
    return "regions" if strange or _film(segment, looks) else ""


def ask(segments: Sequence[tuple[Segment, Sequence[Look]]], more: Sequence[Answer] = ()) -> list[Answer]:
    """Answers to the three questions, over all segments; `more` are bad answers from other checks."""
    bad: list[Answer] = list(more)
    for segment, looks in segments:
        if len(looks) < _FEWEST:
            continue
        bad += _masked(segment, looks, segments) + _film(segment, looks) + _found(segment, looks)
    bad += _moved([s for s, _ in segments])
    asked = {MASKED: "no", FILM: "no", FOUND: "yes"}
    enough = any(len(looks) >= _FEWEST for _, looks in segments)
    good: list[Answer] = []
    for question, answer in asked.items():
        if not any(a.question == question for a in bad):
            says = answer if enough else "cannot tell"
            good.append(Answer(question, says, enough or None))  # type: ignore[arg-type]
    return sorted([*bad, *good], key=lambda a: (list(asked).index(a.question), a.frame_idx or 0))


def _masked(
    segment: Segment, looks: Sequence[Look], segments: Sequence[tuple[Segment, Sequence[Look]]]
) -> list[Answer]:
    """Find masked people: faces in a trigger region that keep place and size while the film cuts.

    In a segment without a cut, the region's cuts in other segments tell whether it is film.
    """
    regions = segment.trigger_regions
    masked = as_boxes(list(segment.masked))
    found = []
    for line in _lines(looks, masked, inside=True):
        here = _regions_of(line, segment)
        if any(_outlives(line, n) for n in here):
            detail = f"a face keeps its place in {line.share:.0%} of the frames while the film cuts"
            found.append(Answer(MASKED, "yes", False, detail, line.frame_idx, line.box, None, _LEFT[MASKED]))
        elif line.share >= _ALWAYS and here and not any(_cuts(regions[n].box, segments) for n in here):
            detail = f"a face keeps its place in {line.share:.0%} of the frames, and the film never cuts"
            found.append(Answer(MASKED, "cannot tell", None, detail, line.frame_idx, line.box, None, _PERHAPS))
    return found


def _cuts(place: Box, segments: Sequence[tuple[Segment, Sequence[Look]]]) -> bool:
    """Whether the picture of a trigger region cuts, in any segment with a region at its place.

    One of the two may be larger: bars of a film are seen in some of its scenes only.
    """
    return any(
        bool((_steps([look.places[n] for look in looks]) >= _CUT).any())
        for segment, looks in segments
        for n, region in enumerate(segment.trigger_regions)
        if max(_share_in(place, region.box), _share_in(region.box, place)) >= _NESTED
    )


def _share_in(box: Box, other: Box) -> float:
    """Share of a box that lies in another, 0 to 1."""
    return float(covered(as_boxes([box]), as_boxes([other]))[0])


def _moved(segments: Sequence[Segment]) -> list[Answer]:
    """Find regions of film in one segment that are a person's panel in another.

    Segments with a single person are left out, as these may fill the screen for a moment.
    """
    answers = []
    for one in segments:
        for region in one.trigger_regions:
            theirs = [
                (s, p)
                for s in segments
                for p in s.people
                if s is not one and p.panel and len(s.people) > 1 and s.trigger_regions and len(one.people) > 1
                if float(iou(as_boxes([region.box]), as_boxes([p.panel]))[0, 0]) >= _ONE_PLACE
            ]
            if theirs:
                other, person = theirs[0]
                detail = (
                    f"the film plays where person {person.person_id} sits from frame {other.start_frame} on; "
                    "one of the two is wrong unless the layout has changed"
                )
                answers.append(
                    Answer(
                        FILM, "cannot tell", None, detail, other.reference_frame, person.box, person.person_id, _PERHAPS
                    )
                )
    return answers


def _regions_of(line: _Line, segment: Segment) -> list[int]:
    """Numbers of the trigger regions that a face lies in."""
    regions = as_boxes([r.box for r in segment.trigger_regions])
    return [int(n) for n in np.flatnonzero(contains_point(regions, *center(line.box)))]


def _outlives(line: _Line, region: int) -> bool:
    """Whether a face and its surroundings stay unchanged at the cuts of a region, unlike a face of the film."""
    outlived, cuts = _outlived(line, region)
    return outlived >= _TWICE and outlived >= 2 * (cuts - outlived)


def _outlived(line: _Line, region: int) -> tuple[int, int]:
    """Return the number of cuts of a region at which a face and its surroundings stay unchanged, and of all cuts."""
    cuts = [
        change for before, after, change in line.steps if unlike(before.places[region], after.places[region]) >= _CUT
    ]
    return sum(change < _STAYS for change in cuts), len(cuts)


def _film(segment: Segment, looks: Sequence[Look]) -> list[Answer]:
    """Find people's panels that are film: they cut often and whenever the film cuts."""
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
    """Find faces that stay and belong to no track, and people whose tracked faces lie beside their panel."""
    answers = []
    for line in _lines(looks, as_boxes(list(segment.masked)), inside=False):
        detail = f"a face stays in {line.share:.0%} of the frames and belongs to no person"
        answers.append(Answer(FOUND, "no", False, detail, line.frame_idx, line.box, None, _LEFT[FOUND]))
    for person in segment.people:
        where = [(look, row) for look in looks for row in np.flatnonzero(look.names == person.person_id)]
        boxes = as_boxes([as_box(look.tracked[row]) for look, row in where])
        if person.panel is None or len(boxes) < _TWICE or _inside(boxes, person.panel) >= _BESIDE:
            continue
        detail = f"the faces of person {person.person_id} lie beside their panel"
        answers.append(
            Answer(FOUND, "no", False, detail, where[0][0].frame_idx, as_box(boxes[0]), person.person_id, _LEFT[FOUND])
        )
    return answers


def _inside(boxes: Boxes, panel: Box) -> float:
    """Median share of boxes (N, 4) that lies in a panel."""
    return float(np.median(covered(boxes, as_boxes([panel]))))


@dataclass(frozen=True)
class _Line:
    """A face that keeps its place from frame to frame."""

    box: Box
    frame_idx: int
    """frame in which it has this box"""
    share: float
    """share of the frames in which it is seen"""
    steps: tuple[tuple[Look, Look, float], ...]
    """consecutive frames in which it is seen, and the change of its surroundings, 0 to 1"""


def _lines(looks: Sequence[Look], masked: Boxes, *, inside: bool, fewest: int = _FEWEST) -> list[_Line]:
    """Find faces that keep their place: masked ones if `inside`, else those neither masked nor tracked."""
    looks = [look for look in looks if inside or look.everywhere]
    lines: list[list[tuple[Look, int]]] = []
    for look in looks:
        hidden = covered(look.faces, masked) > 0.5 if len(masked) else np.zeros(len(look.faces), bool)
        mine = hidden if inside else ~hidden
        if not inside and len(look.tracked):
            mine &= iou(look.faces, look.tracked).max(axis=1, initial=0) < _SAME
            # A box inside a tracked face is a part of it or a person behind it, not another person in the panel.
            mine &= covered(look.faces, look.tracked) < _SAME
        free = set(range(len(lines)))
        for row in np.flatnonzero(mine):
            last = {n: lines[n][-1] for n in free}
            near = {n: float(iou(look.faces[row : row + 1], o.faces[r : r + 1])[0, 0]) for n, (o, r) in last.items()}
            best = max(near, key=lambda n: near[n], default=None)
            if best is None or near[best] < _SAME:
                lines.append([(look, int(row))])
            else:
                lines[best].append((look, int(row)))
                free.discard(best)
    found = []
    for line in lines:
        boxes = as_boxes([as_box(look.faces[row]) for look, row in line])
        usual = np.median(boxes, axis=0, keepdims=True).astype(np.float32)
        share = len(line) / len(looks)
        if len(line) >= fewest and share >= _PRESENT and float(iou(boxes, usual).mean()) >= _STEADY:
            look, at = line[len(line) // 2]
            steps = tuple((a, b, unlike(a.rooms[i], b.rooms[j])) for (a, i), (b, j) in pairwise(line))
            found.append(_Line(as_box(look.faces[at]), look.frame_idx, share, steps))
    return found


def _steps(pictures: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Difference of each picture from the one before, 0 to 1."""
    return np.array([unlike(a, b) for a, b in pairwise(pictures)] or [0.0], np.float32)


def unlike(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Difference of two small pictures: 0 (the same but for brightness) to 1 (nothing in common)."""
    one, other = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float(np.clip(1 - (one * other).sum() / scale, 0, 1)) if scale > 1e-3 else 0.0
