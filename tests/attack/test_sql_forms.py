"""Every result form of `root.sql` has the same guard, and the memory limit works in Python too."""

import subprocess
import sys

import duckdb
import pytest

from rmset.errors import QueryError
from rmset.read.catalog import Catalog
from rmset.read.limits import within

from .statements import generate
from .test_sql import attack, names, place, tables  # noqa: F401  (place is a fixture)

FORMS = {
    "rows": lambda result: result.rows(50),
    "arrow": lambda result: result.arrow().slice(0, 50).to_pylist(),
    "batches": lambda result: next(result.batches(50)).to_pylist(),
    "pandas": lambda result: result.pandas().head(50).to_dict("records"),
    "polars": lambda result: result.polars().head(50).to_dicts(),
}


def test_no_form_writes_or_reads_outside(place, tmp_path):  # noqa: F811
    for module in ("pandas", "polars"):
        pytest.importorskip(module)
    catalog = Catalog(place)
    counted = tables(catalog)
    # A data frame in the caller's variables is not a table either.
    secret = duckdb.sql("select 'secret-words' as content").df()  # noqa: F841
    for number, (form, given) in enumerate(FORMS.items()):
        statements = [*generate(60, 100 + number, **names(place)), "select * from secret", "from secret"]
        refused = attack(place, statements, lambda text, given=given: given(catalog.sql(text)))
        assert refused > 55, form
    written = (tmp_path / "x.parquet", tmp_path / "x.csv")
    for path in written:
        refused = attack(
            place, generate(30, len(path.name), **names(place)), lambda text, p=path: catalog.sql(text).write(p)
        )
        assert refused > 25
    assert tables(catalog) == counted


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows_under_the_same_names(place, form):  # noqa: F811
    if form in ("pandas", "polars"):
        pytest.importorskip(form)
    result = Catalog(place).sql("select 1 as x0, 'a' as x0, [1, 2] as l order by 1")
    (row,) = FORMS[form](result)
    assert list(row) == ["x0", "x0_1", "l"]
    assert (row["x0"], row["x0_1"], list(row["l"])) == (1, "a", [1, 2])


HUGE = [
    "select unnest(range((select 1000000000)))",
    "select len(range(a)) from (select 1000000000 a)",
    "select repeat('x', (select 3000000000))",
    "select len(printf('%2000000000d', 1))",
    "select len(list_transform(range(a), lambda x: x)) from (select 300000000 a)",
]
ASK = """
import sys, re, resource
from pathlib import Path
import rmset, pyarrow, pandas
from rmset.read.catalog import Catalog
from rmset.root import Root
data = Catalog(Root(sys.argv[1]), memory="300MB")
before = resource.getrlimit(resource.RLIMIT_DATA)
for number, query in enumerate(sys.argv[3:]):
    for form in ("rows", "arrow", "pandas")[: 1 if number else 3]:
        try:
            getattr(data.sql(query, bounded=True), form)()
        except rmset.QueryError as error:
            assert len(str(error).splitlines()) == 1, error
        else:
            raise SystemExit(f"answered: {query}")
assert resource.getrlimit(resource.RLIMIT_DATA) == before
kept = bytearray(6 << 30)  # the caller's own memory is its own again
del kept
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone counts a process's data")
def test_a_huge_value_is_refused_in_python_on_request(place):  # noqa: F811
    code = ASK.replace(
        "kept = bytearray(6 << 30)", "import mmap; kept = mmap.mmap(-1, 6 << 30, flags=mmap.MAP_PRIVATE)"
    )
    watch = "import os,sys;pid=os.fork()\nif not pid: os.execv(sys.executable, [sys.executable, '-c', *sys.argv[1:]])\n"
    watch += "_,status,used=os.wait4(pid,0); print(used.ru_maxrss); sys.exit(os.waitstatus_to_exitcode(status))"
    done = subprocess.run(
        [sys.executable, "-c", watch, code, str(place.path), "-", *HUGE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # a grown value may be seen half made, never whole
    assert int(done.stdout) < 2 << 20


def test_the_bound_is_taken_back_however_the_work_ends():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(QueryError), within(1 << 20):
        with within(1 << 30):
            assert resource.getrlimit(resource.RLIMIT_DATA) != before
        raise QueryError("x")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
