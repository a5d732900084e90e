"""Blends, borrowed augmentations and the FERPlus preprocessing: laws, and values worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2

from fertrain.errors import UnknownNameError, WeightsError
from fertrain.losses.supervised import smoothed
from fertrain.transforms.augment import augmentation, autoaugment, erasing, randaugment
from fertrain.transforms.input_spec import InputSpec, ferplus, leveled
from fertrain.transforms.mixup import mix
from rmset.errors import UsageError


def batch(n=6, channels=3, size=16):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)), torch.eye(8)[:n]


@given(st.sampled_from(["mixup", "cutmix"]), st.integers(0, 50))
def test_blends_keep_targets_distributions_and_are_seeded(name, seed):
    x, y = batch()
    blend = mix(name, 0.5)
    (a, p), (b, q) = (blend(x, y, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(p, q)
    torch.testing.assert_close(p.sum(dim=1), torch.ones(6))
    assert a.min() >= 0
    assert a.max() <= 1


def test_cutmixs_targets_are_the_area_that_is_left():
    x = torch.stack([torch.full((1, 16, 16), float(k)) for k in range(2)])
    for seed in range(20):
        mixed, targets = mix("cutmix", 1.0)(x, torch.eye(2), torch.Generator().manual_seed(seed))
        # pixels of the second image are 1 and of the first 0: their mean is the second one's share
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), targets[:, 1])


def test_unknown_blends_are_refused():
    assert mix("none", 0.2) is None
    with pytest.raises(UnknownNameError):
        mix("mixdown", 0.2)
    with pytest.raises(UsageError, match="above 0"):
        mix("mixup", 0)


@pytest.mark.parametrize("augment", [randaugment, autoaugment, erasing])
@pytest.mark.parametrize("channels", [1, 3])
def test_borrowed_augmentations_draw_from_the_generator_alone(augment, channels):
    x, _ = batch(channels=channels)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a = augment(x, torch.Generator().manual_seed(3))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(a, augment(x, torch.Generator().manual_seed(3)))
    assert a.shape == x.shape
    assert not torch.equal(a, augment(x, torch.Generator().manual_seed(4)))


def test_borrowed_draws_are_those_of_a_seed_for_each_image_and_reseed_no_other_device(monkeypatch):
    x, _ = batch()
    seeds = torch.randint(2**62, (len(x),), generator=torch.Generator().manual_seed(3)).tolist()
    expected = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(x, seeds, strict=True):
            torch.manual_seed(seed)
            expected.append(v2.RandomErasing(p=0.5, value=0.5)(image))
    reseeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded.append)
    assert torch.equal(erasing(x, torch.Generator().manual_seed(3)), torch.stack(expected))
    assert reseeded == []


def test_augmentations_are_joined_by_plus():
    x, _ = batch()
    joined = augmentation("flip + erasing")(x, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(joined, erasing(augmentation("flip")(x, generator), generator))
    with pytest.raises(UnknownNameError, match="erasing"):
        augmentation("flip+erasin")


def test_smoothing_spreads_a_share_evenly():
    assert smoothed(torch.tensor([[1.0, 0, 0, 0]]), 0.2).tolist() == [pytest.approx([0.85, 0.05, 0.05, 0.05])]


def test_a_leveled_histogram_is_the_share_that_is_no_brighter():
    x = torch.tensor([0.0, 0.5, 0.5, 1.0]).view(1, 1, 2, 2)
    assert leveled(x).flatten().tolist() == [0.25, 0.75, 0.75, 1.0]


def test_the_ferplus_preprocessing_takes_even_and_uneven_light_out():
    x, _ = batch(3, 1, 24)
    out = ferplus(x)
    torch.testing.assert_close(out.mean(dim=(2, 3)), torch.zeros(3, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(dim=(2, 3), correction=0), torch.ones(3, 1), atol=1e-4, rtol=0)
    # no slope is left in either direction
    ramp = torch.linspace(-1, 1, 24)
    assert (out * ramp).mean(dim=(2, 3)).abs().max() < 1e-5
    # equalization is blind to exposure: half the light, the same picture
    coarse = (x * 100).round() / 255
    torch.testing.assert_close(ferplus(coarse), ferplus(coarse * 2), atol=1e-4, rtol=0)
    assert torch.isfinite(ferplus(torch.zeros(1, 1, 8, 8))).all()


def test_the_preprocessing_travels_in_the_contract():
    spec = InputSpec(16, 1, (0.3,), (0.2,), gray=True, preprocess="ferplus")
    again = InputSpec.from_json(spec.to_json())
    pixels = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(again.prepare(pixels), ferplus(pixels.float() / 255))
    with pytest.raises(WeightsError, match="ferplus"):
        InputSpec(16, 1, (0.3,), (0.2,), gray=True, preprocess="plain")


@pytest.mark.parametrize("preprocess", ["none", "ferplus"])
def test_gray_images_are_spread_over_three_channels_late_with_the_same_result(preprocess):
    spec = InputSpec(16, 3, (0.3, 0.4, 0.5), (0.2, 0.3, 0.4), gray=True, preprocess=preprocess)
    pixels = torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8)
    for name in ("affine", "one-of"):
        augment = augmentation(name)
        early, late = (
            spec.normalize(augment(spec.to_float(pixels, spread=s), torch.Generator().manual_seed(0)))
            for s in (True, False)
        )
        assert late.shape == (4, 3, 16, 16)
        torch.testing.assert_close(early, late, atol=2e-3, rtol=1e-3)
