"""Who sits in which panel, in which frame they are seen best, and which id they keep from segment to segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rmset.geometry import Box, as_boxes, center, clip, contains_point, iou
from rmset.records import Person, Segment
from rmset.stages.layout.watch import Sitter, View, Watched

# A face that is seen in so few looks is nobody's.
_PRESENT = 0.15
# A second face of one panel must be seen so often, and be so large beside the first.
_SECOND, _SECOND_SIZE = 0.6, 0.5
# Panels that overlap so much are the same place.
_SAME_PLACE = 0.6


def sitters(panel: Watched) -> list[Sitter]:
    """Who sits in a panel: one, or several where all of them stay."""
    steady = [s for s in panel.sitters if s.presence >= _PRESENT and s.steadiness >= 0.3]
    if not steady:
        return []
    first = max(steady, key=lambda s: s.presence * s.steadiness * _area(s.usual) ** 0.5)
    more = [
        s
        for s in steady
        if s is not first
        and s.presence >= _SECOND
        and _area(s.usual) >= _SECOND_SIZE * _area(first.usual)
        and float(iou(as_boxes([s.usual]), as_boxes([first.usual]))[0, 0]) < 0.2
    ]
    return [first, *more]


def reference_look(view: View, seated: Sequence[Sitter]) -> int:
    """Number of the look in which most people are seen; of equals, the sharpest."""
    if not view.frames:
        return 0
    sharpest = max(max(view.sharpness), 1e-6)
    return max(
        range(len(view.frames)),
        key=lambda i: (sum(s.boxes[i] is not None for s in seated), view.sharpness[i] / sharpest, -i),
    )


def people_of(view: View, film: Sequence[int], regions: Sequence[Box]) -> tuple[int, tuple[Person, ...]]:
    """(reference frame, people) of a view, numbered in reading order of their panels."""
    seats = [(panel, s) for n, panel in enumerate(view.panels) if n not in film for s in sitters(panel)]
    look = reference_look(view, [s for _, s in seats])
    people: list[Person] = []
    for panel, sitter in seats:
        box = clip(_box_at(sitter, look), panel.panel.box)
        if box[0] >= box[2] or box[1] >= box[3] or contains_point(as_boxes(list(regions)), *center(box)).any():
            continue
        confidence = min(1.0, sitter.presence * 1.1) * min(1.0, 0.5 + sitter.steadiness) * min(1.0, sitter.score)
        x0, y0, x1, y1 = (round(v, 1) for v in box)
        people.append(Person(len(people), (x0, y0, x1, y1), panel.panel.box, "detected", round(confidence, 3)))
    return (view.frames[look] if view.frames else 0), tuple(people)


def _box_at(sitter: Sitter, look: int) -> Box:
    """The face in this look, or in the nearest in which it is seen."""
    order = sorted(range(len(sitter.boxes)), key=lambda i: (abs(i - look), i))
    return next(box for i in order if (box := sitter.boxes[i]) is not None)


def with_lasting_ids(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The segments with ids that are unique in the video and stay with a panel that keeps its place."""
    known: list[tuple[int, Box]] = []
    done: list[Segment] = []
    next_id = 0
    for segment in segments:
        taken: set[int] = set()
        people = []
        for person in segment.people:
            place = _place(person)
            free = [(i, box) for i, box in known if i not in taken]
            overlap = iou(as_boxes([place]), as_boxes([box for _, box in free]))[0] if free else np.zeros(0)
            if len(overlap) and overlap.max() >= _SAME_PLACE:
                person_id = free[int(overlap.argmax())][0]
            else:
                person_id, next_id = next_id, next_id + 1
            taken.add(person_id)
            people.append(replace(person, person_id=person_id))
        now = {p.person_id: _place(p) for p in people}
        # A panel that is gone for a segment (a title between) may come back.
        known = [(i, box) for i, box in known if i not in now] + list(now.items())
        done.append(replace(segment, people=tuple(people)))
    return tuple(done)


def _place(person: Person) -> Box:
    return person.panel or person.box


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
