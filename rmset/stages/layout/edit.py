"""Manual changes of a layout, by a person or a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rmset.errors import LayoutError
from rmset.geometry import Box, center
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.root import Root


def is_manual(root: Root, video_id: str) -> bool:
    """Whether any part of the layout was drawn or confirmed by a person; proposals leave such layouts alone."""
    if not root.has_layout(video_id):
        return False
    return any(
        s.reviewed
        or any(r.source == "manual" for r in s.trigger_regions)
        or any(p.source == "manual" for p in s.people)
        for s in root.layout(video_id).segments
    )


def edit(
    layout: Layout,
    *,
    span: tuple[int, int] | None = None,
    triggers: Sequence[Box] = (),
    people: Sequence[Box] = (),
    append: bool = False,
    reviewed: bool | None = None,
) -> Layout:
    """Return the layout with the given parts replaced, in the segments that overlap `span` (all if None).

    A drawn person gets the panel they are drawn in, if the layout has one there.

    Raises:
        LayoutError: a box does not fit into the frame, or no segment overlaps the span.
    """
    touched = [s for s in layout.segments if span is None or (s.start_frame < span[1] and span[0] < s.end_frame)]
    if not touched:
        raise LayoutError(
            f"layout of {layout.video_id}: no segment overlaps {span}; it has "
            + ", ".join(f"{s.start_frame}:{s.end_frame}" for s in layout.segments)
        )
    changed = [_edited(s, triggers, people, append, reviewed) if s in touched else s for s in layout.segments]
    return replace(layout, segments=tuple(changed), moved=None if reviewed else layout.moved)


def _edited(
    segment: Segment, triggers: Sequence[Box], people: Sequence[Box], append: bool, reviewed: bool | None
) -> Segment:
    regions, known = segment.trigger_regions, segment.people
    if triggers:
        made = tuple(TriggerRegion(b, "manual", 1.0) for b in triggers)
        regions = (*regions, *made) if append else made
    if people:
        first = max((p.person_id for p in known), default=-1) + 1 if append else 0
        drawn = tuple(
            Person(
                first + i, b, next((p.panel for p in known if p.panel and _holds(p.panel, *center(b))), None), "manual"
            )
            for i, b in enumerate(people)
        )
        known = (*known, *drawn) if append else drawn
    return replace(
        segment,
        trigger_regions=regions,
        people=known,
        reviewed=segment.reviewed if reviewed is None else reviewed,
    )


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]
