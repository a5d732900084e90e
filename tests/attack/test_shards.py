"""Damaged and hostile shards give rows or a one-line error, and never a crash or hang."""

import os
import random

import pytest

from rmset.errors import RmsetError
from rmset.read.catalog import Catalog
from tests.attack import tally
from tests.store.worlds import crop_root

QUERIES = ("select * from faces", "select count(*), sum(x0) from faces where person_id = 1", "select * from crops")


@pytest.fixture
def root(tmp_path):
    return crop_root(tmp_path / "root", people=2, frames=30, videos=("v", "w"))


PLANTED = {
    "fifo": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no shard " * 50),
    "nothing": lambda path: path.symlink_to("/nowhere/at/all"),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("key", ["tracks/v.parquet", "crops/v/part-000.parquet"])
def test_a_file_that_is_no_shard_gives_a_one_line_error(root, key, kind):
    path = root.files.local(key)
    path.unlink()
    PLANTED[kind](path)
    with pytest.raises(RmsetError) as told:
        Catalog(root).sql("select count(*) from crops, faces").rows()
    said = str(told.value)
    assert "\n" not in said
    assert "Traceback" not in said
    assert "LINE 1" not in said
    assert "v" in said


@pytest.mark.parametrize(
    ("count", "seed"), [(10, 1), pytest.param(150, 2, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_damaged_shards_give_rows_or_one_line(root, count, seed):
    rng = random.Random(seed)
    paths = [root.files.local(key) for key in ("tracks/v.parquet", "crops/v/part-000.parquet")]
    whole = {path: path.read_bytes() for path in paths}
    for _ in range(count):
        path = rng.choice(paths)
        data = bytearray(whole[path])
        for _ in range(rng.randrange(1, 6)):
            # half of the damage in the footer
            near = len(data) - 1 - rng.randrange(min(len(data), 1500))
            data[rng.choice((rng.randrange(len(data)), near))] = rng.randrange(256)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        for query in QUERIES:
            try:
                Catalog(root).sql(query).rows(1000)
            except RmsetError as error:
                said = str(error)
                assert "\n" not in said
                assert len(said) < 600
        path.write_bytes(whole[path])
    tally.note("fuzzed inputs", "shards under three queries", cases=count)
