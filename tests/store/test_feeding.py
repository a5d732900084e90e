"""Crops for torch: the same order of an epoch for any number of workers; colors by the formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from fertrain.datasets import images
from fertrain.transforms.augment import one_of
from fertrain.unlabeled.crops import CropDataset, open_crops
from fertrain.unlabeled.loader import CropBatches, CropLoader, shuffled
from rmset.errors import UsageError
from rmset.read.crops import CropStore

from .worlds import crop_root


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return CropStore(crop_root(tmp_path_factory.mktemp("feeding") / "root"))


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_has_every_row_once(total, seed, epoch):
    rows = shuffled(np.arange(total), total, seed, epoch)
    assert sorted(rows.tolist()) == list(range(total))


def test_rows_are_well_mixed():
    rows = shuffled(np.arange(10_000), 10_000, 0, 0)
    assert abs(np.corrcoef(rows, np.arange(10_000))[0, 1]) < 0.05
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.05
    assert (rows != shuffled(np.arange(10_000), 10_000, 0, 1)).mean() > 0.99


def test_going_on_at_a_step_gives_the_rest_of_the_epoch():
    whole, rest = CropBatches(100, batch=8, seed=4), CropBatches(100, batch=8, seed=4)
    assert len(whole) == 12
    every = [s.rows.tolist() for s in whole]
    rest.resume(0, 5)
    assert len(rest) == 7
    assert [s.rows.tolist() for s in rest] == every[5:]
    assert [s.rows.tolist() for s in rest] == [s.rows.tolist() for s in whole] != every


def test_forty_five_million_rows_are_shuffled_without_an_array():
    batches = CropBatches(45_670_000, batch=256)
    batches.resume(3, 100_000)
    step = next(iter(batches))
    assert (step.epoch, step.step, len(set(step.rows.tolist()))) == (3, 100_000, 256)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("augment", [None, "one-of"])
def test_batches_do_not_depend_on_workers(store, workers, augment):
    def batches(count):
        loader = CropLoader(CropDataset(store.root), 16, seed=9, workers=count, augment=augment)
        return [batch for _ in range(2) for batch in loader]

    alone, shared = batches(0), batches(workers)
    assert len(alone) == len(shared) == 30
    for a, b in zip(alone, shared, strict=True):
        assert torch.equal(a.pixels, b.pixels), "kept, and not written over by later batches"
        assert torch.equal(a.row, b.row)


def test_lists_of_any_length_are_read_by_workers(store, monkeypatch):
    """Longer ones than there is room for, and many of them: their places are free again."""
    monkeypatch.setattr(images, "_LEAST_ROOM", 4)
    data = CropDataset(store.root)
    lists = [list(range(n % 9 + 1)) for n in range(60)]
    taken = []
    take = images._Places.take
    monkeypatch.setattr(images._Places, "take", lambda self: taken.append(take(self)) or taken[-1])
    for rows, pixels in zip(lists, images.batches(data, lists, 2), strict=True):
        assert torch.equal(pixels, data.read(rows))
    assert min(taken) >= 0


@pytest.mark.parametrize("kept", [1, 3, 1000])
def test_a_batch_stays_what_it_is_as_long_as_it_is_held(store, kept):
    """Workers write into places that are free again; also with more batches held than there are places."""
    expected = [batch.pixels.clone() for batch in CropLoader(CropDataset(store.root), 4, seed=9)]
    held = []
    for number, batch in enumerate(CropLoader(CropDataset(store.root), 4, seed=9, workers=2)):
        held = [*held, (number, batch.pixels[1:])][-kept:]
        assert all(torch.equal(pixels, expected[n][1:]) for n, pixels in held)
    assert number == len(expected) - 1 > 12


def test_an_epoch_goes_on_at_any_step(store):
    loader = CropLoader(CropDataset(store.root), 16, seed=9, augment="one-of")
    every = [batch.pixels for _ in range(2) for batch in loader]
    loader.resume(1, 3)
    assert len(loader) == 12
    assert torch.equal(next(iter(loader)).pixels, every[18])


def test_a_batch_holds_person_and_time(store):
    data = CropDataset(store.root)
    (batch,) = CropLoader(CropDataset(store.root.path), len(store))
    assert sorted(batch.row.tolist()) == list(range(len(store)))
    for i, row in enumerate(batch.row.tolist()):
        item = data[row]
        assert (item.row, item.video, item.person, item.frame) == (
            row, batch.video[i], int(batch.person[i]), int(batch.frame[i]),
        )  # fmt: skip
        assert f"{item.video}:{item.person}:{item.frame}" == store.keys.name(row)
        assert torch.equal(item.pixels, batch.pixels[i])
        assert np.array_equal(item.pixels.permute(1, 2, 0).numpy(), store.images([row])[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_any_data_loader_takes_the_items(store, workers):
    data = CropDataset(store.root, image_size=12, gray=True)
    loader = DataLoader(data, batch_size=50, num_workers=workers)
    seen = list(loader)
    assert [len(batch.video) for batch in seen] == [50, 50, 50, 50, 40]
    assert torch.equal(torch.cat([batch.pixels for batch in seen]), data.read(range(len(data))))
    assert seen[0].pixels.shape == (50, 1, 12, 12)
    assert torch.cat([batch.frame for batch in seen]).tolist() == store.keys.frame.tolist()


def test_items_of_some_videos_keep_the_rows_of_the_root(store):
    some = open_crops(store.root, fraction=0.5)
    data = CropDataset(some)
    assert len(data) == len(store) // 2
    assert data[3].row == some.rows[3]
    assert torch.equal(data[-1].pixels, CropDataset(store.root)[int(some.rows[-1])].pixels)
    with pytest.raises(IndexError):
        data[len(data)]


def test_a_users_loop_augments_as_training_does(store):
    ours = CropLoader(CropDataset(store.root), 16, seed=9, augment="one-of")
    step = next(iter(CropBatches(len(store), batch=16, seed=9)))
    pixels = CropDataset(store.root).read(step.rows)
    key = np.random.SeedSequence([9, 7, 0, 0]).generate_state(1)[0]
    expected = one_of(pixels.float() / 255, torch.Generator().manual_seed(int(key)))
    assert torch.equal(next(iter(ours)).pixels, expected)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"workers": -1}, {"augment": "blur"}])
def test_loaders_that_cannot_be(store, wrong):
    with pytest.raises(UsageError):
        CropLoader(CropDataset(store.root), **wrong)
    with pytest.raises(UsageError, match="image_size"):
        CropDataset(store.root, image_size=0)


@pytest.mark.parametrize("wrong", [{"total": 0, "batch": 1}, {"total": 1, "batch": 0}])
def test_batches_that_cannot_be(wrong):
    with pytest.raises(UsageError, match="at least one"):
        CropBatches(**wrong)
