"""Every query of the cookbook runs and returns rows."""

import re
from pathlib import Path

import pytest

from rmset.pipeline import run_stage
from rmset.read.catalog import Catalog
from rmset.stages.export import ExportConfig

from .worlds import video_root

PAGE = Path(__file__).parents[2] / "docs" / "sql-cookbook.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    root = video_root(tmp_path_factory.mktemp("cookbook") / "root")
    assert run_stage(root, "v-00000001", "export", ExportConfig(size=32)).status == "done"
    return Catalog(root)


def test_there_are_twenty():
    assert len(QUERIES) >= 20


@pytest.mark.parametrize("query", QUERIES, ids=[q.split("\n")[0][:40] for q in QUERIES])
def test_a_query_answers(catalog, query):
    rows = catalog.sql(query).rows()
    assert rows or "beyond_px" in query
