"""Face rows and crops of a video by key (person and frame), and the record of those that are removed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import schema
from rmset.errors import RmsetError
from rmset.parts.likeness import likeness
from rmset.parts.pictures import decode
from rmset.parts.shards import batches, keys_of, read_faces
from rmset.progress import Progress
from rmset.read.absent import removed_schema
from rmset.root import Root

_LOOKS = 30
"""every how many crops of a person one gets a perceptual hash"""


Damaged = tuple[type[RmsetError], ...]
"""Errors of damaged files that are passed over."""


def face_rows(root: Root, video_id: str, damaged: Damaged = ()) -> pa.Table:
    """Face rows of a video; none if it is not tracked."""
    key = root.tracks_key(video_id)
    try:
        if root.files.exists(key):
            return read_faces(root.files.local(key))
    except damaged:
        pass
    return schema.faces().empty_table()


def _crops(root: Root, video_id: str, columns: Sequence[str], damaged: Damaged) -> Iterator[pa.RecordBatch]:
    """Crops of a video, in batches."""
    for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        try:
            yield from batches(root.files.local(key), columns, 256)
        except damaged:
            continue


def count_crops(root: Root, video_id: str, gone: npt.NDArray[np.int64], damaged: Damaged = ()) -> int:
    """Count the crops of a video with these keys."""
    found = _crops(root, video_id, ["person_id", "frame_idx"], damaged)
    return sum(int(np.isin(keys_of(batch), gone).sum()) for batch in found)


def hashes_of(
    root: Root, video_id: str, gone: npt.NDArray[np.int64], progress: Progress, damaged: Damaged = ()
) -> dict[int, tuple[bytes, bytes | None]]:
    """Hashes of the bytes of each removed crop, and perceptual hashes of some, by key."""
    found: dict[int, tuple[bytes, bytes | None]] = {}
    seen: Counter[int] = Counter()
    for batch in _crops(root, video_id, ["person_id", "frame_idx", "image"], damaged):
        keys, pictures = keys_of(batch), batch["image"].field("bytes")
        for row in np.flatnonzero(np.isin(keys, gone)).tolist():
            data, person = pictures[row].as_py(), int(keys[row]) >> 32
            look = _likeness(data) if seen[person] % _LOOKS == 0 else None
            seen[person] += 1
            found[int(keys[row])] = hashlib.sha256(data).digest(), look
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
