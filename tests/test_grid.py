"""Crops of another encoding, cut in the pixels of the released frame."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from rmset.errors import UsageError
from rmset.parts.cropping import cut
from rmset.parts.grid import Grid
from rmset.parts.plane_crops import PlaneFrame
from tests.test_plane_crops import photo

WHOLE = (0.0, 0.0, 512.0, 512.0)
numbers = st.floats(-500, 500)
grids = st.builds(Grid, st.just(640), st.just(360), numbers, numbers, st.floats(0.1, 10), st.floats(0.1, 10))


@given(grids, st.tuples(*[st.integers(-1000, 1000)] * 4))
def test_a_window_goes_there_and_back(grid, window):
    np.testing.assert_allclose(grid.box(grid.here(window)), window, atol=1e-8)


@given(grids, grids, st.tuples(*[st.integers(0, 1000)] * 4))
def test_a_grid_of_a_grid_maps_like_one_after_the_other(first, second, window):
    x0, y0, x1, y1 = first.here(window)
    expected = (
        second.left + x0 * second.scale_x, second.top + y0 * second.scale_y,
        second.left + x1 * second.scale_x, second.top + y1 * second.scale_y,
    )  # fmt: skip
    np.testing.assert_allclose(first.within(second).here(window), expected, rtol=1e-9, atol=1e-6)


def test_the_pixels_of_the_frame_itself_change_nothing():
    image, box = astronaut(), (180.3, 60.7, 270.9, 190.2)
    own = Grid(512, 512, 0.0, 0.0, 1.0, 1.0)
    assert np.array_equal(cut(image, box, WHOLE, 112, grid=own).image, cut(image, box, WHOLE, 112).image)
    frame, _ = photo(1, full=False)
    plain, same = (PlaneFrame(frame, grid).cut(box, WHOLE, 112) for grid in (None, own))
    assert np.array_equal(plain.luma, same.luma)
    assert all(np.array_equal(a, b) for a, b in zip(plain.chroma, same.chroma, strict=True))
    assert plain.padding == same.padding


@pytest.mark.parametrize(("side", "left", "top"), [(341, 0, 0), (256, 0, 37), (768, 11, 0), (1024, 0, 0)])
def test_a_scaled_frame_gives_the_released_window(side, left, top):
    """By hand: a window of 45.3 px begins at 0.3 of a pixel; rounded here it would be another one."""
    image = cv2.GaussianBlur(astronaut(), (0, 0), 2.5)
    scale = side / 512
    other = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
    other = cv2.copyMakeBorder(other, top, top, left, left, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    released = (180.4, 60.6, 225.7, 121.4)
    here = [v * scale + (left, top)[i % 2] for i, v in enumerate(released)]
    bounds = (float(left), float(top), float(left + side), float(top + side))
    grid = Grid(512, 512, left, top, scale, scale)
    wanted = cut(image, released, WHOLE, 112).image.astype(float)
    exact = cut(other, here, bounds, 112, grid=grid).image
    rounded = cut(other, here, bounds, 112).image
    errors = [np.mean((found - wanted) ** 2) for found in (exact, rounded)]
    assert 10 * np.log10(255**2 / errors[0]) > 38
    assert errors[0] < errors[1] or scale > 1


def test_what_is_no_grid_is_refused():
    for values in ((0, 10, 0, 0, 1, 1), (10, 10, 0, 0, -1, 1), (10, 10, float("nan"), 0, 1, 1)):
        with pytest.raises(UsageError, match="expected a grid"):
            Grid(*values)
