"""Tables of duplicates: `duplicates.parquet` (copies of videos) and `duplicates/<video_id>.parquet` (like crops).

Both are derived and made anew by `rmset duplicates`; a removal deletes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.errors import RmsetError
from rmset.files import hash_of
from rmset.parts.shards import opened
from rmset.records import check_video_id
from rmset.root import Root

VIDEOS, FOLDER = "duplicates.parquet", "duplicates"
_EXPORT = b"rmset.export"


def duplicates_schema(export: str | None = None) -> pa.Schema:
    """Return the schema of both files.

    Args:
        export: hash of the shards that were compared.
    """
    fields = [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("person_id", pa.int16()),  # null: the whole video
        pa.field("frame_idx", pa.int32()),
        pa.field("of_video_id", pa.string(), nullable=False),  # the one that is kept
        pa.field("of_person_id", pa.int16()),
        pa.field("of_frame_idx", pa.int32()),
        pa.field("difference", pa.float32(), nullable=False),  # crops: bits of 256; videos: share of unlike blocks
        pa.field("edit", pa.string()),  # videos: mirrored, cropped, at 1.10 of its speed
    ]
    metadata = {schema.VERSION_KEY: str(schema.VERSION).encode(), _EXPORT: (export or "").encode()}
    return pa.schema(fields, metadata=metadata)


def crops_key(video_id: str) -> str:
    """Key of the duplicates among a video's crops."""
    return f"{FOLDER}/{check_video_id(video_id)}.parquet"


def write_duplicates(path: Path, columns: Mapping[str, Sequence[Any] | pa.Array], export: str | None = None) -> None:
    """Write a table."""
    table = pa.table(dict(columns), schema=duplicates_schema(export))
    pq.write_table(table, path, compression="zstd", version="2.6", use_dictionary=["video_id", "of_video_id", "edit"])


def current_files(root: Root) -> list[str]:
    """Keys of the tables that belong to the present videos and shards.

    Tables of crops that were exported again since are left out, like unreadable ones.
    """
    hidden = root.removed().hidden
    found = []
    for key in root.files.keys(f"{FOLDER}/*.parquet"):
        video_id = Path(key).stem
        if video_id in hidden:
            continue
        try:
            file = opened(root.files.local(key))
        except RmsetError:
            continue
        made = (file.schema_arrow.metadata or {}).get(_EXPORT, b"").decode()
        file.close()
        if made == (root.export_hash(video_id) or ""):
            found.append(key)
    if root.files.exists(VIDEOS) and not hidden & set(_videos(root)):
        found.append(VIDEOS)
    return found


def _videos(root: Root) -> list[str]:
    try:
        table = pq.read_table(root.files.local(VIDEOS), columns=["video_id", "of_video_id"])
    except (pa.ArrowException, OSError):
        # An unreadable table is left out as if it named a hidden video.
        return sorted(root.removed().hidden) or [""]
    return [*table["video_id"].to_pylist(), *table["of_video_id"].to_pylist()]


def state_hash(root: Root) -> str:
    """Hash of the tables' state."""
    stamps = [[key, root.files.stamp(key).bytes, root.files.stamp(key).version] for key in current_files(root)]
    return hash_of(stamps)


def forget_duplicates(root: Root) -> None:
    """Delete the tables, which name removed crops."""
    for key in (VIDEOS, f".{VIDEOS}.partial", FOLDER):
        root.files.remove(key)
