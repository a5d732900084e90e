"""Correct a layout's ids by the audit: segments are cut where an id passes to another person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rmset.answers import Rename
from rmset.layout_record import Layout, Segment

# Most confidence in a segment with corrected ids, until somebody has looked at it: of twelve held-out short mashups
# whose ids were corrected, seven came out right (benchmarks/results/places.md).
_CORRECTED = 0.75


def mended(layout: Layout, renames: Sequence[Rename]) -> Layout:
    """Return the layout with each rename applied from its frame on, until the next rename of the same id.

    If the new id is taken by another person of the segment, the two people exchange ids.
    """
    segments = list(layout.segments)
    for frame in sorted({r.frame_idx for r in renames}):
        segments = [part for segment in segments for part in _cut(segment, frame)]
    done = []
    for segment in segments:
        now: dict[int, int] = {}
        for rename in sorted(renames, key=lambda r: r.frame_idx):
            if rename.frame_idx <= segment.start_frame:
                now[rename.person_id] = rename.becomes
        done.append(_renamed(segment, now))
    return replace(layout, segments=tuple(done), corrected=layout.corrected + 1)


def _cut(segment: Segment, frame: int) -> list[Segment]:
    if not segment.start_frame < frame < segment.end_frame:
        return [segment]
    first = replace(segment, end_frame=frame, reference_frame=min(segment.reference_frame, frame - 1))
    second = replace(segment, start_frame=frame, reference_frame=max(segment.reference_frame, frame))
    return [first, second]


def _renamed(segment: Segment, names: dict[int, int]) -> Segment:
    wanted = {p.person_id: names.get(p.person_id, p.person_id) for p in segment.people}
    for old, new in list(wanted.items()):
        holder = next((p for p, n in wanted.items() if p != old and n == new), None)
        if holder is not None and old in names:
            wanted[holder] = old
    people = tuple(replace(p, person_id=wanted[p.person_id]) for p in segment.people)
    if people == segment.people or len({p.person_id for p in people}) < len(people):
        return segment
    return replace(segment, people=people, confidence=min(segment.confidence, _CORRECTED))
