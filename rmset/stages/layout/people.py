"""People of each panel, the frame in which most of them are visible, and ids that last across segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from rmset.geometry import Box, as_boxes, center, clip, contains_point, iou
from rmset.layout_record import Person, Segment
from rmset.stages.layout.portraits import OTHER_ROOM, SAME_ROOM, Portrait, likeness, usual
from rmset.stages.layout.sitters import Sitter
from rmset.stages.layout.watch import View, Watched

# Least share of looks in which a person's face is seen.
_PRESENT = 0.15
# A second face of one panel: least share of looks, and least area relative to the first face. A smaller one is enough
# if it moves (share of its height), as a picture on the wall never does.
_SECOND, _SECOND_SIZE = 0.6, 0.5
_SMALL_SECOND, _STIRS = 0.15, 0.02
# Largest distance of two faces in one column, relative to a face's width.
_COLUMN = 0.25
# IoU above which two faces are one, and least share of a panel inside another that reaches over it.
_SAME_FACE, _LIES_IN = 0.3, 0.8
# Least IoU of panels in the same place.
_SAME_PLACE = 0.6
# Least share of panels at old places that show a new room when the whole screen fades.
_FADED = 0.6


def sitters(panel: Watched) -> list[Sitter]:
    """People of a panel: one, or several if all of them stay."""
    steady = [s for s in panel.sitters if s.presence >= _PRESENT and s.steadiness >= 0.3]
    if not steady:
        return []
    first = max(steady, key=lambda s: s.presence * s.steadiness * _area(s.usual) ** 0.5)
    more = [
        s
        for s in steady
        if s is not first
        and s.presence >= _SECOND
        and _area(s.usual) >= (_SMALL_SECOND if s.stirs >= _STIRS else _SECOND_SIZE) * _area(first.usual)
        and float(iou(as_boxes([s.usual]), as_boxes([first.usual]))[0, 0]) < 0.2
        and not _on_one_head(s.usual, first.usual)
    ]
    return [first, *more]


def _on_one_head(face: Box, other: Box) -> bool:
    """Whether a face overlaps another above or below it: hair or a chin that looks like a face.

    A person right above another shows a face only if its box ends above the other's hair.
    """
    apart = abs(center(face)[0] - center(other)[0])
    return apart <= _COLUMN * (other[2] - other[0]) and _area(clip(face, other)) > 0


def reference_look(view: View, seated: Sequence[Sitter]) -> int:
    """Return the number of the look in which most people are seen; of equals, the sharpest."""
    if not view.frames:
        return 0
    sharpest = max(max(view.sharpness), 1e-6)
    return max(
        range(len(view.frames)),
        key=lambda i: (sum(s.boxes[i] is not None for s in seated), view.sharpness[i] / sharpest, -i),
    )


def people_of(view: View, film: Sequence[int], regions: Sequence[Box]) -> tuple[int, tuple[Person, ...]]:
    """Choose (reference frame, people) of a view, numbered in reading order of their panels."""
    seats = [(panel, s) for n, panel in enumerate(view.panels) if n not in film for s in sitters(panel)]
    look = reference_look(view, [s for _, s in seats])
    people: list[Person] = []
    for panel, sitter in seats:
        box = clip(_box_at(sitter, look), panel.panel.box)
        # A film over a panel's corner covers a face there; a panel over the film is not covered.
        hiding = [r for r in regions if not _lies_over(panel, r)]
        if box[0] >= box[2] or box[1] >= box[3] or contains_point(as_boxes(hiding), *center(box)).any():
            continue
        confidence = min(1.0, sitter.presence * 1.1) * min(1.0, 0.5 + sitter.steadiness) * min(1.0, sitter.score)
        x0, y0, x1, y1 = (round(v, 1) for v in box)
        people.append(Person(len(people), (x0, y0, x1, y1), panel.panel.box, "detected", round(confidence, 3)))
    insets = {panel.panel.box for panel, _ in seats if panel.panel.inset}
    return (view.frames[look] if view.frames else 0), _apart(people, insets)


def _apart(people: Sequence[Person], insets: Set[Box]) -> tuple[Person, ...]:
    """Return the people without those seen twice; where a panel also showed the face of another one, without that one.

    A line between two panels may not be seen while one of them is empty. The other one then reaches over it, to the
    face beyond. A panel under an inset stays whole.
    """
    kept: list[Person] = []
    # The narrowest panel first: it is the face's own.
    beyond: dict[Box, list[Box]] = {}
    for person in sorted(people, key=lambda p: (_area(_place(p)), p.person_id)):
        faces = as_boxes([k.box for k in kept])
        overlap = iou(as_boxes([person.box]), faces)[0] if len(faces) else np.zeros(1)
        if overlap.max() <= _SAME_FACE:
            kept.append(person)
        elif person.panel is not None and (own := kept[int(overlap.argmax())].panel) not in insets and own is not None:
            beyond.setdefault(person.panel, []).append(own)
    apart = [
        replace(p, panel=_trimmed(p, beyond[p.panel])) if p.panel in beyond else p
        for p in sorted(kept, key=lambda p: p.person_id)
    ]
    return tuple(replace(p, person_id=n) for n, p in enumerate(apart))


def _trimmed(person: Person, others: Sequence[Box]) -> Box | None:
    """Return a person's panel without the smaller panels of others that lie in it, where a straight cut can do it."""
    panel = person.panel
    for other in sorted(others):
        if panel is None or _area(other) >= _area(panel) or _area(clip(other, panel)) < _LIES_IN * _area(other):
            continue
        x0, y0, x1, y1 = panel
        sides: list[Box] = [
            (x0, y0, other[0], y1),
            (other[2], y0, x1, y1),
            (x0, y0, x1, other[1]),
            (x0, other[3], x1, y1),
        ]
        free = [s for s in sides if s[0] < s[2] and s[1] < s[3] and clip(person.box, s) == person.box]
        panel = max(free, key=_area, default=panel)
    return panel


def _lies_over(panel: Watched, region: Box) -> bool:
    return panel.panel.inset and panel.area < _area(region) and clip(panel.panel.box, region) == panel.panel.box


def _box_at(sitter: Sitter, look: int) -> Box:
    """Return the face's box in this look, or in the nearest look in which it is seen."""
    order = sorted(range(len(sitter.boxes)), key=lambda i: (abs(i - look), i))
    return next(box for i in order if (box := sitter.boxes[i]) is not None)


@dataclass(frozen=True)
class Faces:
    """Usual picture of each panel in each view."""

    seen: Mapping[tuple[int, int, Box], Portrait]
    """(start frame, end frame, panel) -> its usual picture"""

    @classmethod
    def of(cls, views: Sequence[tuple[range, View]]) -> Faces:
        """Build it from the views of a video."""
        return cls(
            {
                (frames.start, frames.stop, panel.panel.box): usual(panel.portraits)
                for frames, view in views
                for panel in view.panels
                if panel.portraits
            }
        )

    def portrait(self, segment: Segment, person: Person) -> Portrait | None:
        """Return a person's usual picture in the first view of a segment that has their panel; None if none has."""
        for (start, end, panel), picture in sorted(self.seen.items(), key=lambda item: item[0]):
            if start < segment.end_frame and segment.start_frame < end and panel == person.panel:
                return picture
        return None

    def alike(self, one: Segment, person: Person, other: Segment, another: Person) -> float:
        """Likeness of the rooms of two people, 0 to 1; 1 if a picture is missing."""
        a, b = self.portrait(one, person), self.portrait(other, another)
        return likeness(a, b) if a is not None and b is not None else 1.0

    def best(self, segment: Segment, person: Person, others: Sequence[Segment]) -> float:
        """Largest likeness of a person's room to the rooms of people in segments with several people, 0 to 1."""
        mine = self.portrait(segment, person)
        if mine is None:
            return 0.0
        theirs = [
            picture
            for s in others
            if s is not segment and len(s.people) >= 2
            for p in s.people
            if (picture := self.portrait(s, p)) is not None
        ]
        return max((likeness(mine, picture) for picture in theirs), default=0.0)


@dataclass
class _Known:
    """A person who has an id."""

    person_id: int
    place: Box
    portrait: Portrait | None


def with_lasting_ids(segments: Sequence[Segment], faces: Faces | None = None, brief: int = 0) -> tuple[Segment, ...]:
    """Return the segments with ids that are unique in the video and stay with the person.

    A panel that keeps its place keeps its id while it shows the same room. In a panel at a new place or with a new
    room, a person gets the id that had this room before, or a new id. If most panels show a new room at once, before
    or after a segment of at most `brief` frames, the screen fades, and ids stay.
    """
    faces = faces or Faces({})
    known: list[_Known] = []
    done: list[Segment] = []
    for segment in segments:
        portraits = [faces.portrait(segment, p) for p in segment.people]
        fades = any(s.end_frame - s.start_frame <= brief for s in (*done[-1:], segment))
        ids = _named([_place(p) for p in segment.people], portraits, known, fades=fades)
        for person, picture, person_id in zip(segment.people, portraits, ids, strict=True):
            mine = next((k for k in known if k.person_id == person_id), None)
            if mine is None:
                known.append(_Known(person_id, _place(person), picture))
            else:
                # A moment in full screen does not change a person's place.
                mine.place = _place(person) if len(segment.people) > 1 or len(segments) == 1 else mine.place
                mine.portrait = picture if picture is not None else mine.portrait
        named = tuple(replace(p, person_id=i) for p, i in zip(segment.people, ids, strict=True))
        done.append(replace(segment, people=named))
    return tuple(done)


def _named(
    places: Sequence[Box], portraits: Sequence[Portrait | None], known: Sequence[_Known], *, fades: bool = False
) -> list[int]:
    """Assign an id to each place: the best pairs of a place and a known person first, new ids for the rest."""
    alike = [
        [likeness(p, k.portrait) if p is not None and k.portrait is not None else None for k in known]
        for p in portraits
    ]
    kept = np.zeros((len(places), len(known)), bool)
    if kept.size:
        kept = iou(as_boxes(list(places)), as_boxes([k.place for k in known])) >= _SAME_PLACE
    new = np.array([all(a is not None and a < OTHER_ROOM for a in row) for row in alike], bool)
    here = kept.any(axis=1)
    faded = fades and (here & new).sum() >= _FADED * max(2, here.sum())
    scores: list[tuple[float, int, int]] = []
    for row, column in np.ndindex(*kept.shape):
        score = alike[row][column]
        if kept[row, column] and (score is None or score >= OTHER_ROOM or (faded and new[row])):
            scores.append((2 + (score or 0), row, column))
        elif score is not None and score >= SAME_ROOM:
            scores.append((score, row, column))
    ids: dict[int, int] = {}
    taken: set[int] = set()
    for _, row, column in sorted(scores, key=lambda s: (-s[0], s[1], s[2])):
        if row not in ids and column not in taken:
            ids[row] = known[column].person_id
            taken.add(column)
    fresh = max((k.person_id for k in known), default=-1) + 1
    for row in range(len(places)):
        if row not in ids:
            ids[row], fresh = fresh, fresh + 1
    return [ids[row] for row in range(len(places))]


def _place(person: Person) -> Box:
    return person.panel or person.box


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
