"""Corrections by hand: merge persons, split tracks off. Linking never undoes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rmset.errors import RootError, UsageError
from rmset.people.cluster import seen_together
from rmset.people.linking import LOCK, new_key
from rmset.people.seats import found_again, row_of
from rmset.read.persons import MANUAL, Persons, Row, Track, stored_persons, write_persons
from rmset.root import Root
from rmset.stages.audit.tracked import Tracks


def merge(root: Root, names: Sequence[str]) -> str:
    """Make one person of several; their tracks are assigned by hand from then on.

    Args:
        root: the data set.
        names: persons by key, or tracks as VIDEO:PERSON, which stand for their persons; two or more.

    Returns:
        The person's key: that of the first name.

    Raises:
        RootError: there is no such person or track.
        UsageError: fewer than two persons, or two of them are seen at the same time in one video.
    """
    with root.files.lock(LOCK):
        edit = _Edit(root)
        people = [edit.person(name) for name in names]
        rows = list({row.track: row for some in people for row in some}.values())
        if len({row.person_key for row in rows}) < 2:
            raise UsageError(f"expected two persons or more, found {', '.join(names)}; name others to merge")
        edit.refuse_together(rows)
        key = people[0][0].person_key
        edit.put(replace(row, person_key=key, source=MANUAL) for row in rows)
        write_persons(root, edit.persons)
    return key


def split(root: Root, names: Sequence[str]) -> str:
    """Make tracks a person of their own, apart from the person they belonged to; both are by hand from then on.

    Args:
        root: the data set.
        names: tracks, as VIDEO:PERSON.

    Returns:
        The new person's key. A person of exactly these tracks keeps theirs.

    Raises:
        RootError: there is no such track.
        UsageError: no track, or a person in place of one.
    """
    with root.files.lock(LOCK):
        edit = _Edit(root)
        chosen = [edit.track(name) for name in names]
        if not chosen:
            raise UsageError("expected tracks as VIDEO:PERSON, found none; name those to split off")
        edit.refuse_together(chosen)
        left = {row.person_key for row in chosen}
        rest = [row for row in edit.rows.values() if row.person_key in left and row not in chosen]
        key = chosen[0].person_key
        if rest or len(left) > 1:
            key = new_key(
                [row.track for row in sorted(chosen, key=lambda r: r.track)], {r.person_key for r in edit.all}
            )
        edit.put(replace(row, person_key=key, source=MANUAL) for row in chosen)
        edit.put(replace(row, source=MANUAL) for row in rest)
        write_persons(root, edit.persons)
    return key


def rows_of(persons: Persons, name: str) -> tuple[Row, ...]:
    """Return the rows of a person, by key or by one of their tracks.

    Raises:
        RootError: there is no such person.
    """
    key = persons.key_of(*parse_track(name)) if ":" in name else name
    if key not in persons.by_key:
        raise RootError(
            f"person {name}: unknown; `rmset people show` lists the persons, `rmset people link` makes them"
        )
    return persons.by_key[key]


class _Edit:
    """Rows of all present tracks that have one, and rows of outdated videos, which stay as they are."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._tracks: dict[str, Tracks] = {}
        self.all = list(stored_persons(root))
        hidden, known = root.removed().hidden, set(root.video_ids())
        self.rows: dict[Track, Row] = {}
        for video_id in sorted({row.video_id for row in self.all}):
            mine = [row for row in self.all if row.video_id == video_id]
            if video_id in known and video_id not in hidden and root.files.exists(root.tracks_key(video_id)):
                mine = found_again(root, self._of(video_id), video_id, mine)
            self.rows |= {row.track: row for row in mine}

    @property
    def persons(self) -> Persons:
        """All rows."""
        return Persons.of(self.rows.values())

    def put(self, rows: object) -> None:
        """Replace the rows of these tracks."""
        self.rows |= {row.track: row for row in rows}  # type: ignore[attr-defined]

    def _of(self, video_id: str) -> Tracks:
        if video_id not in self._tracks:
            self._tracks[video_id] = Tracks.of(self.root, video_id)
        return self._tracks[video_id]

    def person(self, name: str) -> list[Row]:
        """Rows of a person, by key or by one of their tracks."""
        key = self.track(name).person_key if ":" in name else name
        found = [row for row in self.rows.values() if row.person_key == key]
        if ":" in name and not found:
            return [self.track(name)]
        if not found:
            raise RootError(f"person {name}: not in {self.root.place}; `rmset people show` lists them")
        return sorted(found, key=lambda r: r.track)

    def track(self, name: str) -> Row:
        """Row of a track, a new one if it has none."""
        video_id, person_id = parse_track(name)
        self.root.select([video_id])
        if (row := self.rows.get((video_id, person_id))) is not None:
            return row
        if not self.root.files.exists(self.root.tracks_key(video_id)):
            raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
        tracks = self._of(video_id)
        known = [int(p) for p in np.unique(tracks.name)]
        if person_id not in known:
            raise RootError(
                f"video {video_id}: expected a person with faces {known}, found {person_id}; name one of these"
            )
        key = new_key([(video_id, person_id)], {row.person_key for row in self.rows.values()})
        return row_of(self.root, tracks, video_id, person_id, key, MANUAL)

    def refuse_together(self, rows: Sequence[Row]) -> None:
        """Raise for tracks that are seen at the same time: they are two people."""
        for video_id in sorted({row.video_id for row in rows}):
            mine = sorted(row.person_id for row in rows if row.video_id == video_id)
            if len(mine) > 1:
                tracks = self._of(video_id)
                some = np.isin(tracks.name, mine)
                both = seen_together(tracks.name[some], tracks.frame[some])
                if both:
                    one, two = min(both)
                    raise UsageError(
                        f"expected tracks of one person, found {video_id}:{one} and {video_id}:{two} in one frame; "
                        "they are two people"
                    )


def parse_track(name: str) -> Track:
    """Return the track of VIDEO:PERSON.

    Raises:
        UsageError: not of this form.
    """
    video_id, colon, number = name.rpartition(":")
    if not (colon and video_id and number.isdecimal()):
        raise UsageError(f"{name}: expected a track as VIDEO:PERSON, such as mashup-1a2b3c4d:3")
    return video_id, int(number)
