"""Link tracks into persons: average-linkage clustering of embeddings under constraints, deterministic.

- Two tracks that are seen at the same time in one video are never one person.
- A track that resembles two tracks seen at the same time is linked to neither: faces do not tell these people apart.
- Tracks assigned by hand keep their person, and two persons made by hand are never joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from rmset.read.persons import Track

_BLOCK = 1024
# Fewest faces of a track that may be linked.
FEWEST = 3


@dataclass(frozen=True)
class Faces:
    """Embeddings of one track."""

    track: Track
    vectors: npt.NDArray[np.float32]
    """(n, D)"""


@dataclass(frozen=True)
class Near:
    """Two tracks with similar faces."""

    one: int
    """position among the tracks; below `two`"""
    two: int
    distance: float
    """median distance between faces of both"""


@dataclass(frozen=True)
class Clusters:
    """Result of clustering."""

    members: tuple[tuple[int, ...], ...]
    """positions of the tracks of each person, ascending; persons by their first track"""
    near: tuple[Near, ...]
    """all pairs of tracks closer than the threshold for suggestions, nearest first"""


def apart(one: npt.NDArray[np.float32], two: npt.NDArray[np.float32]) -> float:
    """Median distance between the faces of two tracks, (n, D) and (m, D)."""
    return float(np.median(np.linalg.norm(one[:, None] - two[None], axis=2)))


def near_pairs(tracks: Sequence[Faces], most: float) -> Iterator[Near]:
    """Yield the pairs of tracks whose median distance is below `most`.

    Only pairs whose mean faces are that close are compared face by face: the mean distance of two sets is at least the
    distance of their means.
    """
    known = [n for n, t in enumerate(tracks) if len(t.vectors) >= FEWEST]
    if not known:
        return
    means = np.stack([tracks[n].vectors.mean(axis=0) for n in known]).astype(np.float64)
    square = (means**2).sum(axis=1)
    for low in range(0, len(known), _BLOCK):
        some = means[low : low + _BLOCK]
        squares = square[low : low + _BLOCK, None] + square[None] - 2 * some @ means.T
        for i, k in np.argwhere(squares < most**2).tolist():
            if low + i < k:
                one, two = known[low + i], known[k]
                distance = apart(tracks[one].vectors, tracks[two].vectors)
                if distance < most:
                    yield Near(one, two, distance)


def cluster(
    tracks: Sequence[Faces],
    together: set[tuple[int, int]],
    by_hand: Mapping[int, str],
    *,
    link: float,
    suggest: float,
) -> Clusters:
    """Link tracks.

    Args:
        tracks: embeddings of all tracks, in a fixed order.
        together: pairs (smaller, larger position) that are seen at the same time.
        by_hand: key of the person of each track that was assigned by hand.
        link: distance below which tracks are linked.
        suggest: distance below which pairs are reported; at least `link`.
    """
    near = sorted(near_pairs(tracks, suggest), key=lambda n: (n.distance, n.one, n.two))
    distance = {(n.one, n.two): n.distance for n in near}
    beside: dict[int, set[int]] = {}
    for one, two in together:
        beside.setdefault(one, set()).add(two)
        beside.setdefault(two, set()).add(one)
    of = list(range(len(tracks)))
    groups = {n: [n] for n in of}
    for first, *rest in _hands(by_hand):
        for other in rest:
            _join(of, groups, first, other)
    for pair in near:
        if pair.distance >= link or of[pair.one] == of[pair.two]:
            continue
        mine, theirs = groups[of[pair.one]], groups[of[pair.two]]
        if (
            _separate(mine, theirs, together, by_hand)
            or _doubtful(pair, beside, distance)
            or _average(tracks, distance, *([n for n in group if n not in by_hand] for group in (mine, theirs))) >= link
        ):
            continue
        _join(of, groups, pair.one, pair.two)
    members = sorted(tuple(sorted(group)) for group in groups.values())
    return Clusters(tuple(members), tuple(near))


def _hands(by_hand: Mapping[int, str]) -> list[list[int]]:
    """Tracks of each person made by hand."""
    found: dict[str, list[int]] = {}
    for n in sorted(by_hand):
        found.setdefault(by_hand[n], []).append(n)
    return list(found.values())


def _join(of: list[int], groups: dict[int, list[int]], one: int, two: int) -> None:
    keep, drop = sorted((of[one], of[two]))
    if keep != drop:
        for n in groups[drop]:
            of[n] = keep
        groups[keep] += groups.pop(drop)


def _separate(
    one: Sequence[int], two: Sequence[int], together: set[tuple[int, int]], by_hand: Mapping[int, str]
) -> bool:
    """Whether two groups cannot be one person."""
    keys = {by_hand[n] for n in (*one, *two) if n in by_hand}
    return len(keys) > 1 or any((min(a, b), max(a, b)) in together for a in one for b in two)


def _doubtful(pair: Near, beside: Mapping[int, set[int]], distance: Mapping[tuple[int, int], float]) -> bool:
    """Whether one of the tracks also resembles somebody who is seen together with the other."""

    def resembles(track: int, others: set[int]) -> bool:
        return any((min(track, n), max(track, n)) in distance for n in others if n != track)

    return resembles(pair.one, beside.get(pair.two, set())) or resembles(pair.two, beside.get(pair.one, set()))


def _average(
    tracks: Sequence[Faces], distance: Mapping[tuple[int, int], float], one: Sequence[int], two: Sequence[int]
) -> float:
    """Mean distance between the tracks of two groups; tracks with few faces do not count.

    Nor do tracks assigned by hand: one person's may look different, and each of them is certain.
    """
    found = []
    for a in one:
        for b in two:
            if min(len(tracks[a].vectors), len(tracks[b].vectors)) >= FEWEST:
                known = distance.get((min(a, b), max(a, b)))
                found.append(apart(tracks[a].vectors, tracks[b].vectors) if known is None else known)
    return float(np.mean(found)) if found else 0.0


def seen_together(person: npt.NDArray[np.integer], frame: npt.NDArray[np.integer]) -> set[tuple[int, int]]:
    """Pairs (smaller, larger id) of people who have a face in the same frame of one video; both arrays are (N,)."""
    ids = np.unique(person)
    frames = {int(p): np.unique(frame[person == p]) for p in ids}
    return {
        (one, two)
        for one, two in combinations(frames, 2)
        if len(np.intersect1d(frames[one], frames[two], assume_unique=True))
    }
