"""Persons across videos: which tracks show the same person, `persons.parquet`.

One row per track: its person's key, how it was assigned (`linked` by embeddings, `manual` by a person), and the
similarity to the person's nearest other track. Ids of tracks change when a video is tracked anew, so each row also has
one face of its track, by which the track is found again, and the hash of the tracks that it belongs to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.errors import RmsetError, RootError
from rmset.geometry import Box
from rmset.outputs import PARTIAL
from rmset.parts.shards import opened, read
from rmset.read.columns import Aliased, Column
from rmset.records import check_video_id
from rmset.root import Root

KEY = "persons.parquet"
UNFINISHED = f".{KEY}{PARTIAL}"
"""what a killed process leaves behind"""
Source = Literal["linked", "manual"]
LINKED, MANUAL = get_args(Source)
Track = tuple[str, int]
"""(video_id, person_id)"""
_BOX = ("x0", "y0", "x1", "y1")


def persons_schema() -> pa.Schema:
    """Return the schema of `persons.parquet`."""
    fields = [
        pa.field("person_key", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("person_id", pa.int16(), nullable=False),
        pa.field("similarity", pa.float32()),  # 1 - distance to the person's nearest other track; null: not compared
        pa.field("source", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("frame_idx", pa.int32()),  # one face of the track
        *(pa.field(name, pa.float32()) for name in _BOX),
        pa.field("tracks", pa.string()),  # sha256 of the track file
    ]
    return pa.schema(fields, metadata={schema.VERSION_KEY: str(schema.VERSION).encode()})


@dataclass(frozen=True)
class Row:
    """Assignment of one track to a person."""

    person_key: str
    video_id: str
    person_id: int
    similarity: float | None
    source: Source
    frame_idx: int | None = None
    box: Box | None = None
    """the track's face in that frame, by which it is found among new tracks"""
    tracks: str | None = None
    """sha256 of the track file; None without a ledger entry"""

    def __post_init__(self) -> None:
        """Check the values."""
        check_video_id(self.video_id)
        if self.source not in get_args(Source) or not self.person_key:
            raise RootError(f"{KEY}: expected a person's key and a source of {get_args(Source)}, found {self}")

    @property
    def track(self) -> Track:
        """(video_id, person_id)."""
        return self.video_id, self.person_id


@dataclass(frozen=True)
class Persons:
    """Persons of a data set: rows by person, video and track."""

    rows: tuple[Row, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Persons:
        """Return the persons of rows in any order.

        Raises:
            RootError: a track has two rows.
        """
        ordered = tuple(sorted(rows, key=lambda r: (r.person_key, r.video_id, r.person_id)))
        if len({r.track for r in ordered}) < len(ordered):
            raise RootError(f"{KEY}: expected one row per track, found several; restore it from a backup")
        return cls(ordered)

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.rows)

    @cached_property
    def by_track(self) -> dict[Track, Row]:
        """Row of each track."""
        return {row.track: row for row in self.rows}

    @cached_property
    def by_key(self) -> dict[str, tuple[Row, ...]]:
        """Rows of each person, by key."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            found[row.person_key].append(row)
        return {key: tuple(rows) for key, rows in found.items()}

    def key_of(self, video_id: str, person_id: int) -> str:
        """Key of a track's person; `VIDEO:PERSON` for a track without a row, which is a person of its own."""
        row = self.by_track.get((video_id, person_id))
        return f"{video_id}:{person_id}" if row is None else row.person_key

    @cached_property
    def aliases(self) -> dict[str, dict[int, int]]:
        """Ids that belong to a person with a smaller id in the same video: video_id -> id -> smallest id."""
        found: dict[str, dict[int, int]] = defaultdict(dict)
        first: dict[tuple[str, str], int] = {}
        for row in self.rows:
            least = first.setdefault((row.person_key, row.video_id), row.person_id)
            if least != row.person_id:
                found[row.video_id][row.person_id] = least
        return dict(found)

    def identity(self, video_ids: list[str], video: Column, person: Column) -> Column | None:
        """Return ids (N,) that are equal for all faces of one person in one video; None if `person` already is.

        Args:
            video_ids: ids of the videos.
            video: (N,) positions in `video_ids`.
            person: (N,) ids of tracks.
        """
        known = {n: self.aliases[v] for n, v in enumerate(video_ids) if v in self.aliases}
        return Aliased(person, video, known) if known else None


def read_persons(root: Root) -> Persons:
    """Return the persons of a root; none if none were linked.

    Tracks of hidden videos are left out, and those of videos that were tracked anew since: their ids may be other
    people's until `rmset people link` finds them again.

    Raises:
        RootError: the file is damaged, or newer than this program.
    """
    hidden = root.removed().hidden
    now: dict[str, str | None] = {}
    rows = []
    for row in stored_persons(root):
        if row.video_id not in now:
            now[row.video_id] = tracks_hash(root, row.video_id)
        if row.video_id not in hidden and row.tracks == now[row.video_id]:
            rows.append(row)
    return Persons(tuple(rows))


def stored_persons(root: Root) -> Persons:
    """Return all rows of the file, also outdated ones.

    Raises:
        RootError: the file is damaged, or newer than this program.
    """
    if not root.files.exists(KEY):
        return Persons()
    path = root.files.local(KEY)
    try:
        file = opened(path)
        try:
            table = read(file).cast(persons_schema())
        finally:
            file.close()
        return Persons.of(map(_row, table.to_pylist()))
    except (RmsetError, pa.ArrowException, ValueError, KeyError) as error:
        raise RootError(
            f"{path}: expected persons, found: {' '.join(str(error).split())[:200]}; restore it from a backup, or "
            "remove it and run `rmset people link`"
        ) from error


def _row(raw: dict[str, object]) -> Row:
    box = tuple(raw.pop(name) for name in _BOX)
    return Row(**raw, box=None if None in box else box)  # type: ignore[arg-type]  # the schema holds the types


def write_persons(root: Root, persons: Persons) -> None:
    """Publish the persons of a root; the caller holds the lock `persons`."""
    rows = [
        {name: getattr(row, name) for name in ("person_key", "video_id", "person_id", "similarity", "source")}
        | {"frame_idx": row.frame_idx, "tracks": row.tracks}
        | dict(zip(_BOX, row.box or (None,) * 4, strict=True))
        for row in Persons.of(persons.rows)
    ]
    with root.files.publish(KEY) as path:
        write_table(path, rows)


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows of `persons_schema()`."""
    columns = {name: [row.get(name) for row in rows] for name in persons_schema().names}
    columns["source"] = (
        pa.array(columns["source"], pa.string()).dictionary_encode().cast(persons_schema().field("source").type)
    )
    pq.write_table(pa.table(columns, schema=persons_schema()), path, compression="zstd", version="2.6")


def tracks_hash(root: Root, video_id: str) -> str | None:
    """Hash of a video's track file as the ledger has it; None if no run is recorded."""
    record = root.stage_record("track", video_id)
    done = record.standing if record is not None else None
    return done.outputs.get(root.tracks_key(video_id)) if done is not None else None
