"""Untrusted SQL: no statement writes anything, or reads anything outside the tables."""

import hashlib
import shutil

import duckdb
import pytest

from rmset.errors import QueryError
from rmset.read import guard, queries
from rmset.read.catalog import Catalog
from tests.attack import tally
from tests.store.worlds import crop_root, video_root

from .statements import generate

SECRET = "secret-words"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a root and, beside it, files that SQL must not read."""
    folder = tmp_path_factory.mktemp("attacked")
    root = crop_root(folder / "root", people=2, frames=6, videos=("v",))
    video_root(folder / "other", frames=4)
    shutil.copytree(folder / "other" / "videos", root.path / "videos", dirs_exist_ok=True)
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.txt").write_text(SECRET + "\n")
    (root.path / "videos" / "note.txt").write_text(SECRET + "\n")
    duckdb.sql(f"select '{SECRET}' as a").write_parquet(str(folder / "outside" / "other.parquet"))
    return root


def state(folder):
    """Hash of every file below a folder."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def light(folder):
    """Size, time and inode of every file below a folder: cheap enough to check after each statement."""
    found = ((p.relative_to(folder).as_posix(), p.lstat()) for p in sorted(folder.rglob("*")))
    return [(name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in found]


def tables(catalog):
    return {name: catalog.sql(f"select count(*) n from {name}").rows()[0]["n"] for name in queries.NAMES}


def attack(place, statements, ask):
    """Run all statements; return the number refused. No result may hold a secret, and no file may change."""
    folder = place.path.parent
    before, at_first, refused = state(folder), light(folder), 0
    for statement in statements:
        try:
            answer = str(ask(statement))
        except QueryError as error:
            answer, refused = str(error), refused + 1
        # an error is one line
        assert "\n" not in answer, statement
        assert SECRET not in answer, statement
        assert "root:" not in answer, statement
        assert light(folder) == at_first, statement
    assert state(folder) == before
    if len(statements) > 1:
        tally.note("SQL statements", "a lock", cases=len(statements), refused=refused)
    return refused


def names(place):
    return {"root": str(place.path), "outside": str(place.path.parent / "outside"), "video": "v"}


@pytest.mark.parametrize(
    ("count", "seed"), [(300, 1), pytest.param(4000, 2, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_generated_statements_neither_write_nor_read_outside(place, count, seed):
    catalog = Catalog(place)
    counted = tables(catalog)
    refused = attack(place, generate(count, seed, **names(place)), lambda text: catalog.sql(text).rows(100))
    assert refused > 0.95 * count
    assert tables(catalog) == counted


@pytest.mark.parametrize(
    ("count", "seed"), [(300, 3), pytest.param(4000, 4, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_the_connection_alone_refuses_them_too(place, count, seed):
    """The second lock alone: statements run without the parser's check."""
    catalog = Catalog(place)
    counted = tables(catalog)

    def ask(text):
        try:
            return catalog._db.cursor().execute(text).fetchmany(100)
        except (duckdb.Error, RuntimeError) as error:
            raise QueryError(guard.one_line(error)) from error

    attack(place, generate(count, seed, **names(place)), ask)
    assert tables(catalog) == counted


@pytest.mark.parametrize(
    ("count", "seed"), [(300, 5), pytest.param(4000, 6, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_the_parser_alone_refuses_them_too(place, count, seed):
    """The first lock alone: statements that pass it run on an unrestricted connection."""
    open_to_all = duckdb.connect()
    for table in queries.TABLES:
        open_to_all.execute(table).fetchall()
    open_to_all.execute(queries.NO_FACES).fetchall()
    open_to_all.execute(queries.NO_CROPS).fetchall()
    for macro in queries.MACROS:
        open_to_all.execute(macro).fetchall()
    before = open_to_all.execute("select table_name, sql from duckdb_tables() order by 1").fetchall()

    def ask(text):
        statement = guard.check(open_to_all, text, queries.NAMES)
        assert statement.type in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        try:
            return open_to_all.cursor().execute(statement).fetchmany(100)
        except duckdb.Error as error:
            raise QueryError(guard.one_line(error)) from error

    attack(place, generate(count, seed, **names(place)), ask)
    assert open_to_all.execute("select table_name, sql from duckdb_tables() order by 1").fetchall() == before


BYPASSES = [
    " -- explain\nexplain analyze copy (select 1 as a) to '{root}/crops/v/part-000.parquet'",
    "select 1 -- explain \nunion all select content from read_text('{root}/videos/note.txt')",
    "explain analyze copy (select 1) to '{outside}/new.csv'",
    "explain delete from videos",
    "explain analyze delete from videos",
    "explain (analyze, format json) delete from videos",
    "explain execute p",
    "select content from read_text('rmset://tracks/v.parquet')",
    "select ?",
    "select $1",
    "select $name",
    "select * from positives($a, 0, 0)",
    "pivot videos on title",
    "from faces at (version => (select 1 from read_text('{outside}/secret.txt')))",
    "select 1 as a limit (select count(*) from glob('{outside}/*'))",
]


@pytest.mark.parametrize("statement", BYPASSES)
def test_known_ways_around_the_guard_are_closed(place, statement):
    catalog = Catalog(place)
    assert (
        attack(
            place,
            [statement.replace("{root}", str(place.path)).replace("{outside}", names(place)["outside"])],
            lambda text: catalog.sql(text).rows(),
        )
        == 1
    )


def test_a_deletion_persists_in_no_connection(place):
    catalog = Catalog(place)
    before = tables(catalog)
    for statement in ("delete from videos", "drop view faces", "insert into videos (video_id) values ('x')"):
        with pytest.raises(duckdb.Error, match="read-only"):
            catalog._db.cursor().execute(statement).fetchall()
    assert tables(catalog) == before


@pytest.mark.parametrize(
    "query",
    [
        "explain select * from faces", "EXPLAIN ANALYZE select 1", "explain -- why\n select 'é' as a", "/* a */ explain (select 1)",
        "describe faces", "show tables", "show faces", "summarize videos", "from range(3)", "values (1)", "table videos",
        "with faces as (select 1 as a) from faces", "with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) from t",
        "pivot (select 1 as a, 2 as b) on a in (1, 2) using sum(b)", "select * from main.faces limit 1", "select ';' as a;",
        "select * from information_schema.tables", "select list_transform([1, 2], lambda x: x + 1)", "select * from faces -- all",
        "select repeat('ab', 3), range(5)", "select count(*) from positives('v', 0, 1)", "select * from duckdb_tables()",
    ],
)  # fmt: skip
def test_what_only_reads_still_runs(place, query):
    result = Catalog(place).sql(query)
    result.rows()
    assert result.arrow().column_names == result.columns
