"""SQL over a root: a read-only DuckDB that sees the root's tables and nothing else of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from rmset.errors import QueryError
from rmset.read import queries
from rmset.store import Root

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


class Result:
    """Rows of a query, in the form that the caller wants."""

    def __init__(self, relation: duckdb.DuckDBPyRelation) -> None:
        self._relation = relation

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._relation.columns)

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries, at most `limit`."""
        relation = self._relation if limit is None else self._relation.limit(limit)
        return [dict(zip(self.columns, row, strict=True)) for row in _told(relation.fetchall)]

    def arrow(self) -> pa.Table:
        """An Arrow table."""
        return _told(self._relation.to_arrow_table)

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
            raise QueryError(f"{path}: expected a file that ends in {' or '.join(writers)}")
        reader, count = _told(self._relation.to_arrow_reader), 0
        partial = path.with_name(f".{path.name}.partial")
        try:
            with writers[path.suffix](str(partial), reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    count += batch.num_rows
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise QueryError(f"{path}: cannot be written ({error.strerror or error})") from error
        return count

    def pandas(self) -> pd.DataFrame:
        """A pandas frame (pandas must be installed)."""
        return _told(self._relation.df)

    def polars(self) -> Any:
        """A polars frame (polars must be installed)."""
        return _told(self._relation.pl)


class Catalog:
    """The tables `videos`, `regions`, `people`, `faces`, `crops` of a root, and the macros `positives`, `negatives`.

    Videos and layouts are read when the catalogue is opened; face and crop rows when a query asks for them.
    """

    def __init__(self, root: Root, *, threads: int | None = None) -> None:
        self.root = root
        self._db = duckdb.connect(":memory:", config={"threads": threads} if threads else {})
        self._fill()
        self._close_the_doors()

    def _fill(self) -> None:
        ids = self.root.video_ids()
        for statement in (queries.VIDEOS, queries.REGIONS, queries.PEOPLE):
            self._db.execute(statement)
        records = [self.root.record(v) for v in ids]
        self._insert(
            "videos",
            [
                (r.video_id, r.title, r.uploader, r.license, r.source_url)
                + (r.width, r.height, r.fps, r.frame_count, r.duration_s, r.codec, r.sha256)
                for r in records
            ],
        )
        regions, people = [], []
        for video_id in ids:
            if not self.root.has_layout(video_id):
                continue
            for i, s in enumerate(self.root.layout(video_id).segments):
                regions += [
                    (video_id, i, *r.box, s.start_frame, s.end_frame, r.source, r.confidence, s.reviewed)
                    for r in s.trigger_regions
                ]
                people += [
                    (video_id, i, p.person_id, *p.box, *(p.panel or (None,) * 4))
                    + (s.reference_frame, p.source, p.confidence)
                    for p in s.people
                ]
        self._insert("regions", regions)
        self._insert("people", people)
        files = self.root.files
        for name, columns, empty, pattern in (
            ("faces", queries.FACE_COLUMNS, queries.NO_FACES, "tracks/*.parquet"),
            ("crops", queries.CROP_COLUMNS, queries.NO_CROPS, "crops/*/part-*.parquet"),
        ):
            paths = [str(files.local(key).resolve()) for key in files.keys(pattern)]
            self._db.execute(queries.view(name, columns, paths) if paths else empty)
        for macro in (queries.POSITIVES, queries.NEGATIVES):
            self._db.execute(macro)

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608  (our own names)

    def _close_the_doors(self) -> None:
        """From here on: the root's Parquet files, no other file, no network, no extension, no way back."""
        folders = [str(self.root.files.local(k).resolve()) for k in ("tracks", "crops")]
        self._db.execute(f"set allowed_directories = [{', '.join(queries.literal(f) for f in folders)}]")
        for setting in (
            "python_enable_replacements = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._db.execute(f"set {setting}")

    def sql(self, query: str) -> Result:
        """Run one query.

        Raises:
            QueryError: it is wrong, is not one `select`, or reaches beyond the root.
        """
        try:
            statements = self._db.extract_statements(query)
        except duckdb.Error as error:
            raise QueryError(f"SQL: {_line(error)}") from error
        if len(statements) != 1 or statements[0].type not in _READS:
            kinds = ", ".join(s.type.name.lower() for s in statements) or "nothing"
            raise QueryError(f"SQL: expected one select, found {kinds}; a root is only read from here")
        relation = _told(lambda: self._db.sql(query))
        if relation is None:
            raise QueryError("SQL: expected a query that returns rows, found one that returns none")
        return Result(relation)


def _told(work: Any) -> Any:
    """Turn what DuckDB refuses into one line."""
    try:
        return work()
    except duckdb.Error as error:
        raise QueryError(f"SQL: {_line(error)}") from error


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    return "; ".join(lines)
