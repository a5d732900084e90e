"""Face rows and crops of a video by key (person and frame), and the record of those that are removed."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import schema
from rmset.parts.likeness import likeness
from rmset.parts.pictures import decode
from rmset.parts.shards import batches, opened, read_faces
from rmset.progress import Progress
from rmset.read.absent import removed_schema
from rmset.root import Root

_LOOKS = 30
"""every how many crops of a person one gets a perceptual hash"""


def face_rows(root: Root, video_id: str) -> pa.Table:
    """Face rows of a video; none if it is not tracked."""
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        return schema.faces().empty_table()
    return read_faces(root.files.local(key))


def packed(person_id: int, frame_idx: int) -> int:
    return (person_id << 32) + frame_idx


def keys_of(table: pa.Table) -> npt.NDArray[np.int64]:
    """Person and frame of each row as one number."""
    people = table["person_id"].to_numpy().astype(np.int64)
    return np.asarray((people << 32) + table["frame_idx"].to_numpy(), np.int64)


def count_crops(root: Root, video_id: str, gone: npt.NDArray[np.int64]) -> int:
    parts = root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet")
    tables = (opened(root.files.local(key)).read(columns=["person_id", "frame_idx"]) for key in parts)
    return sum(int(np.isin(keys_of(table), gone).sum()) for table in tables)


def hashes_of(
    root: Root, video_id: str, gone: npt.NDArray[np.int64], progress: Progress
) -> dict[int, tuple[bytes, bytes | None]]:
    """Hashes of the bytes of each removed crop, and perceptual hashes of some, by key."""
    found: dict[int, tuple[bytes, bytes | None]] = {}
    seen: dict[int, int] = {}
    for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        for batch in batches(root.files.local(key), ["person_id", "frame_idx", "image"], 256):
            keys = keys_of(pa.Table.from_batches([batch]))
            pictures = batch["image"].field("bytes")
            for row in np.flatnonzero(np.isin(keys, gone)).tolist():
                data, person = pictures[row].as_py(), int(keys[row]) >> 32
                looks = seen.get(person, 0) % _LOOKS == 0
                seen[person] = seen.get(person, 0) + 1
                found[int(keys[row])] = hashlib.sha256(data).digest(), _likeness(data) if looks else None
            progress(f"hash {video_id}", len(found), len(gone))
    return found


def _likeness(data: bytes) -> bytes | None:
    try:
        return likeness(decode(data))
    except ValueError:
        # A damaged crop is removed too.
        return None


def removed_rows(gone: pa.Table, number: int, hashes: dict[int, tuple[bytes, bytes | None]]) -> pa.Table:
    """Rows of `removed_schema()` for the removed face rows."""
    found = [hashes.get(int(key), (None, None)) for key in keys_of(gone)]
    columns = {name: gone[name] for name in ("person_id", "frame_idx", "x0", "y0", "x1", "y1")}
    return pa.table(
        {
            "tombstone": pa.array([number] * gone.num_rows, pa.int32()),
            **columns,
            "content": pa.array([content for content, _ in found], pa.binary(32)),
            "likeness": pa.array([look for _, look in found], pa.binary(32)),
        },
        schema=removed_schema(),
    )
