"""SQL catalog: allowed and refused queries, and forms of results."""

import duckdb
import pyarrow.parquet as pq
import pytest

import rmset
from rmset.errors import QueryError, RootError
from rmset.read.catalog import Catalog

from .worlds import crop_root, video_root


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return Catalog(video_root(tmp_path_factory.mktemp("catalog") / "root"))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    return Catalog(crop_root(tmp_path_factory.mktemp("crowd") / "root"))


def test_every_table_of_the_design_is_there(catalog):
    found = {row["name"] for row in catalog.sql("show tables").rows()}
    assert found == {
        "videos",
        "segments",
        "regions",
        "people",
        "audit",
        "removed",
        "persons",
        "duplicates",
        "faces",
        "crops",
        "predictions",
    }


@pytest.mark.parametrize("table", ["videos", "segments", "regions", "people", "faces"])
def test_tables_have_rows(catalog, table):
    assert catalog.sql(f"select count(*) n from {table}").rows()[0]["n"] > 0


def test_an_empty_root_has_all_tables_and_no_rows(tmp_path):
    empty = Catalog(rmset.open(tmp_path).root)
    for table in ("videos", "faces", "crops"):
        assert empty.sql(f"select * from {table}").rows() == []


REFUSED = [
    "insert into videos(video_id) values ('x')",
    "delete from videos",
    "create table t as select 1",
    "create view v as select 1",
    "drop view faces",
    "with x as (insert into videos(video_id) values ('x') returning *) select * from x",
    "with x as (delete from videos returning *) select * from x",
    "copy faces to '{place}/stolen.csv'",
    "copy videos from '/etc/passwd'",
    "export database '{place}/db'",
    "attach '{place}/x.db'",
    "install httpfs",
    "load httpfs",
    "set threads = 1",
    "reset memory_limit",
    "pragma database_list",
    "call duckdb_settings()",
    "checkpoint",
    "prepare p as select 1",
    "select 1; drop table videos",
    "select * from read_csv('/etc/passwd')",
    "select * from read_csv_auto('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_json('/etc/passwd')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from read_parquet('{place}/other.parquet')",
    "select * from parquet_metadata('{place}/other.parquet')",
    "select * from '{place}/other.parquet'",
    "from '/etc/passwd'",
    "select * from glob('/etc/*')",
    "select * from glob('*')",
    "select (select content from read_text('/etc/passwd'))",
    "select count(*) from faces where exists (from read_text('/etc/passwd'))",
    "select * from query('select 1')",
    "select * from query_table('faces')",
    "select getenv('HOME')",
    "select * from duckdb_secrets()",
    "select * from arrow_scan(1, 2, 3)",
    "explain analyze select * from read_text('/etc/passwd')",
    "select * from 'https://example.org/x.parquet'",
    "",
    ";",
    "selec 1",
    "select",
    "select * from nowhere",
]


@pytest.mark.parametrize("query", REFUSED)
def test_a_reader_can_only_read_the_root(catalog, tmp_path, query):
    duckdb.sql("select 1 as a").write_parquet(str(tmp_path / "other.parquet"))
    before = catalog.sql("select count(*) n from videos").rows()
    with pytest.raises(QueryError) as error:
        catalog.sql(query.format(place=tmp_path)).rows()
    assert "\n" not in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.parquet"]
    assert catalog.sql("select count(*) n from videos").rows() == before


def test_the_callers_variables_are_no_tables(catalog):
    import pyarrow as pa

    stray = pa.table({"a": [1]})
    assert stray.num_rows
    with pytest.raises(QueryError):
        catalog.sql("select * from stray").rows()


def test_the_locks_hold_even_for_the_programs_own_queries(catalog):
    for query in ("select * from read_text('/etc/passwd')", "select * from glob('/etc/*')"):
        with pytest.raises(QueryError):
            catalog.run(query).rows()


@pytest.mark.parametrize("query", ["explain select * from faces", "describe faces", "summarize people", "values (1)"])
def test_what_only_looks_may_pass(catalog, query):
    assert catalog.sql(query).rows()


def test_of_a_hundred_million_rows_only_requested_ones_are_computed(catalog, tmp_path):
    result = catalog.sql("select a.range * 3 as x from range(10_000) a, range(10_000) b")
    assert len(result.rows(11)) == 11
    batches = result.batches(1000)
    assert next(batches).num_rows <= 1000 * 2048
    batches.close()


def test_results_in_every_form(crowd, tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    result = crowd.sql("select video_id, person_id from crops order by all limit 5")
    assert result.columns == ["video_id", "person_id"]
    assert result.arrow().num_rows == len(result.pandas()) == len(result.polars()) == len(result.rows()) == 5
    assert result.write(tmp_path / "x.parquet") == 5
    assert pq.read_table(tmp_path / "x.parquet").column_names == ["video_id", "person_id"]
    assert result.write(tmp_path / "x.csv") == 5
    assert (tmp_path / "x.csv").read_text().count("\n") == 6


def test_two_results_can_be_open_at_once(crowd):
    first, second = (crowd.sql("select frame_idx from crops").batches(10) for _ in range(2))
    assert next(first).num_rows
    assert next(second).num_rows
    assert next(first).num_rows


def test_output_to_a_place_that_is_none(crowd, tmp_path):
    result = crowd.sql("select 1 as a")
    with pytest.raises(QueryError, match="ends in"):
        result.write(tmp_path / "x.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(RootError, match="expected a place to write to"):
        result.write(tmp_path / "file" / "x.parquet")
    with pytest.raises(QueryError, match="cannot be written"):
        crowd.sql("select interval 1 day as a").write(tmp_path / "y.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_macros_give_the_candidates_of_the_design(crowd):
    positives = crowd.sql("select video_id, person_id, frame_idx from positives('a', 1, 20, d := 2)").rows()
    assert {(r["video_id"], r["person_id"], r["frame_idx"]) for r in positives} == {
        ("a", p, f) for p in (0, 2) for f in range(18, 23)
    }
    negatives = crowd.sql("select video_id, person_id, frame_idx from negatives('a', 1, 20, d_far := 15)").rows()
    assert {(r["person_id"], r["frame_idx"]) for r in negatives} == {(1, f) for f in range(40) if abs(f - 20) > 15}
    every = crowd.sql("select * from all_positives('a', d := 2) where person_id = 1 and frame_idx = 20").rows()
    assert {(r["other_person_id"], r["other_frame_idx"]) for r in every} == {
        (r["person_id"], r["frame_idx"]) for r in positives
    }


def test_pictures_come_through_sql(crowd):
    (row,) = crowd.sql(
        "select image, encoded_size from crops where video_id = 'b' and person_id = 2 and frame_idx = 3"
    ).rows()
    assert len(row["image"]["bytes"]) == row["encoded_size"]
    assert row["image"]["bytes"][:2] == b"\xff\xd8"
