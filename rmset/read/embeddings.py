"""Stored face embeddings, `embeddings/<video_id>.parquet`: a few sharp faces of each track of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.errors import RmsetError, RootError
from rmset.geometry import Boxes, as_boxes
from rmset.parts.shards import opened, packed_keys, read
from rmset.root import Root

_EMBEDDER, _INPUTS = b"rmset.embedder", b"rmset.inputs"
_BOX = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class Embedded:
    """Embeddings of N faces of one video."""

    video_id: str
    embedder: str
    """name of the network; vectors of two networks cannot be compared"""
    inputs: str
    """hash of the tracks and settings that they were made from"""
    person_id: npt.NDArray[np.int16]
    """(N,) ascending"""
    frame_idx: npt.NDArray[np.int32]
    """(N,) ascending within a person"""
    boxes: Boxes
    """(N, 4)"""
    vectors: npt.NDArray[np.float32]
    """(N, D)"""

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """(N,) packed keys of person and frame."""
        return packed_keys(self.person_id, self.frame_idx)

    def take(self, rows: npt.NDArray[np.bool_]) -> Embedded:
        """Return some of the faces."""
        columns = (self.person_id[rows], self.frame_idx[rows], self.boxes[rows], self.vectors[rows])
        return Embedded(self.video_id, self.embedder, self.inputs, *columns)

    def write(self, path: Path) -> None:
        """Write the file."""
        metadata = {
            schema.VERSION_KEY: str(schema.VERSION).encode(),
            _EMBEDDER: self.embedder.encode(),
            _INPUTS: self.inputs.encode(),
        }
        width = self.vectors.shape[1] if self.vectors.ndim == 2 else 0
        flat = pa.array(np.ascontiguousarray(self.vectors, np.float32).reshape(-1), pa.float32())
        columns = {
            "person_id": pa.array(self.person_id, pa.int16()),
            "frame_idx": pa.array(self.frame_idx, pa.int32()),
            **{name: pa.array(self.boxes[:, i], pa.float32()) for i, name in enumerate(_BOX)},
            "vector": pa.FixedSizeListArray.from_arrays(flat, max(width, 1)),
        }
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, compression="zstd", version="2.6")


def read_embeddings(root: Root, video_id: str) -> Embedded | None:
    """Return the stored embeddings of a video; None if there are none.

    Raises:
        RootError: the file is damaged, or newer than this program.
    """
    key = root.embeddings_key(video_id)
    if not root.files.exists(key):
        return None
    path = root.files.local(key)
    try:
        file = opened(path)
        try:
            table, metadata = read(file), dict(file.schema_arrow.metadata or {})
        finally:
            file.close()
        vectors = table["vector"].combine_chunks()
        found = vectors.flatten().to_numpy().reshape(len(vectors), -1) if len(vectors) else np.empty((0, 1))
        boxes = np.stack([table[n].to_numpy() for n in _BOX], axis=1)
        person, frame = table["person_id"].to_numpy(), table["frame_idx"].to_numpy()
        embedder, inputs = metadata[_EMBEDDER].decode(), metadata[_INPUTS].decode()
    except (RmsetError, pa.ArrowException, ValueError, KeyError, AttributeError) as error:
        raise RootError(
            f"{path}: expected embeddings, found: {' '.join(str(error).split())[:200]}; remove it and run "
            "`rmset people link`"
        ) from error
    return Embedded(
        video_id, embedder, inputs, person.astype(np.int16), frame.astype(np.int32), as_boxes(boxes),
        np.asarray(found, np.float32),
    )  # fmt: skip
