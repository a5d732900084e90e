"""Identity check: find changes of person inside tracks, and match the pieces of all tracks.

vectors of a few faces per person, in order of time -> pieces of one person each -> pieces with one name each
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rmset.answers import PERSON, Answer, Rename
from rmset.geometry import Box
from rmset.stages.audit.screen import unlike

# Fewest faces of a piece.
_FEWEST = 2
# Least difference between small pictures of different rooms, and largest between those of one room.
_OTHER_ROOM, _ONE_ROOM = 0.3, 0.15
# Two people even in one room: margin over `other`, fewest faces a side, largest spread of a side (share of `other`).
_FAR, _MANY, _ONE = 0.1, 3, 0.75
# Confidence left if identities are mixed.
_MIXED = 0.3


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


Find = Callable[[Piece | None, Piece], int]
"""(the piece before a change, if any, and the piece after it) -> first frame of the second person"""


def after_the_last_face(before: Piece | None, after: Piece) -> int:
    """Return the first frame that may show the second person, where no further faces can be compared."""
    return after.start if before is None else before.end + 1


def ask(
    samples: Sequence[Sample], same: float, other: float, find: Find = after_the_last_face
) -> tuple[list[Answer], list[Rename]]:
    """Answers, and the renames that would correct identities.

    Args:
        samples: faces of all people.
        same: distance below which faces are of one person.
        other: distance above which faces are of two people.
        find: finds the frame of a change.
    """
    people = sorted({s.person_id for s in samples})
    pieces = [piece for p in people for piece in split([s for s in samples if s.person_id == p], same, other)]
    pieces = [p for p in pieces if len(p.samples) >= _FEWEST]
    if not pieces:
        return [Answer(PERSON, "cannot tell", None, "too few faces")], []
    twins = _twins(pieces, same)
    # In a video with people who look alike, a like face alone gives no name.
    names = _named(pieces, same, other, alone=same - _FAR if twins is None else 0.0)
    answers, renames = _changes(pieces, names, find)
    # People who look alike may change places unseen; a change to somebody who looks otherwise is one all the same.
    if not answers and twins is not None:
        one, two = twins
        detail = f"people {one.person_id} and {two.person_id} are on the screen at once and look like one person"
        answers = [Answer(PERSON, "cannot tell", None, detail, one.start, one.samples[0].box, one.person_id)]
    elif not answers:
        answers = [Answer(PERSON, "yes", True, f"{len(samples)} faces of {len(people)} people compared")]
    return answers, renames


def split(samples: Sequence[Sample], same: float, other: float) -> list[Piece]:
    """Cut one track into pieces wherever the faces before and after are of two people.

    Where the room changes too, faces need only be unlike: nearer to two people's than to one person's.
    """
    middle = (same + other) / 2
    ordered = sorted(samples, key=lambda s: s.frame_idx)
    if not ordered:
        return []
    best, at = 0.0, 0
    for k in range(_FEWEST, len(ordered) - _FEWEST + 1):
        for window in (_FEWEST, _FEWEST + 1, len(ordered)):
            # Short windows too: later faces may be of the first person again.
            before, after = ordered[max(0, k - window) : k], ordered[k : k + window]
            apart, within = _apart(before, after), max(_within(before), _within(after))
            # An expression can look like another person, so another room must confirm the change unless it is clear.
            sure = min(len(before), len(after)) >= _MANY and apart >= other + _FAR and within <= _ONE * other
            if apart - within > best and (sure or (apart >= middle and _rooms_apart(before, after) >= _OTHER_ROOM)):
                best, at = apart - within, k
    if not at:
        return [Piece(ordered[0].person_id, tuple(ordered))]
    at = _settled(ordered, at)
    return split(ordered[:at], same, other) + split(ordered[at:], same, other)


def _settled(ordered: Sequence[Sample], at: int) -> int:
    """Return where to cut: the faces next to the cut are moved to the side that they resemble."""
    # Medians of whole sides hardly notice one face on the wrong side, but it makes pieces of two people overlap.
    for step in (-1, 1):
        while _FEWEST <= at + step <= len(ordered) - _FEWEST:
            moved = ordered[at - 1] if step < 0 else ordered[at]
            before = [s for s in ordered[max(0, at - _MANY - 1) : at] if s is not moved]
            after = [s for s in ordered[at : at + _MANY + 1] if s is not moved]
            towards, own = (after, before) if step < 0 else (before, after)
            if _apart([moved], towards) >= _apart([moved], own):
                break
            at += step
    return at


def _apart(one: Sequence[Sample], two: Sequence[Sample]) -> float:
    """Median distance between faces of two groups."""
    a, b = np.stack([s.vector for s in one]), np.stack([s.vector for s in two])
    return float(np.median(np.linalg.norm(a[:, None] - b[None], axis=2)))


def _rooms_apart(one: Sequence[Sample], two: Sequence[Sample]) -> float:
    """Median difference between the rooms of two groups, 0 to 1; 1 where a room is unknown."""
    steps = [unlike(a.room, b.room) if a.room is not None and b.room is not None else 1.0 for a in one for b in two]
    return float(np.median(steps))


def _within(group: Sequence[Sample]) -> float:
    """Median distance between faces of one group."""
    vectors = np.stack([s.vector for s in group])
    rows, columns = np.triu_indices(len(vectors), 1)
    return float(np.median(np.linalg.norm(vectors[rows] - vectors[columns], axis=1))) if len(rows) else 0.0


def _twins(pieces: Sequence[Piece], same: float) -> tuple[Piece, Piece] | None:
    """Two pieces of different people at the same time with faces like one person's; None if there are none.

    If there are, embeddings cannot tell these two apart.
    """
    for number, one in enumerate(pieces):
        for two in pieces[number + 1 :]:
            if one.person_id != two.person_id and _overlap(one, two) and _apart(one.samples, two.samples) < same:
                return one, two
    return None


def _overlap(one: Piece, two: Piece) -> bool:
    return one.start <= two.end and two.start <= one.end


def _named(pieces: Sequence[Piece], same: float, other: float, alone: float) -> list[int]:
    """Name each piece after a piece of the same person at another time, else after its track, else by a new name.

    Args:
        pieces: pieces of all tracks.
        same: distance below which faces in like rooms are of one person.
        other: distance below which faces in the very same room are.
        alone: distance below which faces in any rooms are.
    """
    order = sorted(range(len(pieces)), key=lambda i: (pieces[i].start, pieces[i].person_id))
    names: dict[int, int] = {}
    fresh = max(p.person_id for p in pieces) + 1
    for i in order:
        mine = pieces[i]
        near = sorted((_apart(mine.samples, pieces[j].samples), j) for j in names if not _overlap(mine, pieces[j]))
        taken = {names[j] for j in names if _overlap(mine, pieces[j])}
        known = [
            names[j]
            for distance, j in near
            if names[j] not in taken
            # A like face is the same person with the same name or a like room; an undecided one in the same room.
            if distance < alone
            or (distance < same and (names[j] == mine.person_id or _rooms(mine, pieces[j]) < _OTHER_ROOM))
            or (distance < other and 0 <= _rooms(mine, pieces[j]) < _ONE_ROOM)
        ]
        # If no piece is clearly the same person, the track's own name stays.
        if known:
            names[i] = known[0]
        elif mine.person_id in taken or any(names[j] == mine.person_id for j in names):
            names[i], fresh = fresh, fresh + 1
        else:
            names[i] = mine.person_id
    return [names[i] for i in range(len(pieces))]


def _rooms(one: Piece, two: Piece) -> float:
    """Difference between the rooms of two pieces, 0 to 1; −1 where one is unknown."""
    known = all(s.room is not None for s in (*one.samples, *two.samples))
    return _rooms_apart(one.samples, two.samples) if known else -1.0


def _changes(pieces: Sequence[Piece], names: Sequence[int], find: Find) -> tuple[list[Answer], list[Rename]]:
    """Answers and renames for the pieces whose name differs from their track's."""
    answers: list[Answer] = []
    renames: list[Rename] = []
    for piece, name in sorted(zip(pieces, names, strict=True), key=lambda p: (p[0].start, p[0].person_id)):
        before = [p for p in pieces if p.person_id == piece.person_id and p.end < piece.start]
        if name == piece.person_id:
            if any(r.person_id == piece.person_id for r in renames):
                renames.append(Rename(find(before[-1], piece), piece.person_id, name))
            continue
        # The change lies between the last face before and the first one after.
        start = find(before[-1] if before else None, piece)
        others = [p for p, n in zip(pieces, names, strict=True) if n == name and p is not piece]
        who = f"person {name}" if others else "somebody new"
        first = piece.samples[0]
        # The face to compare with: of the person it is now, or of the track's person until then.
        beside = min((s for p in (others or before) for s in p.samples), key=lambda s: abs(s.frame_idx - start))
        detail = f"from frame {start} on, person {piece.person_id} is {who}"
        answers.append(
            Answer(
                PERSON,
                "no",
                False,
                detail,
                first.frame_idx,
                first.box,
                piece.person_id,
                _MIXED,
                beside.frame_idx,
                beside.box,
            )
        )
        renames.append(Rename(start, piece.person_id, name))
    return answers, renames


def nearer(face: Sample, one: Piece, other: Piece) -> bool:
    """Whether a face resembles the first piece more than the second."""
    return _apart([face], one.samples) < _apart([face], other.samples)


def doubtful(samples: Sequence[Sample], same: float, other: float) -> list[tuple[int, int, int]]:
    """(person, first frame, last frame) between faces that follow one another and are unlike.

    A third person may be between them, or a single face may be the only one of somebody who is there for a short time.
    So an unlike face at an end also has its other side in the list.
    """
    found = []
    for person in sorted({s.person_id for s in samples}):
        mine = sorted((s for s in samples if s.person_id == person), key=lambda s: s.frame_idx)
        unlike_pairs = [(a, b) for a, b in pairwise(mine) if _apart([a], [b]) >= (same + other) / 2]
        for a, b in unlike_pairs:
            step = b.frame_idx - a.frame_idx
            low = a.frame_idx - step if a is mine[0] else a.frame_idx
            high = b.frame_idx + step if b is mine[-1] else b.frame_idx
            found.append((person, low, high))
    return found
