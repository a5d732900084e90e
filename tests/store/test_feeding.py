"""Crops for torch: the order of an epoch, whoever decodes it; colors as the formulas say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from fertrain.transforms.augment import JitterRange
from fertrain.unlabeled.loader import CropBatches, CropDataset, color_matrix, crop_loader, one_of, shuffled
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
def test_batches_do_not_depend_on_workers(store, workers):
    def batches(count):
        order = CropBatches(len(store), batch=16, seed=9)
        loader = crop_loader(store, order, workers=count, jitter=JitterRange(), start="fork")
        return [batch.clone() for _ in range(2) for batch in loader]

    alone, shared = batches(0), batches(workers)
    assert len(alone) == len(shared) == 30
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_without_jitter_pixels_are_the_crops(store):
    (batch,) = DataLoader(CropDataset(store), sampler=CropBatches(16, batch=16), batch_size=None)
    rows = next(iter(CropBatches(16, batch=16))).rows
    assert batch.dtype == torch.uint8
    assert np.array_equal(batch.permute(0, 2, 3, 1).numpy(), np.stack(store.images(rows)))


def test_one_matrix_is_brightness_contrast_saturation_and_hue_in_turn():
    from fertrain.transforms import augment as transforms

    rng = np.random.default_rng(0)
    # Mid tones, so that nothing is clipped on the way, where the two would part.
    image = rng.integers(110, 146, (8, 8, 3)).astype(np.uint8)
    ranges = JitterRange(0.1, 0.1, 0.1, 0.05)
    draw = rng.random(4)
    out = np.empty_like(image)
    one_of(image, np.concatenate([[0.9], draw]), ranges, out)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
    by = 2 * draw - 1
    x = x * (1 + by[0] * 0.1)
    x = transforms.grayed(x).mean() + (x - transforms.grayed(x).mean()) * (1 + by[1] * 0.1)
    x = transforms.grayed(x) + (x - transforms.grayed(x)) * (1 + by[2] * 0.1)
    x = transforms._turn_hue(x, torch.tensor([by[3] * 0.05 * 2 * np.pi]))
    expected = (x[0].permute(1, 2, 0) * 255).numpy()
    assert np.abs(out - expected).max() < 1.5


def test_gray_and_flip():
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    out = np.empty_like(image)
    one_of(image, np.array([0.0, 0, 0, 0, 0]), JitterRange(), out)
    assert np.abs(out - (image @ [0.299, 0.587, 0.114])[..., None]).max() <= 1
    one_of(image, np.array([0.5, 0, 0, 0, 0]), JitterRange(), out)
    assert np.array_equal(out, image[:, ::-1])
    middle = np.full(4, 0.5)
    assert np.allclose(color_matrix(middle, JitterRange(), 100.0), np.eye(3, 4), atol=1e-9)


@pytest.mark.parametrize("wrong", [{"total": 0, "batch": 1}, {"total": 1, "batch": 0}])
def test_batches_that_cannot_be(wrong):
    with pytest.raises(UsageError, match="at least one"):
        CropBatches(**wrong)
