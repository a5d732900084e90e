"""Parquet files, written whole: face rows in large row groups for SQL, crops in small ones for random reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.errors import ShardError

TRACK_ROW_GROUP = 1 << 17
CROP_ROW_GROUP = 100


def write_faces(path: Path, table: pa.Table) -> None:
    """Write face rows; large row groups, compressed, statistics on, so that SQL skips what it does not need."""
    pq.write_table(table.cast(schema.faces()), path, row_group_size=TRACK_ROW_GROUP, compression="zstd", version="2.6")


def read_faces(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read face rows.

    Raises:
        ShardError: the file is broken, or newer than this program.
    """
    return opened(path).read(columns=list(columns) if columns else None)


def opened(path: Path) -> pq.ParquetFile:
    """Open a Parquet file of the root for reading, memory-mapped.

    Raises:
        ShardError: the file is missing, broken, or newer than this program.
    """
    try:
        file = pq.ParquetFile(path, memory_map=True)
    except FileNotFoundError:
        raise ShardError(f"{path}: expected a Parquet file, found none; run the stage that writes it") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ShardError(f"{path}: not a whole Parquet file ({error}); run its stage again with --force") from error
    found = schema.version_of(file.schema_arrow)
    if found > schema.VERSION:
        raise ShardError(f"{path}: expected schema {schema.VERSION} or older, found {found}; update rmset")
    return file


class CropWriter:
    """Writes crops into `part-000.parquet`, `part-001.parquet`, … of a folder, each of bounded size.

    Use as a context manager; rows are kept back until a row group is full.
    """

    def __init__(self, folder: Path, rows_per_part: int) -> None:
        self._folder = folder
        self._rows_per_part = rows_per_part
        self._rows: list[Mapping[str, Any]] = []
        self._part_rows = 0
        self._writer: pq.ParquetWriter | None = None
        self.parts: list[Path] = []

    def __enter__(self) -> CropWriter:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was kept back, and the footer of the last part."""
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one crop: a value for each field of the schema."""
        self._rows.append(row)
        if len(self._rows) == CROP_ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            path = self._folder / f"part-{len(self.parts):03d}.parquet"
            self.parts.append(path)
            # Pictures are compressed already; only the numbers beside them gain from it.
            names = [f.name for f in schema.CROP_FIELDS]
            codec = {n: "zstd" for n in names if n != "image"} | {"image.bytes": "none", "image.path": "zstd"}
            self._writer = pq.ParquetWriter(
                path, schema.crops(), compression=codec, use_dictionary=["video_id"], version="2.6"
            )
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=schema.crops()), row_group_size=CROP_ROW_GROUP)
        self._part_rows += len(self._rows)
        self._rows = []
        if self._part_rows >= self._rows_per_part:
            self._writer.close()
            self._writer, self._part_rows = None, 0


def batches(path: Path, columns: Sequence[str], rows: int = 1024) -> Iterator[pa.RecordBatch]:
    """Rows of a file in batches, so that memory does not grow with the file."""
    yield from opened(path).iter_batches(batch_size=rows, columns=list(columns))
