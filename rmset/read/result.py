"""Query results as rows, Arrow, pandas, polars or files; columns keep their order and have unique names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from rmset.errors import QueryError
from rmset.outputs import written
from rmset.read.guard import one_line
from rmset.read.limits import within
from rmset.read.values import csv_batch, unchanged, unique

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
BATCH = 100_000
WORKER = "rmset-sql"
"""name of the threads in which DuckDB works"""


class Result:
    """Result of a query, computed on demand: rows, Arrow, pandas, polars or a file.

    Equal names are made unique in every form (`x0`, `x0_1`); columns keep their order.

    >>> result = rmset.open("data/rmset").sql("select person_id, count(*) as faces from faces group by 1 order by 1")
    >>> result.columns, result.arrow().num_rows, result.rows(limit=1)[0]["person_id"]
    (['person_id', 'faces'], 3, 0)

    Args:
        connection: cursor for this result alone.
        query: validated statement.
        parameters: values of its $names.
        keep: object to keep alive as long as the result.
        bound: bytes that DuckDB may use; limits the process while DuckDB works, see `rmset.read.limits.within`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: duckdb.Statement | str,
        parameters: Mapping[str, Any] | None = None,
        keep: object = None,
        bound: int | None = None,
    ) -> None:
        self._connection, self._query, self._keep, self._bound = connection, query, keep, bound
        self._parameters = dict(parameters) if parameters else None
        relation = self._work(lambda: connection.sql(query, params=self._parameters))
        if relation is None:
            raise QueryError("SQL: expected a query that returns rows, found one that returns none")
        self._relation = relation
        # the plan's text is available already; a second request would run the query again
        self._explains = isinstance(query, duckdb.Statement) and query.type == duckdb.StatementType.EXPLAIN
        self.columns: list[str] = unique(relation.columns)
        """names of the columns"""

    def _work(self, work: Callable[[], T], connection: duckdb.DuckDBPyConnection | None = None) -> T:
        """Run DuckDB's work within the memory limit, interruptible by Ctrl-C."""
        with within(self._bound):
            return interruptible(connection or self._connection, work)

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries, at most `limit`; further rows are not computed if DuckDB can avoid it."""
        cursor = self._connection.cursor()

        def read() -> list[tuple[Any, ...]]:
            if self._explains:
                return self._relation.fetchall()[:limit]
            cursor.execute(self._query, self._parameters)
            return cursor.fetchall() if limit is None else cursor.fetchmany(limit)

        return [dict(zip(self.columns, row, strict=True)) for row in self._work(read, cursor)]

    def arrow(self) -> pa.Table:
        """Return an Arrow table."""
        return self._work(self._relation.to_arrow_table).rename_columns(self.columns)

    def batches(self, rows: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield Arrow batches of at most `rows` rows; memory does not grow with the result."""
        reader = self._reader(rows)
        try:
            while (batch := self._following(reader)) is not None:
                yield batch
        finally:
            reader.close()

    def _reader(self, rows: int) -> pa.RecordBatchReader:
        return self._work(lambda: self._relation.to_arrow_reader(rows))

    def _following(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        """Return the next batch with renamed columns; None at the end."""

        def read() -> pa.RecordBatch | None:
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

        batch = self._work(read)
        return None if batch is None else batch.rename_columns(self.columns)

    def write(self, path: Path, cell: Callable[[str], str] = str) -> int:
        """Write all rows to a Parquet or CSV file, by its suffix, in batches; return the number of rows.

        In CSV, lists and structs are JSON text and bytes are base64.

        Args:
            path: the file; on failure it is not created.
            cell: function applied to each text of a CSV, for example to escape spreadsheet formulas.

        Raises:
            QueryError: another suffix, or values that the format cannot hold.
            RootError: the file cannot be written.
        """
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        writers = {".parquet": pa.parquet.ParquetWriter, ".csv": pa.csv.CSVWriter}
        if path.suffix not in writers:
            raise QueryError(f"{path}: expected a file that ends in {' or '.join(writers)}, found {path.suffix!r}")
        fitting = csv_batch if path.suffix == ".csv" else unchanged
        reader, count = self._reader(BATCH), 0
        try:
            with written(path) as partial:
                head = pa.RecordBatch.from_pylist([], reader.schema).rename_columns(self.columns)
                with writers[path.suffix](str(partial), fitting(head, cell).schema) as writer:
                    while (batch := self._following(reader)) is not None:
                        writer.write_batch(fitting(batch, cell))
                        count += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise QueryError(
                f"{path}: cannot be written ({' '.join(str(error).split())}); choose another -o"
            ) from error
        finally:
            reader.close()
        return count

    def pandas(self) -> pd.DataFrame:
        """Return a pandas frame; needs the extra `frames`."""
        frame: pd.DataFrame = self._work(self._relation.df)
        return frame.set_axis(self.columns, axis="columns")

    def polars(self) -> Any:
        """Return a polars frame; needs the extra `frames`."""

        def made() -> Any:
            import polars

            return polars.from_arrow(self._relation.to_arrow_table().rename_columns(self.columns))

        return self._work(made)


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Run DuckDB's work so that Ctrl-C ends it at once; DuckDB's errors become one-line errors.

    DuckDB checks for signals only between its tasks, and a task can take minutes. An interrupt from another thread
    stops it within a millisecond. So the main thread waits while a second one works.
    """
    if threading.current_thread() is not threading.main_thread():
        return guarded(work)
    done: list[T] = []
    failed: list[BaseException] = []
    # not Thread.join: after an interruption by Ctrl-C it treats the thread as ended
    ended = threading.Event()

    def run() -> None:
        try:
            done.append(guarded(work))
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name=WORKER, daemon=True).start()
    try:
        ended.wait()
    except BaseException:  # Ctrl-C, or the exception raised for SIGTERM
        connection.interrupt()
        # A single huge value cannot be interrupted; a program that ends must not wait for it.
        ended.wait(_GRACE_S)
        raise
    if failed:
        raise failed[0]
    return done[0]


_GRACE_S = 2.0


def guarded(work: Callable[[], T]) -> T:
    """Convert DuckDB's errors to one-line errors."""
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


_TOO_MUCH = "; select less, or allow more memory"


def _remedy(error: BaseException) -> str:
    return _TOO_MUCH if "out of memory" in str(error).lower() else ""
