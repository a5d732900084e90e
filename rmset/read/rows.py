"""Rows of one video's shards, without pixels: its part of the index of crops.

`state/rows/<video_id>.parquet` is written after an export, by the process that has the shards at hand. So the index of
a root is put together from parts: after one more video only its shards are read, and on an object store no machine
brings the shards of others. A part names its shards, so one that is out of date is not used; it can be deleted at any
time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset.errors import RmsetError, RootError, ShardError
from rmset.parts.shards import LOCATION, locate, opened, read
from rmset.records import check_video_id
from rmset.root import Root

_FORMAT = 1
_ABOUT = b"rmset_rows"
_COLUMNS = ("person_id", "segment", "frame_idx", "time_ms", "encoded_size")
_TYPES = {
    "person": pa.int16(), "segment": pa.int16(), "frame": pa.int32(), "time_ms": pa.float64(), "offset": pa.uint32(),
    "size": pa.uint32(),
}  # fmt: skip


@dataclass(frozen=True)
class Shard:
    """State of one shard when the index was made."""

    key: str
    bytes: int
    version: int | str
    """version number of the storage; see `Stamp`"""

    @property
    def video_id(self) -> str:
        """Id of the video, from the name of the folder."""
        return self.key.split("/")[1]


@dataclass(frozen=True)
class VideoRows:
    """The rows of one video's shards, in the order of the shards."""

    columns: dict[str, npt.NDArray[Any]]
    """by name: person, segment, frame, time_ms and location; all (n,)"""
    counts: tuple[int, ...]
    """rows of each shard"""


def rows_key(video_id: str) -> str:
    """Key of a video's rows."""
    return f"state/rows/{check_video_id(video_id)}.parquet"


def shards_of(root: Root, video_id: str) -> tuple[Shard, ...]:
    """Return the shards of a video, by key."""
    found = []
    for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        stamp = root.files.stamp(key)
        found.append(Shard(key, stamp.bytes, stamp.version))
    return tuple(found)


def keep_rows(root: Root, video_id: str) -> None:
    """Write the part of a video that was exported, if the root can be written to."""
    shards = shards_of(root, video_id)
    if shards:
        keep(root, video_id, shards, _of_shards(root, shards))


def rows_of(root: Root, video_id: str, shards: Sequence[Shard]) -> VideoRows:
    """Return the rows of a video's shards: from its part, else from the shards, and then its part is written.

    Raises:
        ShardError: a shard is broken, or older than the columns of the index.
    """
    kept = kept_rows(root, video_id, shards)
    if kept is None:
        kept = _of_shards(root, shards)
        keep(root, video_id, shards, kept)
    return kept


def _about(file: pq.ParquetFile, shards: Sequence[Shard]) -> dict[str, Any] | None:
    """Return what a part says of itself, if it belongs to these shards."""
    about: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[_ABOUT])
    counts = [int(count) for count in about["counts"]]
    fits = about["format"] == _FORMAT and about["shards"] == _named(shards) and len(counts) == len(shards)
    return about if fits and min(counts, default=0) >= 0 and sum(counts) == file.metadata.num_rows else None


def kept_rows(root: Root, video_id: str, shards: Sequence[Shard]) -> VideoRows | None:
    """Return a video's part if it belongs to these shards."""
    try:
        file = opened(root.files.local(rows_key(video_id)))
        about = _about(file, shards)
        if about is None:
            return None
        table = read(file, list(_TYPES))
        file.close()
        columns = {name: table[name].to_numpy() for name in _TYPES}
        if table.schema.types != [*_TYPES.values()] or about["sha256"] != _hash(columns):
            return None
    except (RmsetError, OSError, ValueError, TypeError, KeyError, pa.ArrowException):
        return None
    where = np.empty(table.num_rows, LOCATION)
    where["offset"], where["size"] = columns.pop("offset"), columns.pop("size")
    return VideoRows(columns | {"location": where}, tuple(map(int, about["counts"])))


def _hash(columns: dict[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in _TYPES:
        digest.update(np.ascontiguousarray(columns[name]).data)
    return digest.hexdigest()


def _named(shards: Sequence[Shard]) -> list[list[Any]]:
    return [[shard.key, shard.bytes, shard.version] for shard in shards]


def _of_shards(root: Root, shards: Sequence[Shard]) -> VideoRows:
    found = [_of_shard(root, shard) for shard in shards]
    columns = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    return VideoRows(columns, tuple(len(each["frame"]) for each in found))


def _of_shard(root: Root, shard: Shard) -> dict[str, npt.NDArray[Any]]:
    path = root.files.local(shard.key)
    file = opened(path)
    missing = [c for c in _COLUMNS if c not in file.schema_arrow.names]
    if missing:
        raise ShardError(f"{path}: expected the column {missing[0]}, found none; export the video again with --force")
    table = read(file, _COLUMNS)
    named = zip(("person", "segment", "frame", "time_ms"), _COLUMNS, strict=False)
    columns = {name: table[column].to_numpy() for name, column in named}
    location = locate(path, file, table["encoded_size"].to_numpy())
    file.close()
    return columns | {"location": location}


def keep(root: Root, video_id: str, shards: Sequence[Shard], rows: VideoRows) -> None:
    """Write the part of a video, if the root can be written to."""
    columns = dict(rows.columns)
    where = columns.pop("location")
    values = {**columns, "offset": where["offset"], "size": where["size"]}
    table = pa.table({name: pa.array(values[name]).cast(kind) for name, kind in _TYPES.items()})
    found = {name: table[name].to_numpy() for name in _TYPES}
    about = json.dumps({"format": _FORMAT, "shards": _named(shards), "counts": rows.counts, "sha256": _hash(found)})
    try:
        with root.files.publish(rows_key(video_id)) as path:
            pq.write_table(table.replace_schema_metadata({_ABOUT: about.encode()}), path, compression="zstd")
    except (RootError, OSError):
        # A root that can only be read, or a full disk: the shards are read again next time.
        return
