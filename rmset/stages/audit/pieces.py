"""Pieces of tracks, each of one person, by the vectors of a few faces.

The vectors are those of `rmset.parts.identity`; their distances tell people apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box
from rmset.stages.audit.screen import unlike

FEWEST = 2
"""fewest faces of a piece"""
OTHER_ROOM = 0.3
"""least difference between small pictures of different rooms"""
FAR = 0.1
"""margin over the distance of two people, or under that of one, that makes it clear"""
# Two people even in one room: fewest faces a side, largest spread of a side (share of the distance of two people).
_MANY, _ONE = 3, 0.75


@dataclass(frozen=True)
class Sample:
    """One face that was compared."""

    person_id: int
    frame_idx: int
    box: Box
    vector: npt.NDArray[np.float32]
    segment: int = 0
    """number of the layout's segment"""
    room: npt.NDArray[np.float32] | None = None
    """small gray picture of the person's panel; None if unknown"""


@dataclass(frozen=True)
class Piece:
    """Part of a track whose faces are of one person."""

    person_id: int
    samples: tuple[Sample, ...]

    @property
    def start(self) -> int:
        """Frame of the first face."""
        return self.samples[0].frame_idx

    @property
    def end(self) -> int:
        """Frame of the last face."""
        return self.samples[-1].frame_idx


def split(samples: Sequence[Sample], same: float, other: float) -> list[Piece]:
    """Cut one track into pieces wherever the faces before and after are of two people.

    Where the room changes too, faces need only be unlike: nearer to two people's than to one person's.
    """
    middle = (same + other) / 2
    ordered = sorted(samples, key=lambda s: s.frame_idx)
    if not ordered:
        return []
    best, at = 0.0, 0
    for k, before, after in cuts(ordered):
        apart, within = distance(before, after), max(spread(before), spread(after))
        # An expression can look like another person, so another room must confirm the change unless it is clear.
        sure = min(len(before), len(after)) >= _MANY and apart >= other + FAR and within <= _ONE * other
        if apart - within > best and (sure or (apart >= middle and rooms_apart(before, after) >= OTHER_ROOM)):
            best, at = apart - within, k
    if not at:
        return [Piece(ordered[0].person_id, tuple(ordered))]
    at = _settled(ordered, at)
    return split(ordered[:at], same, other) + split(ordered[at:], same, other)


def cuts(ordered: Sequence[Sample]) -> Iterator[tuple[int, Sequence[Sample], Sequence[Sample]]]:
    """Yield each place to cut a track, and the faces before and after it.

    Also few of them: later faces may be of the first person again.
    """
    for k in range(FEWEST, len(ordered) - FEWEST + 1):
        for window in (FEWEST, FEWEST + 1, len(ordered)):
            yield k, ordered[max(0, k - window) : k], ordered[k : k + window]


def _settled(ordered: Sequence[Sample], at: int) -> int:
    """Return where to cut: the faces next to the cut are moved to the side that they resemble."""
    # Medians of whole sides hardly notice one face on the wrong side, but it makes pieces of two people overlap.
    for step in (-1, 1):
        while FEWEST <= at + step <= len(ordered) - FEWEST:
            moved = ordered[at - 1] if step < 0 else ordered[at]
            before = [s for s in ordered[max(0, at - _MANY - 1) : at] if s is not moved]
            after = [s for s in ordered[at : at + _MANY + 1] if s is not moved]
            towards, own = (after, before) if step < 0 else (before, after)
            if distance([moved], towards) >= distance([moved], own):
                break
            at += step
    return at


def distance(one: Sequence[Sample], two: Sequence[Sample]) -> float:
    """Median distance between faces of two groups."""
    a, b = np.stack([s.vector for s in one]), np.stack([s.vector for s in two])
    return float(np.median(np.linalg.norm(a[:, None] - b[None], axis=2)))


def rooms_apart(one: Sequence[Sample], two: Sequence[Sample]) -> float:
    """Median difference between the rooms of two groups, 0 to 1; 1 where a room is unknown."""
    steps = [unlike(a.room, b.room) if a.room is not None and b.room is not None else 1.0 for a in one for b in two]
    return float(np.median(steps))


def spread(group: Sequence[Sample]) -> float:
    """Median distance between faces of one group."""
    vectors = np.stack([s.vector for s in group])
    rows, columns = np.triu_indices(len(vectors), 1)
    return float(np.median(np.linalg.norm(vectors[rows] - vectors[columns], axis=1))) if len(rows) else 0.0
