"""Reading: packed sets, blocks of neighboring rows, threads, decoding at reduced scale."""

import itertools
import json
import pickle
import zlib

import cv2
import fer_worlds as worlds
import numpy as np
import pytest
import simplejpeg
import torch
from hypothesis import given
from hypothesis import strategies as st

import fertrain as library
from fertrain.datasets.images import ImageFiles, batches, decode, decode_near
from fertrain.datasets.packed import PackedBytes, pack
from fertrain.datasets.registry import Entry, open_entry
from fertrain.datasets.sources import FolderBytes
from fertrain.errors import DatasetError
from fertrain.unlabeled.loader import CropBatches, shuffled
from rmset.errors import UsageError


def packed(kind, path, out):
    done = pack(open_entry(Entry("set", kind, path)), out)
    return done, open_entry(Entry("set", kind, path)), open_entry(Entry("set", "packed", out))


@pytest.mark.parametrize("kind", ["folder", "ferplus", "csv"])
def test_a_packed_set_is_the_set_itself(kind, faces, ferplus, tmp_path_factory, tmp_path):
    path = {"folder": faces, "ferplus": ferplus, "csv": None}[kind]
    path = path or worlds.subjects(tmp_path_factory.mktemp("people"), people=4)
    done, plain, small = packed(kind, path, tmp_path / "packed")
    assert done.missing == []
    assert (small.splits(), small.rules(), small.order) == (plain.splits(), plain.rules(), plain.order)
    for split, rule in itertools.product(plain.splits(), plain.rules()):
        one, two = plain.load(split, rule), small.load(split, rule)
        assert one.sha256() == two.sha256()
        assert (one.gray, one.groups) == (two.gray, two.groups)
        assert (one.shares is None) == (two.shares is None)
        assert one.shares is None or np.array_equal(one.shares, two.shares)
        assert all(one.source.get(name) == two.source.get(name) for name in one.names)


def test_packing_again_gives_the_same_bytes(faces, tmp_path):
    for name in "ab":
        packed("folder", faces, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 4
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    with pytest.raises(UsageError, match="new or empty folder"):
        packed("folder", faces, tmp_path / "a")


def test_packed_pictures_are_spread_over_files_and_read_by_processes_and_threads(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("fertrain.datasets.packed._FILE", 20_000)
    done, plain, small = packed("folder", faces, tmp_path / "packed")
    assert done.files > 5
    names = plain.load("train", "given").names
    rows = np.random.default_rng(0).integers(0, len(names), (12, 8)).tolist()
    expected = [ImageFiles(FolderBytes(faces), names, 32, gray=False).read(chosen) for chosen in rows]
    images = ImageFiles(small.load("train", "given").source, names, 32, gray=False)
    for workers, threads in ((0, False), (2, False), (2, True)):
        for wanted, found in zip(expected, batches(images, rows, workers, threads=threads), strict=True):
            assert torch.equal(wanted, found)
    copy = pickle.loads(pickle.dumps(images.source))
    assert copy.get(names[0]) == images.source.get(names[0])


def test_damaged_packs_are_one_line(faces, tmp_path):
    packed("folder", faces, tmp_path / "packed")
    shard = tmp_path / "packed" / "images-000.parquet"
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(DatasetError, match="whole packed images"):
        PackedBytes(tmp_path / "packed")
    (tmp_path / "packed" / "pack.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"packed set with pack\.json"):
        open_entry(Entry("set", "packed", tmp_path / "packed"))


@pytest.mark.slow
def test_the_command_packs_and_a_run_learns_the_same(fertrain, faces, tmp_path):
    code, _, err = fertrain("datasets", "pack", f"folder:{faces}", "-o", tmp_path / "packed")
    assert code == 0, err
    assert "--kind packed" in err
    assert fertrain("datasets", "add", "small", tmp_path / "packed", "--here")[0] == 0
    runs = [
        library.train(
            labeled=name, model="deep-emotion", image_size=32, epochs=1, batch_size=16, precision="fp32", memory_mb=0,
            reading=reading, out=tmp_path / name.partition(":")[0],
        )
        for name, reading in ((f"folder:{faces}", "processes"), ("small", "threads"))
    ]  # fmt: skip
    one, two = ((run.path / "model.safetensors").read_bytes() for run in runs)
    assert zlib.crc32(one) == zlib.crc32(two)


def jpeg(side, seed=0, quality=95):
    smooth = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return simplejpeg.encode_jpeg(cv2.resize(smooth, (side, side), interpolation=cv2.INTER_CUBIC), quality=quality)


def test_reduced_decoding_is_near_the_size_and_near_the_picture():
    data = jpeg(520)
    assert decode_near(data, "x", 112, gray=False).shape == (130, 130, 3)
    assert decode_near(data, "x", 260, gray=True).shape == (260, 260, 1)
    assert decode_near(data, "x", 600, gray=False).shape == (520, 520, 3)
    full = cv2.resize(decode(data, "x", gray=False), (130, 130), interpolation=cv2.INTER_AREA)
    assert np.abs(full.astype(int) - decode_near(data, "x", 130, gray=False)).mean() < 2
    png = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    assert decode_near(png, "x", 8, gray=False).shape == (9, 9, 3)
    with pytest.raises(DatasetError, match="cannot be decoded"):
        decode_near(data[:40], "x", 8, gray=False)


@given(
    total=st.integers(1, 400), block=st.integers(1, 50), seed=st.integers(0, 9), epoch=st.integers(0, 9),
)  # fmt: skip
def test_a_block_shuffle_has_every_row_once_and_keeps_neighbors_together(total, block, seed, epoch):
    rows = shuffled(np.arange(total), total, seed, epoch, block)
    assert sorted(rows.tolist()) == list(range(total))
    if block > 1:
        steps = np.diff(rows) % total
        inside = np.arange(1, total) % block != 0
        assert (steps[inside] == 1 % total).all()
    # an order by places, so a process may begin anywhere
    assert np.array_equal(shuffled(np.arange(total)[total // 3 :], total, seed, epoch, block), rows[total // 3 :])


def test_blocks_begin_elsewhere_in_every_epoch():
    first = [shuffled(np.arange(1024), 1024, 0, epoch, 16)[::16] % 16 for epoch in range(6)]
    assert len({int(f[0]) for f in first}) > 2
    assert all((f == f[0]).all() for f in first)


def test_the_order_of_blocks_is_the_same_for_workers_threads_and_restarts(mashup):
    data = library.CropDataset(mashup, image_size=16)

    def seen(first=0, **how):
        loader = library.CropLoader(data, 16, seed=3, block=8, **how)
        loader.resume(2, first)
        return [(batch.row.tolist(), batch.pixels.sum().item()) for batch in loader]

    whole = seen()
    assert whole == seen(workers=2) == seen(workers=2, threads=True)
    assert whole[4:] == seen(first=4, workers=1, threads=True)
    steps = [row for rows, _ in whole for row in rows]
    assert len(set(steps)) == len(steps) == 11 * 16
    with pytest.raises(UsageError, match="block of one row"):
        CropBatches(10, batch=2, block=0)


def test_threads_hand_on_errors_and_stop_when_the_loop_is_left(faces):
    names = [f"train/{p.parent.name}/{p.name}" for p in sorted((faces / "train").rglob("*.png"))]
    images = ImageFiles(FolderBytes(faces), [*names[:20], "train/none.png"], 16, gray=False)
    endless = ([n % 20] for n in itertools.count())
    assert len(list(itertools.islice(batches(images, endless, 3, threads=True), 5))) == 5
    with pytest.raises(DatasetError, match="no such file"):
        list(batches(images, [[0], [20], [1]], 2, threads=True))


@pytest.mark.slow
def test_settings_say_how_a_run_reads(faces, tmp_path):
    run = library.train(
        labeled=f"folder:{faces}", model="deep-emotion", image_size=32, epochs=1, batch_size=16, precision="fp32",
        memory_mb=0, decode="reduced", reading="threads", out=tmp_path / "run",
    )  # fmt: skip
    assert 'decode = "reduced"' in (tmp_path / "run" / "config.toml").read_text()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["n"] == run.metrics["n"]
