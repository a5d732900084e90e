"""Identity check: find changes of person inside tracks, and match the pieces of all tracks.

vectors of a few faces per person, in order of time -> pieces of one person each -> pieces with one name each
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from rmset.answers import PERSON, Answer, Rename
from rmset.stages.audit.pieces import FAR, FEWEST, OTHER_ROOM, Piece, Sample, cuts, distance, rooms_apart, split, spread

# Largest difference between small pictures of one room.
_ONE_ROOM = 0.15
# Confidence left if identities are mixed.
_MIXED = 0.3
# Confidence left if they cannot be told.
_UNDECIDED = 0.75

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
    pieces = [p for p in pieces if len(p.samples) >= FEWEST]
    if not pieces:
        return [Answer(PERSON, "cannot tell", None, "too few faces")], []
    twins = _twins(pieces, same)
    # In a video with people who look alike, a like face alone gives no name.
    names = _named(pieces, same, other, alone=same - FAR if twins is None else 0.0)
    answers, renames = _changes(pieces, names, find)
    answers += [doubt for piece in pieces if (doubt := _undecided(piece, other)) is not None]
    # People who look alike may change places unseen; a change to somebody who looks otherwise is one all the same.
    if not answers and twins is not None:
        one, two = twins
        detail = f"people {one.person_id} and {two.person_id} are on the screen at once and look like one person"
        answers = [Answer(PERSON, "cannot tell", None, detail, one.start, one.samples[0].box, one.person_id)]
    elif not answers:
        answers = [Answer(PERSON, "yes", True, f"{len(samples)} faces of {len(people)} people compared")]
    return answers, renames


def _undecided(piece: Piece, other: float) -> Answer | None:
    """Answer for a piece in which the faces before and after some frame may be two people's; None if there is none."""
    best: tuple[float, int] = (FAR, 0)
    for k, before, after in cuts(piece.samples):
        apart, within = distance(before, after), max(spread(before), spread(after))
        if apart >= other:
            best = max(best, (apart - within, k))
    if not best[1]:
        return None
    last, first = piece.samples[best[1] - 1], piece.samples[best[1]]
    detail = f"person {piece.person_id} may be somebody else from frame {first.frame_idx} on"
    return Answer(
        PERSON, "cannot tell", None, detail, first.frame_idx, first.box, piece.person_id, _UNDECIDED,
        last.frame_idx, last.box,
    )  # fmt: skip


def _twins(pieces: Sequence[Piece], same: float) -> tuple[Piece, Piece] | None:
    """Two pieces of different people at the same time with faces like one person's; None if there are none.

    If there are, embeddings cannot tell these two apart.
    """
    for number, one in enumerate(pieces):
        for two in pieces[number + 1 :]:
            if one.person_id != two.person_id and _overlap(one, two) and distance(one.samples, two.samples) < same:
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
        near = sorted((distance(mine.samples, pieces[j].samples), j) for j in names if not _overlap(mine, pieces[j]))
        taken = {names[j] for j in names if _overlap(mine, pieces[j])}
        known = [
            names[j]
            for apart, j in near
            if names[j] not in taken
            # A like face is the same person with the same name or a like room; an undecided one in the same room.
            if apart < alone
            or (apart < same and (names[j] == mine.person_id or _rooms(mine, pieces[j]) < OTHER_ROOM))
            or (apart < other and 0 <= _rooms(mine, pieces[j]) < _ONE_ROOM)
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
    return rooms_apart(one.samples, two.samples) if known else -1.0


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


def one_face(person_id: int, other_id: int, frame_idx: int, frames: int) -> Answer:
    """Answer for two tracks that follow one face, from a frame on and in so many frames."""
    detail = f"people {person_id} and {other_id} are one face in {frames} frames"
    return Answer(PERSON, "no", False, detail, frame_idx, None, other_id, _MIXED)


def unknown(person_id: int, low: int, high: int, share: float) -> Answer:
    """Answer for a stretch of a track, between two frames, in which no face could be compared."""
    detail = (
        f"person {person_id} is not compared in frames {low + 1} to {high - 1}, {share:.0%} of theirs in a "
        "segment: the face is small, unclear or cut off there"
    )
    return Answer(PERSON, "cannot tell", None, detail, low + 1, None, person_id, _UNDECIDED)


def nearer(face: Sample, one: Piece, other: Piece) -> bool:
    """Whether a face resembles the first piece more than the second."""
    return distance([face], one.samples) < distance([face], other.samples)


def doubtful(samples: Sequence[Sample], same: float, other: float) -> list[tuple[int, int, int]]:
    """(person, first frame, last frame) between faces that follow one another and are unlike.

    A third person may be between them, or a single face may be the only one of somebody who is there for a short time.
    So an unlike face at an end also has its other side in the list.
    """
    found = []
    for person in sorted({s.person_id for s in samples}):
        mine = sorted((s for s in samples if s.person_id == person), key=lambda s: s.frame_idx)
        unlike_pairs = [(a, b) for a, b in pairwise(mine) if distance([a], [b]) >= (same + other) / 2]
        for a, b in unlike_pairs:
            step = b.frame_idx - a.frame_idx
            low = a.frame_idx - step if a is mine[0] else a.frame_idx
            high = b.frame_idx + step if b is mine[-1] else b.frame_idx
            found.append((person, low, high))
    return found
