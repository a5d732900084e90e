"""Shards: positions of pictures, sizes of files, and refused files."""

import os

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmset import schema
from rmset.errors import ShardError
from rmset.parts import shards

from .worlds import crop_row


def written(folder, blobs, **limits):
    with shards.CropWriter(folder, **limits) as writer:
        for number, data in enumerate(blobs):
            writer.add(crop_row("v", 0, number, data=data))
    return writer.parts


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=80), st.integers(1, 40))
def test_every_picture_lies_where_the_footer_and_its_size_say(tmp_path_factory, blobs, rows_per_part):
    found = []
    for path in written(tmp_path_factory.mktemp("shards"), blobs, rows_per_part=rows_per_part):
        file = shards.opened(path)
        where = shards.locate(path, file, shards.read(file, ["encoded_size"])["encoded_size"].to_numpy())
        data = path.read_bytes()
        found += [data[at : at + size] for at, size in where.tolist()]
    assert found == blobs


def test_row_groups_end_where_they_are_full(tmp_path):
    blobs = [bytes([i % 256]) * 50 for i in range(shards.CROP_ROW_GROUP + 5)]
    (path,) = written(tmp_path, blobs)
    file = shards.opened(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [shards.CROP_ROW_GROUP, 5]
    where = shards.locate(path, file, shards.read(file, ["encoded_size"])["encoded_size"].to_numpy())
    assert [path.read_bytes()[at : at + n] for at, n in where[-6:].tolist()] == blobs[-6:]


def test_shards_are_bounded_by_bytes(tmp_path):
    parts = written(tmp_path, [b"x" * 1000] * 100, part_bytes=10_000)
    assert len(parts) == 10
    assert all(path.stat().st_size < 40_000 for path in parts)


def test_the_same_rows_give_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (written(tmp_path / name, [b"a", b"bc", b""])[0] for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_footers_repeat_no_picture(tmp_path):
    (path,) = written(tmp_path, [os.urandom(2000)] * 10)
    column = {c.path_in_schema: c for c in map(pq.read_metadata(path).row_group(0).column, range(14))}["image.bytes"]
    assert not column.is_stats_set
    assert column.compression == "UNCOMPRESSED"


def test_a_shard_that_another_tool_has_rewritten_is_refused(tmp_path):
    (path,) = written(tmp_path, [b"abc", b"defg"])
    pq.write_table(pq.read_table(path), path, compression="zstd")
    file = shards.opened(path)
    with pytest.raises(ShardError, match="rewritten"):
        shards.locate(path, file, shards.read(file, ["encoded_size"])["encoded_size"].to_numpy())


def test_a_newer_schema_asks_for_an_update(tmp_path):
    (path,) = written(tmp_path, [b"abc"])
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({schema.VERSION_KEY: b"99"}), path)
    with pytest.raises(ShardError, match="found 99; update rmset"):
        shards.opened(path)


@pytest.mark.parametrize("keep", [0, 3, 200, -20])
def test_a_shard_cut_short_is_named(tmp_path, keep):
    (path,) = written(tmp_path, [b"abc" * 100] * 20)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ShardError, match="part-000"):
        shards.opened(path)


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(ShardError, match="found none"):
        shards.opened(tmp_path / "part-000.parquet")
