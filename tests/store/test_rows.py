"""The index of crops is put together from a part per video, which its export wrote."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from rmset.parts import shards as parquet
from rmset.pipeline import run_stage
from rmset.read import rows as parts
from rmset.read.crops import CropStore
from rmset.read.index import FOLDER
from rmset.read.rows import kept_rows, rows_key, shards_of
from rmset.stages.export import ExportConfig

from .worlds import video_root

IDS = ("v-00000001", "v-00000002", "v-00000003")


def export(root, video_id):
    outcome = run_stage(root, video_id, "export", ExportConfig(size=24))
    assert outcome.status == "done", outcome


@pytest.fixture
def root(tmp_path):
    for video_id in IDS:
        root = video_root(tmp_path / "root", frames=12, video_id=video_id)
    for video_id in IDS[:2]:
        export(root, video_id)
    return root


@pytest.fixture
def read(monkeypatch):
    """Keys of the shards of which rows are read."""
    found, of_shard = [], parts._of_shard
    monkeypatch.setattr(parts, "_of_shard", lambda root, shard: found.append(shard.key) or of_shard(root, shard))
    return found


def arrays(root):
    root.files.remove(FOLDER)
    return {name: np.array(values) for name, values in CropStore(root).index.arrays.items()}


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def test_an_index_of_exported_videos_reads_no_shard_and_is_that_of_the_shards(root, read):
    from_parts = arrays(root)
    assert read == []
    for video_id in IDS:
        root.files.remove(rows_key(video_id))
    assert same(from_parts, arrays(root))
    assert set(read) == {f"crops/{video_id}/part-000.parquet" for video_id in IDS[:2]}


def test_after_one_more_video_only_its_shards_are_read(root, read):
    arrays(root)
    export(root, IDS[2])
    assert read == [f"crops/{IDS[2]}/part-000.parquet"]
    assert len(arrays(root)["frame"]) == len(IDS) * 3 * 12
    assert len(read) == 1


def test_a_part_of_other_shards_or_with_other_bytes_is_made_again(root, read):
    right, key = arrays(root), rows_key(IDS[0])
    shards = shards_of(root, IDS[0])
    assert kept_rows(root, IDS[0], shards) is not None
    # Rows of another video.
    root.files.local(key).write_bytes(root.files.local(rows_key(IDS[1])).read_bytes())
    assert kept_rows(root, IDS[0], shards) is None
    assert same(right, arrays(root))
    # Other values with the right names.
    table = pq.read_table(root.files.local(key))
    at = table.column_names.index("frame")
    turned = table.set_column(at, table.schema.field("frame"), table["frame"].take(list(range(len(table)))[::-1]))
    pq.write_table(turned.replace_schema_metadata(table.schema.metadata), root.files.local(key))
    assert kept_rows(root, IDS[0], shards) is None
    assert same(right, arrays(root))
    root.files.local(key).write_bytes(b"PAR1")
    assert same(right, arrays(root))
    assert len(read) == 3
    export_again = run_stage(root, IDS[0], "export", ExportConfig(size=32))
    assert export_again.status == "done"
    assert kept_rows(root, IDS[0], shards) is None
    assert kept_rows(root, IDS[0], shards_of(root, IDS[0])) is not None


def test_a_root_that_can_only_be_read_has_its_index_in_memory(root, monkeypatch):
    right = arrays(root)
    for video_id in IDS[:2]:
        root.files.remove(rows_key(video_id))
    monkeypatch.setattr(type(root.files), "publish", _refused)
    monkeypatch.setattr(type(root.files), "publish_folder", _refused)
    assert same(right, arrays(root))
    assert not root.files.exists(rows_key(IDS[0]))
    assert right["location"].dtype == parquet.LOCATION


def _refused(*_):
    raise PermissionError("only read")
