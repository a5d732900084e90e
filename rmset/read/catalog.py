"""SQL over a root: a read-only DuckDB that sees the root's tables and nothing else of the machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from rmset.errors import QueryError
from rmset.read import guard, queries
from rmset.root import Root

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
_BATCH = 100_000
_TRACKS, _CROPS = "tracks/*.parquet", "crops/*/part-*.parquet"


class Result:
    """Rows of a query, in the form that the caller wants. Nothing is computed before it is asked for.

    >>> result = rmset.open("data/rmset").sql("select person_id, count(*) as faces from faces group by 1 order by 1")
    >>> result.columns, result.arrow().num_rows, result.rows(limit=1)[0]["person_id"]
    (['person_id', 'faces'], 3, 0)
    """

    def __init__(self, relation: duckdb.DuckDBPyRelation, connection: duckdb.DuckDBPyConnection) -> None:
        self._relation = relation
        # A relation does not keep its connection alive.
        self._connection = connection

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._relation.columns)

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries, at most `limit`; what lies beyond is not computed if that can be helped."""
        relation = self._relation if limit is None else self._relation.limit(limit)
        return [dict(zip(self.columns, row, strict=True)) for row in _told(relation.fetchall)]

    def arrow(self) -> pa.Table:
        """An Arrow table."""
        return _told(self._relation.to_arrow_table)

    def batches(self, rows: int = _BATCH) -> Iterator[pa.RecordBatch]:
        """Arrow batches of at most so many rows, one after the other: memory does not grow with the result."""
        reader = _told(lambda: self._relation.to_arrow_reader(rows))
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, OSError) as error:
                raise QueryError(f"SQL: {guard.one_line(error)}") from error
            yield batch

    def write(self, path: Path) -> int:
        """Write all rows to a Parquet or CSV file, by its suffix, in batches; returns how many.

        Raises:
            QueryError: another suffix, or a place that cannot be written to.
        """
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        writers = {".parquet": pa.parquet.ParquetWriter, ".csv": pa.csv.CSVWriter}
        if path.suffix not in writers:
            raise QueryError(f"{path}: expected a file that ends in {' or '.join(writers)}, found {path.suffix!r}")
        reader, count = _told(lambda: self._relation.to_arrow_reader(_BATCH)), 0
        partial = path.with_name(f".{path.name}.partial")
        try:
            with writers[path.suffix](str(partial), reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
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
        return count

    def pandas(self) -> pd.DataFrame:
        """A pandas frame; needs the extra `frames`."""
        return _told(self._relation.df)

    def polars(self) -> Any:
        """A polars frame; needs the extra `frames`."""
        return _told(self._relation.pl)


class Catalog:
    """The tables `videos`, `segments`, `regions`, `people`, `faces`, `crops` of a root, and the macros over them.

    Videos and layouts are read when the catalog is opened; face and crop rows when a query asks for them.

    Args:
        root: what to ask.
        threads: that DuckDB may use; all cores if omitted.
        memory: that DuckDB may use, such as `4GB`; half of the machine's if omitted. Beyond it, sorts and joins go
            to the system's folder for temporary files.
    """

    def __init__(self, root: Root, *, threads: int | None = None, memory: str = "50%") -> None:
        self.root = root
        spill = Path(tempfile.gettempdir()) / f"rmset-sql-{os.getuid()}-{os.getpid()}"
        config: dict[str, Any] = {"temp_directory": str(spill), "memory_limit": memory}
        self._db = duckdb.connect(":memory:", config=config | ({"threads": threads} if threads else {}))
        self._fill()
        self._close_the_doors()

    def _execute(self, statement: str) -> None:
        # DuckDB 2 keeps a connection busy until its result has been taken.
        self._db.execute(statement).fetchall()

    def _fill(self) -> None:
        ids = self.root.video_ids()
        for statement in queries.TABLES:
            self._execute(statement)
        records = [self.root.record(v) for v in ids]
        self._insert(
            "videos",
            [
                (r.video_id, r.title, r.uploader, r.license, r.source_url)
                + (r.width, r.height, r.fps, r.frame_count, r.duration_s, r.codec, r.sha256)
                for r in records
            ],
        )
        segments, regions, people = [], [], []
        for video_id in ids:
            if not self.root.has_layout(video_id):
                continue
            for i, s in enumerate(self.root.layout(video_id).segments):
                segments.append((video_id, i, s.start_frame, s.end_frame, s.reference_frame, s.reviewed, s.confidence))
                regions += [
                    (video_id, i, *r.box, s.start_frame, s.end_frame, r.source, r.confidence, s.reviewed)
                    for r in s.trigger_regions
                ]
                people += [
                    (video_id, i, p.person_id, *p.box, *(p.panel or (None,) * 4))
                    + (s.reference_frame, p.source, p.confidence)
                    for p in s.people
                ]
        self._insert("segments", segments)
        self._insert("regions", regions)
        self._insert("people", people)
        for pattern, view, empty in (
            (_TRACKS, queries.faces_view, queries.NO_FACES),
            (_CROPS, queries.crops_view, queries.NO_CROPS),
        ):
            files = self.root.files
            paths = [in_sql(files.local(key)) for key in files.keys(pattern)]
            try:
                self._execute(view(paths) if paths else empty)
            except duckdb.Error as error:
                raise QueryError(
                    f"root {self.root.path}: {guard.one_line(error)}; `rmset verify` tells more"
                ) from error
        for macro in queries.MACROS:
            self._execute(macro)

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            # One list per column; an Arrow table would do, but registering one imports pandas wherever it is installed.
            columns = [list(column) for column in zip(*rows, strict=True)]
            values = ", ".join(["unnest(?)"] * len(columns))
            self._db.execute(f"insert into {table} select {values}", columns).fetchall()

    def _close_the_doors(self) -> None:
        """From here on: the root's Parquet files, no other file, no network, no extension, no way back."""
        folders = [in_sql(self.root.files.local(k)) for k in ("tracks", "crops")]
        # DuckDB holds both a pattern and the paths that match it against these.
        folders += [queries.escaped(folder) for folder in folders]
        paths = [self.root.files.local(key) for pattern in (_TRACKS, _CROPS) for key in self.root.files.keys(pattern)]
        # It follows links before it asks: what a link of the root leads to is one more file, not a folder.
        linked = [real.as_posix() for path in paths if (real := path.resolve()) != path.absolute()]
        for setting in (
            f"allowed_directories = [{', '.join(queries.literal(f) for f in folders)}]",
            f"allowed_paths = [{', '.join(queries.literal(f) for f in linked)}]",
            "python_enable_replacements = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "allow_community_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._execute(f"set {setting}")

    def sql(self, query: str) -> Result:
        """Run one query of a user.

        Raises:
            QueryError: it is wrong, is not one `select`, or reaches beyond the root.
        """
        guard.check(self._db.cursor(), query)
        return self.run(query)

    def run(self, query: str, parameters: Mapping[str, Any] | None = None) -> Result:
        """Run one query of the program itself, which may use any function that the locked connection allows.

        Args:
            query: SQL.
            parameters: values of its $names.

        Raises:
            QueryError: it is wrong.
        """
        connection = self._db.cursor()
        relation = _told(lambda: connection.sql(query, params=dict(parameters) if parameters else None))
        if relation is None:
            raise QueryError("SQL: expected a query that returns rows, found one that returns none")
        return Result(relation, connection)


def in_sql(path: Path) -> str:
    """A path as it stands in SQL and in the column `filename`: absolute, links as they are, separated by `/`.

    Where a link leads says nothing of the video: a folder of shards may lie on another disk under another name.
    """
    return path.absolute().as_posix()


def _told(work: Callable[[], T]) -> T:
    """Turn what DuckDB refuses into one line."""
    try:
        return work()
    except duckdb.Error as error:
        raise QueryError(f"SQL: {guard.one_line(error)}") from error
    except ImportError as error:
        raise QueryError(
            f"expected {error.name or 'pandas or polars'}, found it is not installed; pip install 'rmset[frames]'"
        ) from error
