"""SQL over a root: a read-only DuckDB with access to the root's tables only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from rmset.errors import QueryError, RmsetError
from rmset.read import guard, queries
from rmset.read.duplicates import current_files
from rmset.read.limits import size
from rmset.read.mount import PREFIX, ReadOnlyFiles
from rmset.read.persons import Persons, read_persons
from rmset.read.predictions import classes_of
from rmset.read.result import Result, guarded
from rmset.read.spill import PrivateFolder
from rmset.root import Root

_PATTERNS = ("tracks/*.parquet", "crops/*/part-*.parquet", "predictions/*/*.parquet")
MEMORY = "2GB"
"""Default memory limit of DuckDB."""


class Catalog:
    """The tables of a root (`rmset.read.queries.NAMES`), and the macros over them.

    Videos and layouts are read when the catalog is opened; face and crop rows when a query needs them.

    Args:
        root: data set to query.
        threads: threads of DuckDB; default: all cores.
        memory: memory limit of DuckDB, such as `8GB`. Larger sorts and joins use a private folder below the user's
            cache, up to half of the free space there.
    """

    def __init__(self, root: Root, *, threads: int | None = None, memory: str = MEMORY) -> None:
        self.root = root
        self.left_out: list[str] = []
        """a line for each unreadable small file, which is missing from the tables"""
        removed = root.removed()
        keys = (key for pattern in _PATTERNS for key in root.files.keys(pattern))
        self._keys = [key for key in keys if _video_of(key) not in removed.hidden]
        self._duplicates = current_files(root)
        self._keys += self._duplicates
        self._folder = PrivateFolder()
        place = str(self._folder.path / "catalog.duckdb")
        config: dict[str, Any] = {
            "temp_directory": str(self._folder.path / "spill"),
            "max_temp_directory_size": f"{self._folder.free_bytes // 2 >> 20}MiB",
            "memory_limit": memory,
        } | ({"threads": threads} if threads else {})
        # It is temporary, so it need not be synced to disk.
        self._db = self._connected(place, config | {"fsync_mode": "none"})
        self._fill()
        self._db.close()
        self._db = self._connected(place, config, read_only=True)
        self._restrict()

    def _connected(
        self, place: str, config: Mapping[str, Any], *, read_only: bool = False
    ) -> duckdb.DuckDBPyConnection:
        connection = guarded(lambda: duckdb.connect(place, read_only=read_only, config=dict(config)))
        connection.register_filesystem(ReadOnlyFiles(self.root.files, self._keys))
        return connection

    def _execute(self, statement: str) -> None:
        # DuckDB 2 keeps a connection busy until its result is consumed.
        self._db.execute(statement).fetchall()

    def _fill(self) -> None:
        for statement in queries.TABLES:
            self._execute(statement)
        records = self.root.records(self.left_out)
        layouts, audits = self.root.layouts(self.left_out), self.root.audits(self.left_out)
        sure = {x.video_id: min((s.confidence for s in x.segments), default=0.0) for x in layouts}
        sure |= {a.video_id: min(sure[a.video_id], a.confidence) for a in audits if a.video_id in sure}
        self._insert(
            "videos",
            [
                (r.video_id, r.title, r.uploader, r.license, r.source_url)
                + (r.width, r.height, r.fps, r.frame_count, r.duration_s, r.codec, r.sha256)
                + (sure.get(r.video_id),)
                for r in records
            ],
        )
        segments, regions, people = [], [], []
        for layout in layouts:
            video_id = layout.video_id
            for i, s in enumerate(layout.segments):
                segments.append((video_id, i, s.start_frame, s.end_frame, s.reference_frame, s.reviewed, s.confidence))
                regions += [
                    (video_id, i, *box, s.start_frame, s.end_frame, r.source, r.confidence, s.reviewed)
                    for r in s.trigger_regions
                    for box in s.removed_from(r)
                ]
                people += [
                    (video_id, i, p.person_id, *p.box, *(p.panel or (None,) * 4))
                    + (s.reference_frame, p.source, p.confidence)
                    for p in s.people
                ]
        self._insert("segments", segments)
        self._insert("regions", regions)
        self._insert("people", people)
        self._insert(
            "audit",
            [
                (found.video_id, a.question, a.answer, a.good, a.frame_idx, None if a.box is None else list(a.box))
                + (a.person_id, a.detail, a.confidence)
                for found in audits
                for a in found.answers
            ],
        )
        self._insert("persons", [(r.person_key, *r.track, r.similarity, r.source) for r in self._persons()])
        removed = [(t.what, t.key, t.reason, t.time, t.state, t.faces, t.crops) for t in self.root.removed()]
        self._insert("removed", removed)
        for table, view, empty in (
            ("tracks", queries.faces_view, queries.NO_FACES),
            ("crops", queries.crops_view, queries.NO_CROPS),
        ):
            names = [PREFIX + key for key in self._keys if key.startswith(f"{table}/")]
            try:
                self._execute(view(names) if names else empty)
            except duckdb.Error as error:
                raise QueryError(
                    f"root {self.root.place}: {guard.one_line(error, pointer=False)}; `rmset verify` tells more"
                ) from error
        self._execute(self._predictions())
        found = [PREFIX + key for key in self._duplicates]
        self._execute(queries.duplicates_view(found) if found else queries.NO_DUPLICATES)
        for macro in queries.MACROS:
            self._execute(macro)

    def _predictions(self) -> str:
        """Return the view over all runs' predictions; files that cannot be read are left out."""
        names, classes = [], dict[str, str]()
        for key in self._keys:
            if not key.startswith("predictions/"):
                continue
            try:
                found = classes_of(self.root.files.local(key))
            except RmsetError as error:
                self.left_out.append(f"predictions are left out: {error}")
                continue
            names.append(PREFIX + key)
            for name in found:
                # column names are compared without case
                classes.setdefault(name.lower(), name)
        return queries.predictions_view(names, [*classes.values()]) if names else queries.NO_PREDICTIONS

    def _persons(self) -> Persons:
        try:
            return read_persons(self.root)
        except RmsetError as error:
            self.left_out.append(f"the persons are left out: {error}")
            return Persons()

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            # One list per column: registering an Arrow table would import pandas if it is installed.
            columns = [list(column) for column in zip(*rows, strict=True)]
            values = ", ".join(["unnest(?)"] * len(columns))
            self._db.execute(f"insert into {table} select {values}", columns).fetchall()

    def _restrict(self) -> None:
        """Lock the connection: it reads the root's tables through `ReadOnlyFiles`, and no other file or network."""
        for setting in (
            f"allowed_directories = [{queries.literal(PREFIX)}]",
            "python_enable_replacements = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "allow_community_extensions = false",
            "allow_persistent_secrets = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._execute(f"set {setting}")

    def close(self) -> None:
        """Remove the private folder now, even while an uninterruptible query runs."""
        self._folder.close()

    @property
    def memory(self) -> int:
        """Memory limit of DuckDB, bytes."""
        ((text,),) = self._db.cursor().execute("select current_setting('memory_limit')").fetchall()
        return size(text)

    def sql(self, query: str, *, bounded: bool = False) -> Result:
        """Run one query of a user.

        Args:
            query: one `select`.
            bounded: hold the whole process to `memory` while the query works; see `Dataset.sql`.

        Raises:
            QueryError: the query is invalid, is not one `select`, or reads more than the root's tables.
        """
        cursor = self._db.cursor()
        statement = guard.check(cursor, query, queries.NAMES)
        return self._result(statement, None, self.memory if bounded else None)

    def run(self, query: str, parameters: Mapping[str, Any] | None = None) -> Result:
        """Run one trusted query, which may use any function that the locked connection allows.

        Args:
            query: SQL.
            parameters: values of its $names.

        Raises:
            QueryError: invalid SQL.
        """
        return self._result(query, parameters)

    def _result(
        self, query: duckdb.Statement | str, parameters: Mapping[str, Any] | None, bound: int | None = None
    ) -> Result:
        return Result(self._db.cursor(), query, parameters, keep=self._folder, bound=bound)


def _video_of(key: str) -> str:
    """Return the video of `tracks/<video_id>.parquet` or `crops/<video_id>/part-NNN.parquet`."""
    parts = key.split("/")
    return parts[2 if parts[0] == "predictions" else 1].removesuffix(".parquet")
