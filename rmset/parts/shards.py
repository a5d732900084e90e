"""Parquet files: face rows in large row groups for SQL, crops with random access to each picture.

A crop shard keeps `image.bytes` uncompressed, PLAIN, one page per row group. So the values of a row group are
consecutive at the end of its column chunk, each after four bytes of length, and the standard footer and the column
`encoded_size` give the position of every picture (`locate`). Other readers are unaffected; any Parquet tool opens the
file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.bounded import open_regular
from rmset.errors import ShardError, UnreadableError

TRACK_ROW_GROUP = 1 << 17
CROP_ROW_GROUP = 1024
"""12 to 16 MB at the size of the paper. Every group costs 1.2 KB of footer, which SQL over all shards has to read: for
45.67 million crops that is 53 MB, where 100 rows a group would be half a gigabyte."""
_GROUP_BYTES = 64 << 20
# Offsets are kept in 32 bits.
_LARGEST_SHARD = (1 << 32) - (1 << 28)
_LENGTH = 4  # bytes before each PLAIN value

LOCATION = np.dtype([("offset", "<u4"), ("size", "<u4")])
"""Position of a picture in its shard, bytes."""


# Columns of few values. For the others a dictionary would cost memory and a fifth of the file's size.
_REPEATED = ["video_id", "person_id", "part", "segment", "source"]


def write_faces(path: Path, tables: pa.Table | Iterable[pa.Table]) -> None:
    """Write face rows in large compressed row groups with statistics, so that SQL can skip groups.

    Rows may come in several tables; the file does not depend on their boundaries.
    """
    schema_ = schema.faces()
    waiting = schema_.empty_table()
    with pq.ParquetWriter(path, schema_, compression="zstd", version="2.6", use_dictionary=_REPEATED) as writer:
        for table in [tables] if isinstance(tables, pa.Table) else tables:
            waiting = pa.concat_tables([waiting, table.cast(schema_)])
            while waiting.num_rows >= TRACK_ROW_GROUP:
                writer.write_table(waiting.slice(0, TRACK_ROW_GROUP), row_group_size=TRACK_ROW_GROUP)
                waiting = waiting.slice(TRACK_ROW_GROUP)
        if waiting.num_rows:
            writer.write_table(waiting, row_group_size=TRACK_ROW_GROUP)


def read_faces(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read face rows.

    Raises:
        ShardError: the file is broken, or newer than this program.
    """
    return read(opened(path), columns)


def opened(path: Path) -> pq.ParquetFile:
    """Open a Parquet file of the root for reading, memory-mapped.

    Raises:
        ShardError: the file is missing, broken, or newer than this program.
    """
    try:
        # A pipe of that name would be waited for without end.
        open_regular(path).close()
        file = pq.ParquetFile(path, memory_map=True)
    except FileNotFoundError:
        raise ShardError(f"{path}: expected a Parquet file, found none; run the stage that writes it") from None
    except UnreadableError as error:
        raise ShardError(str(error)) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(path, error) from error
    found = schema.version_of(file.schema_arrow)
    if found > schema.VERSION:
        file.close()
        raise ShardError(f"{path}: expected schema {schema.VERSION} or older, found {found}; update rmset")
    return file


def read(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of an opened file.

    Raises:
        ShardError: its pages are broken.
    """
    try:
        return file.read(columns=list(columns) if columns else None)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"expected whole pages, found: {_line(error)}; run its stage again with --force") from error


def packed_keys(person: npt.ArrayLike, frame: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Person and frame of each row (N,) as one number, ascending by person and frame."""
    return np.asarray(person, np.int64) << 32 | np.asarray(frame, np.int64)


def keys_of(rows: pa.Table | pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return `packed_keys` of face rows or crops."""
    return packed_keys(rows["person_id"].to_numpy(), rows["frame_idx"].to_numpy())


def batches(path: Path, columns: Sequence[str], rows: int = 1024) -> Iterator[pa.RecordBatch]:
    """Rows of a file in batches, so that memory does not grow with the file.

    Raises:
        ShardError: the file is broken, or newer than this program.
    """
    file = opened(path)
    try:
        yield from file.iter_batches(batch_size=rows, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error
    finally:
        file.close()


def locate(path: Path, file: pq.ParquetFile, sizes: npt.NDArray[np.integer]) -> npt.NDArray[np.void]:
    """Position of each picture of a shard: (N,) of `LOCATION`.

    Args:
        path: the shard.
        file: the same, opened.
        sizes: (N,) bytes of each picture, its column `encoded_size`.

    Raises:
        ShardError: the shard lacks the layout of `CropWriter`, so values cannot be read by offset.
    """
    where = np.empty(len(sizes), LOCATION)
    where["size"] = sizes
    meta = file.metadata
    column = [meta.schema.column(i).path for i in range(meta.num_columns)].index("image.bytes")
    stride = np.asarray(sizes, dtype=np.int64) + _LENGTH
    low = 0
    with path.open("rb", buffering=0) as stream:
        for group in range(meta.num_row_groups):
            chunk = meta.row_group(group).column(column)
            high = low + chunk.num_values
            end = chunk.data_page_offset + chunk.total_compressed_size
            # The last value ends with the chunk; each other one ends at the next length.
            starts = end - np.cumsum(stride[low:high][::-1])[::-1] + _LENGTH
            where["offset"][low:high] = starts
            # Check the layout: the first length must be at its computed place.
            first = int(starts[0]) - _LENGTH
            stream.seek(max(first, 0))
            found = stream.read(_LENGTH) if first > chunk.data_page_offset else b""
            if chunk.compression != "UNCOMPRESSED" or int.from_bytes(found, "little") != int(sizes[low]):
                raise ShardError(
                    f"{path}: expected pictures uncompressed, plain, one page a row group, found another layout in "
                    f"row group {group}; a tool has rewritten it: export the video again with --force"
                )
            low = high
    return where


class CropWriter:
    """Writes crops into `part-000.parquet`, `part-001.parquet`, … of a folder, each of bounded size.

    Use as a context manager; rows are buffered until a row group is full. The same rows give the same bytes.
    """

    def __init__(self, folder: Path, rows_per_part: int = 1 << 30, part_bytes: int = 1 << 30) -> None:
        self._folder = folder
        self._rows_per_part = rows_per_part
        self._part_bytes = min(part_bytes, _LARGEST_SHARD)
        self._rows: list[Mapping[str, Any]] = []
        self._row_bytes = 0
        self._part = (0, 0)  # rows and picture bytes of the open part
        self._writer: pq.ParquetWriter | None = None
        self.parts: list[Path] = []

    def __enter__(self) -> CropWriter:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write buffered rows, and the footer of the last part."""
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one crop: a value for each field of the schema but `encoded_size`, which is counted here."""
        self._rows.append(row)
        self._row_bytes += len(row["image"]["bytes"])
        full = len(self._rows) == CROP_ROW_GROUP or self._row_bytes >= min(_GROUP_BYTES, self._part_bytes)
        if full or self._part[0] + len(self._rows) >= self._rows_per_part:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            path = self._folder / f"part-{len(self.parts):03d}.parquet"
            self.parts.append(path)
            self._writer = crop_writer(path)
        rows = [{**row, "encoded_size": len(row["image"]["bytes"])} for row in self._rows]
        table = pa.Table.from_pylist(rows, schema=schema.crops())
        self._writer.write_table(table, row_group_size=len(rows))
        self._part = (self._part[0] + len(rows), self._part[1] + self._row_bytes)
        self._rows, self._row_bytes = [], 0
        if self._part[0] >= self._rows_per_part or self._part[1] >= self._part_bytes:
            self._writer.close()
            self._writer, self._part = None, (0, 0)


def crop_writer(path: Path) -> pq.ParquetWriter:
    """Make a Parquet writer that lays crops out as `locate` expects them, one row group for each table written."""
    names = [field.name for field in schema.CROP_FIELDS if field.name != "image"]
    # Pictures are already compressed; only the other columns gain from compression.
    codec = dict.fromkeys(names, "zstd") | {"image.bytes": "none", "image.path": "zstd"}
    return pq.ParquetWriter(
        path,
        schema.crops(),
        compression=codec,
        use_dictionary=["video_id"],
        # Without this, statistics would contain whole pictures.
        write_statistics=names,
        # One page per row group, for any size of pictures.
        data_page_size=1 << 30,
        version="2.6",
    )


def _broken(path: Path, error: Exception) -> ShardError:
    return ShardError(f"{path}: not a whole Parquet file ({_line(error)}); run its stage again with --force")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
