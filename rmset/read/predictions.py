"""Predictions of runs: `predictions/<run>/<video_id>.parquet`, one row per face and one column per class.

The files are derived: removal takes the rows of removed faces out, and a run can write them again. A file records in
its metadata what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.errors import RmsetError, UsageError
from rmset.parts.shards import keys_of, opened, read
from rmset.root import RUN_NAME, Root

ORIGIN_KEY = b"rmset.predictions"
KEYS = ("run", "video_id", "person_id", "frame_idx")
"""Columns of the view before the classes."""


def run_name(name: str) -> str:
    """Check the name of a run in a root.

    Raises:
        UsageError: it cannot be the name of a folder.
    """
    if not RUN_NAME.fullmatch(name):
        raise UsageError(f"expected a name of letters, digits, . _ - for the run, found '{name[:80]}'; give another")
    return name


def predictions_schema(classes: Sequence[str], origin: Mapping[str, Any]) -> pa.Schema:
    """Return the schema of a file with these classes.

    Raises:
        UsageError: a class has the name of a key, or of another class.
    """
    taken = [name.lower() for name in (*KEYS, *classes)]
    if twice := [name for k, name in enumerate(taken) if name in taken[:k]]:
        raise UsageError(
            f"expected class names that differ from each other and from {', '.join(KEYS)}, found {twice[0]}"
        )
    keys = [pa.field("person_id", pa.int16(), nullable=False), pa.field("frame_idx", pa.int32(), nullable=False)]
    fields = [*keys, *(pa.field(name, pa.float32(), nullable=False) for name in classes)]
    meta = {schema.VERSION_KEY: str(schema.VERSION).encode(), ORIGIN_KEY: json.dumps(dict(origin)).encode()}
    return pa.schema(fields, metadata=meta)


def write_predictions(
    root: Root, run: str, video_id: str, person: npt.NDArray[np.integer], frame: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.floating], classes: Sequence[str], origin: Mapping[str, Any],
) -> None:  # fmt: skip
    """Publish a run's predictions of one video; the caller holds the video's lock.

    Args:
        root: the data set.
        run: name of the run.
        video_id: id of the video.
        person: (n,) person_id.
        frame: (n,) frame_idx.
        probabilities: (n, K).
        classes: names of the K classes.
        origin: what they were made from, JSON-like.
    """
    columns = {
        "person_id": pa.array(person, pa.int16()), "frame_idx": pa.array(frame, pa.int32()),
        **{name: pa.array(probabilities[:, k], pa.float32()) for k, name in enumerate(classes)},
    }  # fmt: skip
    _publish(root, root.predictions_key(run, video_id), pa.table(columns, schema=predictions_schema(classes, origin)))


def _publish(root: Root, key: str, table: pa.Table) -> None:
    with root.files.publish(key) as path:
        pq.write_table(table, path, compression="zstd", version="2.6", use_dictionary=["person_id"])


def read_predictions(path: Path) -> pa.Table:
    """Read a file.

    Raises:
        ShardError: it is damaged, or newer than this program.
    """
    return read(opened(path))


def made_from(path: Path) -> dict[str, Any] | None:
    """Return what a file was made from; None if it is missing, damaged or does not say."""
    try:
        found = json.loads((opened(path).schema_arrow.metadata or {}).get(ORIGIN_KEY, b"null"))
    except (RmsetError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def classes_of(path: Path) -> list[str]:
    """Return the class columns of a file.

    Raises:
        ShardError: it is damaged, or newer than this program.
    """
    return [name for name in opened(path).schema_arrow.names if name not in KEYS]


def keys_for(root: Root, video_id: str) -> list[str]:
    """Return the keys of all runs' predictions of a video."""
    return root.files.keys(f"predictions/*/{video_id}.parquet")


def without(root: Root, video_id: str, gone: npt.NDArray[np.int64], before: str | None) -> None:
    """Take faces out of all runs' predictions of a video; the caller holds the video's lock.

    Args:
        root: the data set.
        video_id: id of the video.
        gone: packed keys of the faces.
        before: hash of the export before the removal; predictions of any other are removed whole.
    """
    for key in keys_for(root, video_id):
        path = root.files.local(key)
        try:
            table = read_predictions(path)
        except RmsetError:
            # damaged: what is in it cannot be told, and a run writes it again
            root.files.remove(key)
            continue
        stay = ~np.isin(keys_of(table), gone)
        origin, now = made_from(path) or {}, root.export_hash(video_id)
        if origin.get("export") not in (before, now):
            # of other tracks, whose ids may be others
            root.files.remove(key)
            continue
        if stay.all() and origin.get("export") == now:
            continue
        origin = {**origin, "export": now}
        classes = [name for name in table.column_names if name not in KEYS]
        _publish(root, key, table.filter(pa.array(stay)).cast(predictions_schema(classes, origin)))
