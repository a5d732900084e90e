"""Gaps in tracks: tell people who left from people whose face is lost.

frames of a person -> gaps between them -> the panel in and beside each gap -> alike: the person is still there
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rmset.answers import FOUND, Answer
from rmset.geometry import Box
from rmset.layout_record import Person, Segment
from rmset.parts.frames import Gray
from rmset.stages.audit.screen import thumb, unlike

# Shortest gap examined, frames; shorter ones are blinks of the tracker.
_SHORT = 8
# Longest gaps examined per person and segment.
_MOST = 4
# Difference of a panel in a gap from the panel beside it below which its person is still there.
_ALIKE = 0.08
# Largest share of all faces that may be lost, and confidence left if more are.
_LOST = 0.03
_LEFT = 0.6


@dataclass(frozen=True)
class Gap:
    """A stretch of a segment in which a person is not found."""

    person: Person
    frames: int
    """length"""
    inside: tuple[int, ...]
    """frames of the gap to examine"""
    beside: tuple[int, ...]
    """frames next to the gap, in which the person is found"""
    still_there: bool = False
    """whether the panel looks the same in the gap and beside it"""


def between(segment: Segment, person: Person, found: npt.NDArray[np.int64]) -> list[Gap]:
    """Longest gaps of a person, who has none if found in no frame: then the layout is wrong, not the track."""
    if not len(found) or person.panel is None:
        return []
    edges = np.concatenate([[segment.start_frame - 1], found, [segment.end_frame]])
    sizes = np.diff(edges) - 1
    gaps = []
    for at in sorted(np.flatnonzero(sizes >= _SHORT), key=lambda n: (-sizes[n], n))[:_MOST]:
        first, last = int(edges[at]) + 1, int(edges[at + 1]) - 1
        beside = tuple(int(f) for f in edges[at : at + 2] if segment.start_frame <= f < segment.end_frame)
        gaps.append(Gap(person, int(sizes[at]), ((first + last) // 2,), beside))
    return gaps


def seen(gap: Gap, shown: Mapping[int, Gray]) -> Gap:
    """Fill in `still_there` from the gray frames (H, W) `shown`."""
    if gap.person.panel is None:
        return gap
    place: Box = gap.person.panel
    within = [thumb(shown[f], place) for f in gap.inside if f in shown]
    beside = [thumb(shown[f], place) for f in gap.beside if f in shown]
    alike = [min(unlike(a, b) for b in beside) < _ALIKE for a in within if beside]
    return replace(gap, still_there=bool(alike) and all(alike))


def ask(gaps: Sequence[Gap], segments: Iterable[Segment]) -> list[Answer]:
    """Return a bad answer if too many faces are lost of people who still sit in their panels."""
    expected = sum(len(s.people) * (s.end_frame - s.start_frame) for s in segments)
    lost = [g for g in gaps if g.still_there]
    if not expected or sum(g.frames for g in lost) <= _LOST * expected:
        return []
    most = max(lost, key=lambda g: g.frames)
    count = len({g.person.person_id for g in lost})
    detail = (
        f"person {most.person.person_id} is not found in {most.frames} frames in which their panel looks as before; "
        f"so {sum(g.frames for g in lost) / expected:.0%} of all faces may be lost, of {count} people"
    )
    box = most.person.panel
    return [Answer(FOUND, "no", False, detail, most.inside[0], box, most.person.person_id, _LEFT)]
