"""Write a labeled set as Parquet in the Hugging Face convention, which the kind `parquet` reads.

<folder>/train.parquet    image (struct of bytes and path), label, subject, sequence …; class names in the metadata
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rmset.progress import Progress, silent

from ..files import whole
from .base import Split

_ROWS = 256
"""Rows in a group; few, because a group is decompressed as a whole."""


def write_parquet_set(folder: Path, splits: Mapping[str, Split], progress: Progress = silent) -> None:
    """Write each split as one file, with the encoded images as they are and every group of the split as a column.

    Args:
        folder: where the files go; it must exist.
        splits: split name -> images with one class each; all of one label order.
        progress: progress callback on images.
    """
    total, done = sum(map(len, splits.values())), 0
    for name, split in splits.items():
        meta = {"info": {"features": {"label": {"names": list(split.order.classes), "_type": "ClassLabel"}}}}
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        schema = pa.schema(
            [("image", image), ("label", pa.int64()), *((kind, pa.string()) for kind in split.groups)],
            metadata={"huggingface": json.dumps(meta)},
        )
        with whole(folder / f"{name}.parquet") as part, pq.ParquetWriter(part, schema) as writer:
            for start in range(0, max(1, len(split)), _ROWS):
                few = split.take(range(start, min(start + _ROWS, len(split))))
                images = [{"bytes": few.source.get(n), "path": Path(n).name} for n in few.names]
                columns = {
                    "image": images,
                    "label": few.classes.tolist(),
                    **{k: list(v) for k, v in few.groups.items()},
                }
                writer.write_table(pa.table(columns, schema=schema))
                done += len(few)
                progress("write labeled images", done, total)
