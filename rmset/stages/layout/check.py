"""Checks of a layout: invalid or unreviewed parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from rmset.geometry import area, as_boxes, center, clip, contains_point, covered, iou
from rmset.layout_record import Layout, Segment

# IoU above which two people's boxes are an error: they are one person, or one of them is no person.
_SAME_FACE = 0.4
# Largest share of a person's panel that a trigger region may cover, as an inset does.
_HIDDEN = 0.5


@dataclass(frozen=True)
class LayoutProblem:
    """A fault of a layout, or a part not yet confirmed."""

    segment: int | None
    """number of the segment, from 0; None for the whole video"""
    frames: str
    problem: str
    remedy: str
    is_error: bool = True
    """False if it only waits to be reviewed"""


def check(layout: Layout, frame_count: int) -> list[LayoutProblem]:
    """Return the faults of a layout, segment by segment.

    Boxes outside the frame and segments out of order are not checked here: `Layout` refuses them on reading.
    """
    found: list[LayoutProblem] = []
    end = 0
    if layout.moved:
        remedy = "look at its boundaries and boxes in `rmset layout review`, and save it"
        found.append(LayoutProblem(None, f"0:{frame_count}", f"was drawn on other frames: {layout.moved}", remedy))
    for number, segment in enumerate(layout.segments):
        if segment.start_frame > end:
            found.append(_gap(end, segment.start_frame))
        end = segment.end_frame
        frames = f"{segment.start_frame}:{segment.end_frame}"
        for problem, remedy in _problems(segment):
            found.append(LayoutProblem(number, frames, problem, remedy))
        if not segment.reviewed:
            found.append(LayoutProblem(number, frames, "not reviewed", "confirm it in `rmset layout review`", False))
    if end < frame_count:
        found.append(_gap(end, frame_count))
    elif end > frame_count:
        text = f"ends at frame {end}, the video at {frame_count}"
        found.append(LayoutProblem(None, f"{frame_count}:{end}", text, "propose it again with --force"))
    if not any(s.people for s in layout.segments):
        remedy = "draw people with `rmset layout set --person x0,y0,x1,y1`, or leave the video out"
        found.append(LayoutProblem(None, f"0:{frame_count}", "names no people", remedy))
    return found


def _gap(start: int, end: int) -> LayoutProblem:
    return LayoutProblem(None, f"{start}:{end}", "belongs to no segment", "propose the layout again with --force")


def _problems(segment: Segment) -> Iterator[tuple[str, str]]:
    regions = as_boxes(list(segment.masked))
    for person in segment.people:
        if contains_point(regions, *center(person.box)).any():
            yield f"person {person.person_id} is inside a trigger region", "move or delete one of them"
        elif person.panel is not None:
            panel = as_boxes([person.panel])
            if float(covered(panel, regions)[0]) > _HIDDEN:
                yield f"the panel of person {person.person_id} is removed with the film", "shrink the trigger region"
            inside = as_boxes([clip(person.box, person.panel)])
            if float(area(inside)[0]) < 0.5 * float(area(as_boxes([person.box]))[0]):
                yield f"person {person.person_id} is outside their panel", "draw the person again"
    faces = as_boxes([p.box for p in segment.people])
    overlap = iou(faces, faces)
    for (i, one), (j, other) in combinations(enumerate(segment.people), 2):
        if overlap[i, j] > _SAME_FACE:
            yield f"people {one.person_id} and {other.person_id} overlap", "delete one of them"
