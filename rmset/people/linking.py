"""Link the tracks of all videos into persons, and suggest links that need a person's eyes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from rmset.errors import UsageError
from rmset.parts.identity import Embedder
from rmset.people.cluster import Clusters, Faces, cluster, seen_together
from rmset.people.embed import embed
from rmset.people.seats import found_again, row_of
from rmset.progress import Progress, silent
from rmset.read.embeddings import read_embeddings
from rmset.read.persons import LINKED, MANUAL, Persons, Row, Track, stored_persons, write_persons
from rmset.root import Root
from rmset.stages.audit.tracked import Tracks

LOCK = "persons"
# Of an embedder's distance for one person: linked below, suggested up to the middle of its undecided range.
STRICT = 0.85


@dataclass(frozen=True)
class Suggestion:
    """Two persons who may be one."""

    person_key: str
    other_key: str
    similarity: float
    """1 - distance of their nearest tracks"""
    one: Track
    other: Track
    """these tracks"""


@dataclass(frozen=True)
class Linked:
    """Result of linking."""

    persons: Persons
    suggestions: tuple[Suggestion, ...]
    lost: tuple[Row, ...]
    """rows made by hand whose track is gone"""


@dataclass(frozen=True)
class _Known:
    """All tracks of a root, and what is known of them."""

    faces: list[Faces]
    together: set[tuple[int, int]]
    """pairs of positions that are seen at the same time"""
    rows: dict[Track, Row]
    """rows so far, by present track"""
    fresh: dict[Track, Row]
    """new row of each track, without its person"""
    lost: tuple[Row, ...]

    @property
    def by_hand(self) -> dict[int, str]:
        """Person of each track that was assigned by hand."""
        keys = {t: row.person_key for t, row in self.rows.items() if row.source == MANUAL}
        return {n: keys[f.track] for n, f in enumerate(self.faces) if f.track in keys}


def link(root: Root, embedder: Embedder, *, threshold: float | None = None, progress: Progress = silent) -> Linked:
    """Compute missing embeddings, link tracks and write `persons.parquet`.

    Args:
        root: the data set.
        embedder: face embedder.
        threshold: distance below which tracks are linked; default: 0.85 of the embedder's distance for one person.
        progress: progress callback on videos.

    Raises:
        RootError: another process works on a video or on the persons, or a file is damaged.
        UsageError: the threshold is not positive.
    """
    most = thresholds(embedder, threshold)
    ids = _tracked(root)
    for done, video_id in enumerate(ids):
        progress("embed faces", done, len(ids))
        embed(root, video_id, embedder, progress)
    progress("embed faces", len(ids), len(ids))
    with root.files.lock(LOCK):
        known = _known(root, ids)
        found = cluster(known.faces, known.together, known.by_hand, link=most[0], suggest=most[1])
        persons = _named(known, found)
        write_persons(root, persons)
    return Linked(persons, _suggestions(known, found, persons), known.lost)


def suggested(root: Root, embedder: Embedder, *, threshold: float | None = None) -> tuple[Suggestion, ...]:
    """Pairs of persons who may be one, nearest first, from the stored embeddings; nothing is written.

    Args:
        root: the data set.
        embedder: the embedder with which people were linked.
        threshold: as for `link`.
    """
    most = thresholds(embedder, threshold)
    known = _known(root, _tracked(root))
    persons = Persons.of(known.rows.values())
    found = cluster(known.faces, known.together, known.by_hand, link=0.0, suggest=most[1])
    return _suggestions(known, found, persons)


def thresholds(embedder: Embedder, threshold: float | None = None) -> tuple[float, float]:
    """Distances below which tracks are linked, and below which links are suggested.

    Raises:
        UsageError: the threshold is not positive.
    """
    strict = STRICT * embedder.same if threshold is None else threshold
    if not strict > 0:
        raise UsageError(f"expected a threshold above 0, found {strict:g}")
    return strict, max(strict, (embedder.same + embedder.other) / 2)


def _tracked(root: Root) -> list[str]:
    return [v for v in root.video_ids() if root.files.exists(root.tracks_key(v))]


def _known(root: Root, ids: Sequence[str]) -> _Known:
    """Read embeddings and tracks; rows of outdated tracks are found again by a face."""
    stored = {v: list(rows) for v, rows in groupby(sorted(stored_persons(root), key=_video), key=_video)}
    faces: list[Faces] = []
    together: set[tuple[int, int]] = set()
    rows: dict[Track, Row] = {}
    fresh: dict[Track, Row] = {}
    kept = set()
    for video_id in ids:
        tracks, embedded = Tracks.of(root, video_id), read_embeddings(root, video_id)
        people = [int(p) for p in np.unique(tracks.name)]
        first = len(faces)
        for person_id in people:
            vectors = np.empty((0, 1), np.float32)
            if embedded is not None:
                vectors = embedded.vectors[embedded.person_id == person_id]
            faces.append(Faces((video_id, person_id), vectors))
            fresh[video_id, person_id] = row_of(root, tracks, video_id, person_id, "?", LINKED)
        place = {person_id: first + n for n, person_id in enumerate(people)}
        together |= {(place[a], place[b]) for a, b in seen_together(tracks.name, tracks.frame)}
        for row in found_again(root, tracks, video_id, stored.get(video_id, [])):
            rows[row.track] = row
            kept.add((row.person_key, row.video_id))
    present = set(ids)
    lost = tuple(
        row
        for video_id, old in stored.items()
        for row in old
        if row.source == MANUAL and video_id in present and (row.person_key, video_id) not in kept
    )
    return _Known(faces, together, rows, fresh, lost)


def _video(row: Row) -> str:
    return row.video_id


def _named(known: _Known, found: Clusters) -> Persons:
    """Give each cluster a key: that of its tracks by hand, else the one that most of its tracks had, else a new one."""
    keys: dict[int, str] = {}
    taken = {row.person_key for row in known.rows.values() if row.source == MANUAL}
    votes: list[tuple[int, str, int]] = []
    for n, members in enumerate(found.members):
        had = [known.rows[t] for t in (known.faces[m].track for m in members) if t in known.rows]
        hand = [row.person_key for row in had if row.source == MANUAL]
        if hand:
            keys[n] = hand[0]
        votes += [(-count, key, n) for key, count in Counter(row.person_key for row in had).items()]
    for _, key, n in sorted(votes):
        if n not in keys and key not in taken:
            keys[n] = key
            taken.add(key)
    rows = []
    nearest = _nearest(found)
    for n, members in enumerate(found.members):
        key = keys.get(n) or new_key([known.faces[m].track for m in members], taken)
        taken.add(key)
        for m in members:
            track = known.faces[m].track
            before = known.rows.get(track)
            source = MANUAL if before is not None and before.source == MANUAL else LINKED
            row = known.fresh[track] if before is None else before
            rows.append(replace(row, person_key=key, source=source, similarity=nearest.get(m)))
    return Persons.of(rows)


def _nearest(found: Clusters) -> dict[int, float]:
    """Similarity of each track to the nearest other one of its person, rounded as in the file."""
    of = {m: n for n, members in enumerate(found.members) for m in members}
    nearest: dict[int, float] = {}
    for pair in found.near:  # nearest first
        if of[pair.one] == of[pair.two]:
            for m in (pair.one, pair.two):
                nearest.setdefault(m, float(np.float32(1 - pair.distance)))
    return nearest


def new_key(tracks: Sequence[Track], taken: set[str]) -> str:
    """Return a key that no person has: a hash of the first track that gives one.

    >>> new_key([("a", 0)], set())
    'p-0ed32d3352f0'
    """
    for video_id, person_id in tracks:
        for more in ("", "+"):
            key = f"p-{hashlib.sha256(f'{video_id}:{person_id}{more}'.encode()).hexdigest()[:12]}"
            if key not in taken:
                return key
    raise UsageError("expected a person without a key, found that all keys of their tracks are taken; split less often")


def _suggestions(known: _Known, found: Clusters, persons: Persons) -> tuple[Suggestion, ...]:
    """Pairs of persons with similar tracks that are not linked, nearest first, each pair once."""
    key_of = {n: persons.key_of(*f.track) for n, f in enumerate(known.faces)}
    members: dict[str, list[int]] = {}
    for n, key in key_of.items():
        members.setdefault(key, []).append(n)
    hand = {key for n, key in key_of.items() if n in known.by_hand}
    done: dict[tuple[str, str], Suggestion] = {}
    for pair in found.near:
        one, two = sorted((pair.one, pair.two), key=lambda n: key_of[n])
        keys = key_of[one], key_of[two]
        if keys[0] == keys[1] or keys in done or set(keys) <= hand:
            continue
        if any((min(a, b), max(a, b)) in known.together for a in members[keys[0]] for b in members[keys[1]]):
            continue
        similarity = float(np.float32(1 - pair.distance))
        done[keys] = Suggestion(*keys, similarity, known.faces[one].track, known.faces[two].track)
    return tuple(done.values())
