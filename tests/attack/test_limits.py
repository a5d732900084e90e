"""SQL queries that exceed memory, disk or time end with one line and leave no files."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmset.errors import QueryError, RootError
from rmset.read import spill
from rmset.read.catalog import Catalog
from rmset.records import VideoRecord
from rmset.root import Root
from rmset_cli.rmset.app import app
from tests.store.worlds import crop_row, video_root, write_crops

BIN = Path(sys.executable).parent
GIB = 1 << 20  # KiB


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return video_root(tmp_path_factory.mktemp("limits") / "root", frames=4)


def ask(root, cache, query, *more):
    """Exit code, stderr and peak memory (KiB) of `rmset sql`."""
    words = [str(BIN / "rmset"), "sql", query, "--root", str(root.path), "--limit", "3", "-f", "csv", *more]
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | {"XDG_CACHE_HOME": str(cache)}
    )
    peak = 0
    while process.poll() is None:
        # not ru_maxrss, which counts what this process held when it was forked
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            peak = int(found[1]) if found else peak
        time.sleep(0.02)
    return process.returncode, process.stderr.read().decode(), peak


HUGE = [
    "select unnest(range(1000000000))",
    "select unnest(range((select 1000000000)))",
    "select range(i) from (values (2000000000)) t(i)",
    "select repeat('x', 4000000000)",
    "select repeat('x', i) from (values (4000000000)) t(i)",
    "select list_resize([1], i) from (values (2000000000)) t(i)",
    "select lpad('', i, 'x') from (values (4000000000)) t(i)",
    "select list(i) from range(1000000000) t(i)",
    "select string_agg(i::varchar, ',') from range(1000000000) t(i)",
    "with recursive t(s) as (select 'xxxx' union all select s || s from t where length(s) < 4000000000) select max(length(s)) from t",
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone counts a process's data")
@pytest.mark.parametrize(
    "query", [*HUGE[::3], *(pytest.param(q, marks=pytest.mark.slow) for k, q in enumerate(HUGE) if k % 3)]
)
def test_one_huge_value_is_refused_in_one_line(root, tmp_path, query):
    code, said, peak = ask(root, tmp_path, query, "--memory", "500MB")
    assert code == 1, said
    assert len(said.strip().splitlines()) == 1, said
    assert peak < 2 * GIB


def test_streams_of_any_length_take_no_memory(root, tmp_path):
    for query in ("select * from range(10000000000)", "select a.range from range(1000000) a, range(1000000) b"):
        code, said, peak = ask(root, tmp_path, query)
        assert code == 0, said
        assert peak < GIB


@pytest.mark.slow
def test_what_is_larger_than_memory_goes_to_the_private_folder_and_is_gone_afterwards(root, tmp_path):
    query = "select i from range(40000000) t(i) order by hash(i) limit 1 offset 39999990"
    code, said, peak = ask(root, tmp_path, query, "--memory", "200MB")
    assert code == 0, said
    assert peak < GIB
    assert list((tmp_path / "rmset" / "sql").iterdir()) == []


def start(root, cache, query):
    process = subprocess.Popen(
        [str(BIN / "rmset"), "sql", query, "--root", str(root.path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"XDG_CACHE_HOME": str(cache)}, text=True,
    )  # fmt: skip
    while not list(cache.glob("rmset/sql/rmset-sql-*/lock")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    # until the catalog is open and the query runs
    time.sleep(1.5)
    return process


LONG = [
    "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7",
    pytest.param("select sum(random()) from range(1000000000) a, range(100000) b", marks=pytest.mark.slow),
    # a single value, during whose computation DuckDB does not check for interrupts
    "select sum(x + range) from (select unnest(range((select 50000000))) x), range(1000000)",
]


@pytest.mark.parametrize("query", LONG)
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
    ids=["ctrl-c", "sigterm"],
)
def test_a_signal_ends_a_long_query_with_one_line_and_its_code(root, tmp_path, query, sent, code):
    process = start(root, tmp_path, query)
    process.send_signal(sent)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, said
    assert len(said.strip().splitlines()) == 1, said
    assert list((tmp_path / "rmset" / "sql").iterdir()) == []


def test_what_a_killed_session_left_is_gone_at_the_next_start(root, tmp_path):
    process = start(root, tmp_path, LONG[0])
    process.kill()
    process.communicate()
    (left,) = (tmp_path / "rmset" / "sql").iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    assert left.parent.stat().st_mode & 0o777 == 0o700
    assert ask(root, tmp_path, "select 1")[0] == 0
    assert list((tmp_path / "rmset" / "sql").iterdir()) == []


def test_a_living_session_keeps_its_folder_while_others_start(root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    catalog = Catalog(root)
    assert ask(root, tmp_path, "select 1")[0] == 0
    assert Catalog(root).sql("select 1 as a").rows() == [{"a": 1}]
    assert catalog._folder.path.exists()
    result = catalog.sql("select count(*) n from faces")
    folder = catalog._folder.path
    del catalog
    # a result outlives the object that it came from
    assert result.rows() == [{"n": 12}]
    del result
    assert not folder.exists()


def test_planted_links_are_not_followed(root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("kept")
    base = tmp_path / "cache" / "rmset" / "sql"
    base.mkdir(parents=True)
    (base / "rmset-sql-planted").symlink_to(victim)
    inside = base / "rmset-sql-inside"
    inside.mkdir(mode=0o700)
    (inside / "lock").write_text("")
    (inside / "link").symlink_to(victim)
    Catalog(root)
    assert (victim / "precious").read_text() == "kept"
    assert not inside.exists()
    shutil.rmtree(base)
    base.symlink_to(victim)
    catalog = Catalog(root)
    assert victim not in catalog._folder.path.parents
    assert [p.name for p in victim.iterdir()] == ["precious"]
    spill.sweep(base)
    assert (victim / "precious").exists()


@pytest.mark.slow
def test_deep_queries_are_one_line(root):
    catalog = Catalog(root)
    deep = [
        "select " + "case when true then " * 700 + "1" + " end" * 700,
        "select " + "(" * 5000 + "1" + ")" * 5000,
        "select " + "1 + " * 50_000 + "1",
        "select " + "[" * 3000 + "]" * 3000,
        "select " + "not " * 5000 + "true",
        "from (" * 500 + "select 1" + ")" * 500,
        " union all ".join(["select 1"] * 5000),
        "select 1 where " + " or ".join(["1 = 2"] * 20_000),
        "select '" + "x" * 2_000_000 + "'",
    ]
    for query in deep:
        try:
            catalog.sql(query).rows(1)
        except QueryError as error:
            said = str(error)
            assert "\n" not in said
            assert len(said) < 500, said[:300]


def test_crops_that_are_no_pictures_give_a_one_line_error(tmp_path):
    root = Root(tmp_path / "root")
    write_crops(root, [crop_row("a", p, f, data=b"no picture at all") for p in range(2) for f in range(5)])
    record = VideoRecord("a", 64, 64, 25.0, 40, 1.6, "h264", "0" * 64, 1)
    root.write_text(root.record_key("a"), record.to_json())
    for words in (("sheet", "a", "-o", str(tmp_path / "x.png")), ("stats", "--pixels")):
        done = subprocess.run(
            [str(BIN / "rmset"), *words, "--root", str(root.path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "rmset verify --repair" in done.stderr
    assert not (tmp_path / "x.png").exists()


def test_a_folder_of_crops_that_cannot_be_listed_is_reported(tmp_path):
    root = video_root(tmp_path / "root", frames=4)
    closed = root.path / "crops" / "v"
    closed.mkdir(parents=True)
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(RootError, match="a folder to list"):
            Catalog(root)
    finally:
        closed.chmod(0o700)


def test_the_bound_on_memory_ends_with_the_command(root):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    for query in ("select 1", "select nothing"):
        CliRunner().invoke(app, ["sql", query, "--root", str(root.path)])
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
