"""People who are not found for a while: have they left, or are they only not seen?

frames of a person -> gaps between them -> their panel there and beside -> alike: the person is still there
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

# Shorter gaps are blinks of the tracker (frames).
_SHORT = 8
# So many of a person's longest gaps in a segment are looked at.
_MOST = 4
# A panel that differs by less from one in which its person is seen still shows them.
_ALIKE = 0.08
# More of all faces than this share must not be lost.
_LOST = 0.03
_LEFT = 0.6


@dataclass(frozen=True)
class Gap:
    """A stretch of a segment in which a person is not found."""

    person: Person
    frames: int
    """length"""
    inside: tuple[int, ...]
    """frames to look at in it"""
    beside: tuple[int, ...]
    """frames to look at in which the person is found, before and after"""
    still_there: bool = False
    """whether the panel looks in it as it does beside it"""


def between(segment: Segment, person: Person, found: npt.NDArray[np.int64]) -> list[Gap]:
    """Longest gaps of a person (those that are found in no frame have none: the layout does not know them)."""
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
    """Return the gap with what its frames (H, W) show."""
    if gap.person.panel is None:
        return gap
    place: Box = gap.person.panel
    within = [thumb(shown[f], place) for f in gap.inside if f in shown]
    beside = [thumb(shown[f], place) for f in gap.beside if f in shown]
    alike = [min(unlike(a, b) for b in beside) < _ALIKE for a in within if beside]
    return replace(gap, still_there=bool(alike) and all(alike))


def ask(gaps: Sequence[Gap], segments: Iterable[Segment]) -> list[Answer]:
    """Return a bad answer if too many faces of the segments are lost, of people who still sit there."""
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
