import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.errors import UnknownNameError, WeightsError
from fertrain.transforms.augment import (
    AUGMENTATIONS,
    AffineRange,
    affine,
    augmentation,
    crop,
    flip,
    grayed,
    jitter,
    one_of,
)
from fertrain.transforms.input_spec import InputSpec, Moments


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def picture(n=6, c=3, s=16, seed=0):
    return torch.rand(n, c, s, s, generator=gen(seed))


@pytest.mark.parametrize("name", AUGMENTATIONS)
@given(seed=st.integers(0, 1000), channels=st.sampled_from([1, 3]))
def test_an_augmentation_keeps_shape_and_range_and_repeats_by_seed(name, seed, channels):
    x = picture(c=channels, seed=seed)
    before = x.clone()
    y = AUGMENTATIONS[name](x, gen(seed))
    assert y.shape == x.shape
    assert y.min() >= -1e-6
    assert y.max() <= 1 + 1e-6
    torch.testing.assert_close(x, before, msg="the input was written to")
    torch.testing.assert_close(y, AUGMENTATIONS[name](x, gen(seed)))


def test_flip_mirrors_about_half_of_the_images():
    x = picture(n=400, s=4)
    y = flip(x, gen())
    mirrored = torch.tensor([torch.equal(a.flip(-1), b) for a, b in zip(x, y, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(x, y, strict=True)])
    assert (mirrored | kept).all()
    assert 150 < mirrored.sum() < 250


def test_an_affine_map_without_range_only_mirrors():
    x = picture()
    still = AffineRange(shift=0, scale=1, rotation=0, skew=0)
    y = affine(x, gen(), still)
    for a, b in zip(x, y, strict=True):
        assert torch.allclose(a, b, atol=1e-5) or torch.allclose(a.flip(-1), b, atol=1e-5)


def test_a_crop_shows_a_square_of_the_image_at_the_old_size():
    # a ramp from left to right: a crop of side s shows a range s of it, somewhere inside
    ramp = ((torch.arange(64) + 0.5) / 64).expand(200, 1, 64, 64)
    y = crop(ramp, gen(), least=0.25)
    sides = (y.amax(dim=(1, 2, 3)) - y.amin(dim=(1, 2, 3))) * 64 / 63
    assert sides.min() > 0.48
    assert sides.max() <= 1.001
    assert sides.std() > 0.1
    assert torch.allclose(crop(ramp, gen(), least=1.0).mean(dim=(1, 2, 3)), ramp[:, 0].mean(dim=(1, 2)), atol=1e-5)


def test_each_image_gets_one_of_gray_mirror_and_jitter():
    x = picture(n=300, s=6)
    y = one_of(x, gen())
    gray = torch.tensor([torch.allclose(b, grayed(b[None])[0], atol=1e-5) for b in y])
    mirrored = torch.tensor([torch.equal(a.flip(-1), b) for a, b in zip(x, y, strict=True)])
    assert not (gray & mirrored).any()
    assert 60 < gray.sum() < 140
    assert 60 < mirrored.sum() < 140


def test_jitter_leaves_gray_images_gray():
    x = grayed(picture()).clone()
    y = jitter(x, gen())
    torch.testing.assert_close(y, grayed(y).clone(), atol=2e-3, rtol=0)


def test_an_unknown_augmentation_is_one_line_with_close_names():
    with pytest.raises(UnknownNameError, match="did you mean affine"):
        augmentation("afine")


def spec(**kwargs):
    return InputSpec(**{"size": 16, "channels": 3, "mean": (0.5,) * 3, "std": (0.25,) * 3, **kwargs})


def test_a_contract_survives_the_metadata():
    c = spec(gray=True)
    assert InputSpec.from_json(c.to_json()) == c


def test_prepare_by_hand():
    c = spec(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    x = c.prepare(torch.full((1, 3, 16, 16), 255, dtype=torch.uint8))
    assert x[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]


def test_color_is_taken_out_for_a_gray_set_and_gray_is_repeated():
    c = spec(gray=True)
    color = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    color[:, 0] = 255
    assert c.to_float(color)[0, :, 0, 0].tolist() == pytest.approx([0.299] * 3)
    assert c.to_float(color[:, :1]).shape == (1, 3, 16, 16)
    assert c.stored_channels == 1


def test_each_stream_has_its_own_moments():
    other = spec().with_moments(Moments((0.1,) * 3, (0.2,) * 3))
    assert (other.mean, other.std, other.size) == ((0.1,) * 3, (0.2,) * 3, 16)


@pytest.mark.parametrize(
    "bad", [torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 16, 16), torch.zeros(1, 4, 16, 16).byte()]
)
def test_images_that_break_the_contract_are_refused(bad):
    with pytest.raises(WeightsError, match="16×16"):
        spec().prepare(bad)
    with pytest.raises(WeightsError, match="channels"):
        spec(channels=1)
