"""Rows of a query in the form that the caller wants; columns keep their place, and no two have one name."""

from __future__ import annotations

import base64
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from rmset.errors import QueryError
from rmset.read.guard import one_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
BATCH = 100_000


class Result:
    """Rows of a query, in the form that the caller wants. Nothing is computed before it is asked for.

    Equal names are made unique in every form (`x0`, `x0_1`); columns stay in their places.

    >>> result = rmset.open("data/rmset").sql("select person_id, count(*) as faces from faces group by 1 order by 1")
    >>> result.columns, result.arrow().num_rows, result.rows(limit=1)[0]["person_id"]
    (['person_id', 'faces'], 3, 0)

    Args:
        connection: a cursor of its own.
        query: a statement that may run.
        parameters: values of its $names.
        keep: kept alive as long as the result.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: duckdb.Statement | str,
        parameters: Mapping[str, Any] | None = None,
        keep: object = None,
    ) -> None:
        self._connection, self._query, self._keep = connection, query, keep
        self._parameters = dict(parameters) if parameters else None
        relation = interruptible(connection, lambda: connection.sql(query, params=self._parameters))
        if relation is None:
            raise QueryError("SQL: expected a query that returns rows, found one that returns none")
        self._relation = relation
        # its text is there already; asked again, it would run again
        self._explains = isinstance(query, duckdb.Statement) and query.type == duckdb.StatementType.EXPLAIN
        self.columns: list[str] = unique(relation.columns)
        """names of the columns"""

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries, at most `limit`; what lies beyond is not computed if that can be helped."""
        cursor = self._connection.cursor()

        def read() -> list[tuple[Any, ...]]:
            if self._explains:
                return self._relation.fetchall()[:limit]
            cursor.execute(self._query, self._parameters)
            return cursor.fetchall() if limit is None else cursor.fetchmany(limit)

        return [dict(zip(self.columns, row, strict=True)) for row in interruptible(cursor, read)]

    def arrow(self) -> pa.Table:
        """An Arrow table."""
        return interruptible(self._connection, self._relation.to_arrow_table).rename_columns(self.columns)

    def batches(self, rows: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Arrow batches of at most so many rows, one after the other: memory does not grow with the result."""
        reader = self._reader(rows)
        try:
            while (batch := self._following(reader)) is not None:
                yield batch
        finally:
            reader.close()

    def _reader(self, rows: int) -> pa.RecordBatchReader:
        return interruptible(self._connection, lambda: self._relation.to_arrow_reader(rows))

    def _following(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        """The next batch, its columns renamed; None at the end."""

        def read() -> pa.RecordBatch | None:
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

        batch = interruptible(self._connection, read)
        return None if batch is None else batch.rename_columns(self.columns)

    def write(self, path: Path, cell: Callable[[str], str] = str) -> int:
        """Write all rows to a Parquet or CSV file, by its suffix, in batches; returns how many.

        In CSV, lists and structs are JSON text and bytes are base64.

        Args:
            path: the file; it is there whole or not at all.
            cell: changes each text of a CSV, such as those that a spreadsheet would take for a formula.

        Raises:
            QueryError: another suffix, or a place that cannot be written to.
        """
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        writers = {".parquet": pa.parquet.ParquetWriter, ".csv": pa.csv.CSVWriter}
        if path.suffix not in writers:
            raise QueryError(f"{path}: expected a file that ends in {' or '.join(writers)}, found {path.suffix!r}")
        fitting = csv_batch if path.suffix == ".csv" else _unchanged
        partial = path.with_name(f".{path.name}.partial")
        reader = self._reader(BATCH)
        try:
            head = pa.RecordBatch.from_pylist([], reader.schema).rename_columns(self.columns)
            head, count = fitting(head, cell), 0
            with writers[path.suffix](str(partial), head.schema) as writer:
                while (batch := self._following(reader)) is not None:
                    writer.write_batch(fitting(batch, cell))
                    count += batch.num_rows
            partial.replace(path)
        except (OSError, pa.ArrowException) as error:
            partial.unlink(missing_ok=True)
            raise QueryError(
                f"{path}: cannot be written ({' '.join(str(error).split())}); choose another -o"
            ) from error
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        finally:
            reader.close()
        return count

    def pandas(self) -> pd.DataFrame:
        """A pandas frame; needs the extra `frames`."""
        frame: pd.DataFrame = interruptible(self._connection, self._relation.df)
        return frame.set_axis(self.columns, axis="columns")

    def polars(self) -> Any:
        """A polars frame; needs the extra `frames`."""

        def made() -> Any:
            import polars

            return polars.from_arrow(self._relation.to_arrow_table().rename_columns(self.columns))

        return interruptible(self._connection, made)


def unique(names: Sequence[str]) -> list[str]:
    """The same names, equal ones numbered; letters' case makes no difference, as in SQL.

    >>> unique(["x0", "y0", "x0", "X0"])
    ['x0', 'y0', 'x0_1', 'X0_2']
    >>> unique(["a", "a", "a_1"])
    ['a', 'a_2', 'a_1']
    """
    taken, given = {name.lower() for name in names}, set[str]()
    result = []
    for name in names:
        new, number = name, 0
        while new.lower() in given or (number and new.lower() in taken):
            number += 1
            new = f"{name}_{number}"
        given.add(new.lower())
        result.append(new)
    return result


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinities as null, bytes as base64, times and others as text.

    >>> plain({"a": [1.5, float("nan")], "b": b"ab"})
    {'a': [1.5, None], 'b': 'YWI='}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(v) for v in value]
    return str(value)


def csv_cell(value: Any, cell: Callable[[str], str] = str) -> Any:
    """A value as a cell of a CSV: nothing for null, JSON text for lists and structs, base64 for bytes."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return value
    found = plain(value)
    return cell(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def _unchanged(batch: pa.RecordBatch, _: Callable[[str], str]) -> pa.RecordBatch:
    return batch


def csv_batch(batch: pa.RecordBatch, cell: Callable[[str], str]) -> pa.RecordBatch:
    """A batch whose columns a CSV can hold: numbers and times as they are, all else as text."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        kind = column.type
        number = pa.types.is_primitive(kind) or pa.types.is_decimal(kind)
        if number and not pa.types.is_interval(kind) and not pa.types.is_duration(kind):
            columns.append(column)
        else:
            # a text is looked at once, however often it stands in the column
            known: dict[str, str | None] = {}
            texts = [_text(value, cell, known) for value in column.to_pylist()]
            columns.append(pa.array(texts, pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=[cell(name) for name in batch.schema.names])


def _text(value: Any, cell: Callable[[str], str], known: dict[str, str | None]) -> str | None:
    if not isinstance(value, str):
        return None if value is None else str(csv_cell(value, cell))
    if value not in known:
        known[value] = cell(value)
    return known[value]


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Do DuckDB's work so that Ctrl-C ends it at once, and turn what DuckDB refuses into one line.

    DuckDB looks for signals only between its tasks, of which one can take minutes; told from another thread it stops
    within a millisecond. So the main thread waits, and a second one works.
    """
    if threading.current_thread() is not threading.main_thread():
        return guarded(work)
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(guarded(work))
        except BaseException as error:
            failed.append(error)

    worker = threading.Thread(target=run, name="rmset-sql", daemon=True)
    worker.start()
    try:
        worker.join()
    except KeyboardInterrupt:
        connection.interrupt()
        # A single huge value cannot be interrupted; the process ends without waiting for it.
        worker.join(_GRACE_S)
        raise
    if failed:
        raise failed[0]
    return done[0]


_GRACE_S = 2.0


def guarded(work: Callable[[], T]) -> T:
    """Turn what DuckDB refuses into one line."""
    try:
        return work()
    except duckdb.Error as error:
        raise QueryError(f"SQL: {one_line(error)}{_remedy(error)}") from error
    except ImportError as error:
        raise QueryError(
            f"expected {error.name or 'pandas or polars'}, found it is not installed; pip install 'rmset[frames]'"
        ) from error
    except MemoryError as error:
        raise QueryError(f"SQL: expected rows that fit into memory, found more{_TOO_MUCH}") from error
    except (RuntimeError, OSError, UnicodeError) as error:
        # streams report DuckDB's errors as OSError
        raise QueryError(f"SQL: {one_line(error)}{_remedy(error)}") from error


_TOO_MUCH = "; select less, or allow more with --memory"


def _remedy(error: BaseException) -> str:
    return _TOO_MUCH if "out of memory" in str(error).lower() else ""
