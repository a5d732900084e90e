"""Random access to crops: the right bytes in any process, with few files open."""

import multiprocessing
import os
import pickle
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rmset.errors import RootError, ShardError
from rmset.read.crops import CropStore
from rmset.read.index import FOLDER

from .worlds import crop_root, picture


@pytest.fixture
def root(tmp_path):
    return crop_root(tmp_path / "root", rows_per_part=7)


def expected(store, row):
    return picture(int(store.keys.person[row]) * 1000 + int(store.keys.frame[row]))


def test_any_rows_in_any_order_with_repeats(root):
    store = CropStore(root)
    rows = np.random.default_rng(0).integers(0, len(store), 200)
    assert store.read(rows) == [expected(store, row) for row in rows]
    assert store.read([]) == []


def test_rows_are_videos_then_frames_then_people(root):
    keys = CropStore(root).keys
    order = list(zip(keys.video.tolist(), keys.frame.tolist(), keys.person.tolist(), strict=True))
    assert order == sorted(order)
    assert keys.row("b", 1, 7) == order.index((1, 7, 1))
    assert keys.name(keys.row("b", 1, 7)) == "b:1:7"
    with pytest.raises(RootError, match="b:9:7"):
        keys.row("b", 9, 7)


@pytest.mark.parametrize("name", ["video", "person", "frame", "time_ms"])
def test_a_column_video_by_video_is_the_column(root, name):
    keys = CropStore(root).keys
    whole = np.asarray(getattr(keys, name))
    plain = replace(keys, **{n: np.asarray(getattr(keys, n)) for n in ("video", "person", "frame", "time_ms")})
    for each in (keys, plain):
        parts = list(each.by_video(name))
        assert len(parts) == len(each.video_ids)
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    # Of an index they are its memory, not copies.
    assert name == "video" or not any(part.flags.owndata for part in keys.by_video(name))


def test_few_files_are_open_at_once(root):
    store = CropStore(root, most_open=3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        assert store.read(range(len(store)))[-1] == expected(store, len(store) - 1)
    assert store.open_files == 3
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3


@pytest.mark.parametrize("row", [-1, 240])
def test_a_row_that_is_not_there(root, row):
    with pytest.raises(IndexError, match="0 to 239"):
        CropStore(root).read([row])


def _check(store, results):
    rows = list(range(0, len(store), 11))
    results.put(store.read(rows) == [expected(store, row) for row in rows])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_what_the_parent_reads(root, start):
    store = CropStore(root, most_open=2)
    store.read([0, 100, 200])
    context = multiprocessing.get_context(start)
    results = context.Queue()
    workers = [context.Process(target=_check, args=(store, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [results.get() for _ in workers] == [True, True]
    for worker in workers:
        worker.join()


def test_threads_read_at_once_with_one_file_open(root):
    store = CropStore(root, most_open=1)
    wrong = []

    def work(seed):
        draws = np.random.default_rng(seed).integers(0, len(store), (50, 8))
        wrong.extend(rows for rows in draws if store.read(rows) != [expected(store, row) for row in rows])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_pickle_holds_no_arrays(root):
    store = CropStore(root)
    data = pickle.dumps(store)
    assert len(data) < 10_000
    assert pickle.loads(data).read([3, 1]) == store.read([3, 1])


def test_the_index_can_be_thrown_away_and_follows_the_shards(root):
    first = CropStore(root)
    assert CropStore(root).index.folder == first.index.folder
    root.files.remove(FOLDER)
    assert CropStore(root).read([5]) == first.read([5])
    root.files.remove("crops/b")
    assert len(CropStore(root)) == 120
    assert len(root.files.keys(f"{FOLDER}/crops-*")) == 1


def test_a_root_that_cannot_be_written_is_read_all_the_same(root, monkeypatch):
    def refuse(key):
        raise RootError("no")

    monkeypatch.setattr(root.files, "lock", refuse)
    store = CropStore(root)
    assert store.index.folder is None
    assert pickle.loads(pickle.dumps(store.index)).arrays["frame"].tolist() == store.keys.frame.tolist()
    assert store.read([7]) == [expected(store, 7)]


def test_a_shard_that_changes_under_an_open_store_is_refused(root):
    store = CropStore(root)
    path = root.files.local("crops/a/part-000.parquet")
    path.write_bytes(path.read_bytes())
    with pytest.raises(ShardError, match="has changed"):
        store.read([0])
    path.unlink()
    with pytest.raises(ShardError, match="found none"):
        store.read([0])


def test_a_shard_cut_short_under_an_open_file_is_no_picture(root):
    store = CropStore(root)
    store.read([0])
    os.truncate(root.files.local("crops/a/part-000.parquet"), 10)
    with pytest.raises(ShardError, match="cut short"):
        store.read([0])


def test_a_root_without_crops_says_what_to_run(tmp_path):
    from rmset.root import Root

    with pytest.raises(RootError, match="rmset export"):
        CropStore(Root(tmp_path))
