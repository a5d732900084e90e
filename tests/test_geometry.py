"""Boxes: one IoU for the whole project, checked by hand and by law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import UsageError
from rmset.geometry import area, as_boxes, covered, iou, parse_box, pixels, scale_about_center

corner = st.integers(0, 50)
side = st.integers(1, 50)
box = st.builds(lambda x, y, w, h: (float(x), float(y), float(x + w), float(y + h)), corner, corner, side, side)


def test_half_of_each_of_two_squares_is_a_third_of_their_union():
    assert iou(as_boxes([(0, 0, 2, 2)]), as_boxes([(1, 0, 3, 2)]))[0, 0] == pytest.approx(1 / 3)


@given(box, box)
def test_iou_is_symmetric_and_between_0_and_1_and_1_only_for_the_same_box(a, b):
    there, back = iou(as_boxes([a]), as_boxes([b]))[0, 0], iou(as_boxes([b]), as_boxes([a]))[0, 0]
    assert there == pytest.approx(back)
    assert 0 <= there <= 1
    assert (there == pytest.approx(1)) == (a == b)


@given(box, box)
def test_iou_counts_pixels(a, b):
    canvas = np.zeros((2, 101, 101), bool)
    for layer, (x0, y0, x1, y1) in zip(canvas, (a, b), strict=True):
        layer[int(y0) : int(y1), int(x0) : int(x1)] = True
    expected = (canvas[0] & canvas[1]).sum() / (canvas[0] | canvas[1]).sum()
    assert iou(as_boxes([a]), as_boxes([b]))[0, 0] == pytest.approx(expected)


def test_an_empty_box_has_no_area_and_no_iou():
    empty = as_boxes([(3, 3, 3, 9)])
    assert area(empty)[0] == 0
    assert iou(empty, empty)[0, 0] == 0


def test_a_box_covered_by_two_others_is_covered_by_their_sum():
    assert covered(as_boxes([(0, 0, 4, 2)]), as_boxes([(0, 0, 1, 2), (3, 0, 9, 9)]))[0] == pytest.approx(0.5)


@given(box, st.floats(0.1, 5))
def test_scaling_about_the_center_keeps_the_center(a, factor):
    x0, y0, x1, y1 = scale_about_center(a, factor)
    assert (x0 + x1) / 2 == pytest.approx((a[0] + a[2]) / 2)
    assert (y1 - y0) == pytest.approx((a[3] - a[1]) * factor)


def test_pixels_of_a_box_are_those_it_touches_inside_the_frame():
    assert pixels((-3.2, 0.5, 10.1, 400.0), (640, 360)) == (0, 0, 11, 360)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "5,5,5,9", "9,0,1,5"])
def test_a_box_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="expected"):
        parse_box(text)
