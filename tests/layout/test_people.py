"""People of a panel: one, or several if all of them stay; panels that reach over those of others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.geometry import as_boxes, clip, iou
from rmset.parts.detect import Detections
from rmset.stages.layout.panels import Panel
from rmset.stages.layout.people import people_of, sitters
from rmset.stages.layout.sitters import sitters_of
from rmset.stages.layout.watch import View, Watched

LARGE = np.array([40.0, 40.0, 140.0, 180.0])


def watched(second, sway):
    """A panel with a large face in every look, and a second one shifted by `sway` px per look."""
    boxes = [as_boxes([LARGE, np.add(second, (dx, 0, dx, 0))]) for dx in sway]
    looks = [Detections(b, np.ones(2, np.float32), np.zeros((2, 5, 2), np.float32)) for b in boxes]
    return Watched(
        Panel((0, 0, 320, 240), True, False), sitters_of(looks, len(looks)), 2.0, np.zeros((0, 14, 24)), 0, (), 1.0
    )


@pytest.mark.parametrize(
    ("second", "sway", "people"),
    [
        ((200.0, 60.0, 290.0, 180.0), [0.0] * 8, 2),
        ((220.0, 80.0, 270.0, 150.0), [0, 4, 6, 2, -3, -5, 0, 3], 2),
        ((220.0, 80.0, 270.0, 150.0), [0.0, 0.2, 0.0, 0.1, 0.0, 0.0, -0.1, 0.0], 1),
        ((220.0, 80.0, 240.0, 106.0), [0, 2, 3, 1, -2, -2, 0, 1], 1),
        ((60.0, 0.0, 126.0, 38.0), [0, 4, 6, 2, -3, -5, 0, 3], 2),
        ((60.0, 4.0, 120.0, 60.0), [0, 4, 6, 2, -3, -5, 0, 3], 1),
        ((120.0, 80.0, 180.0, 170.0), [0, 4, 6, 2, -3, -5, 0, 3], 2),
    ],
    ids=[
        "as large",
        "smaller, and it moves",
        "a picture on the wall",
        "somebody far behind",
        "above the first one's hair",
        "hair that looks like a face",
        "cheek to cheek",
    ],
)
def test_a_second_face_is_a_person_when_it_is_large_or_moves(second, sway, people):
    assert len(sitters(watched(second, sway))) == people


FIRST, BELOW = (50.0, 50.0, 100.0, 110.0), (60.0, 250.0, 110.0, 310.0)


def panel_of(rect, *faces, inset=False):
    """A panel in which the same faces are seen in four looks."""
    inside = [f for f in faces if clip(f, tuple(map(float, rect))) == f]
    look = Detections(as_boxes(inside), np.ones(len(inside), np.float32), np.zeros((len(inside), 5, 2), np.float32))
    blank = np.zeros((0, 14, 24))
    return Watched(Panel(rect, True, inset), sitters_of([look] * 4, 4), float(len(inside)), blank, 0, (), 1.0)


def seen(*panels):
    return people_of(View((0, 10, 20, 30), panels, (1.0,) * 4, np.zeros((4, 180, 320), np.uint8)), (), ())[1]


def test_a_panel_that_reaches_over_another_one_has_only_its_own_person():
    # The line between the upper and the lower panel was not found for the lower one.
    upper, both = panel_of((0, 0, 160, 180), FIRST, BELOW), panel_of((0, 10, 160, 360), FIRST, BELOW)
    people = seen(upper, both)
    assert [(p.person_id, p.box, p.panel) for p in people] == [
        (0, FIRST, (0.0, 0.0, 160.0, 180.0)),
        (1, BELOW, (0.0, 180.0, 160.0, 360.0)),
    ]
    assert seen(both, upper)[1].panel == (0.0, 0.0, 160.0, 180.0)


def test_an_inset_takes_nothing_away_from_the_panel_below_it():
    whole, small = (0, 0, 640, 360), (20, 220, 160, 340)
    people = seen(panel_of(whole, FIRST), panel_of(small, BELOW, inset=True))
    assert [p.panel for p in people] == [tuple(map(float, whole)), tuple(map(float, small))]


SIDES = st.tuples(st.integers(0, 300), st.integers(20, 340)).map(lambda s: (s[0], s[0] + s[1]))
RECTS = st.tuples(SIDES, SIDES).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))


@given(st.lists(RECTS, max_size=5, unique=True), st.lists(RECTS, max_size=5))
def test_no_two_people_have_one_face_and_every_face_lies_in_its_panel(rects, faces):
    people = seen(*(panel_of(r, *(tuple(map(float, f)) for f in faces)) for r in rects))
    assert [p.person_id for p in people] == list(range(len(people)))
    boxes = as_boxes([p.box for p in people])
    overlap = iou(boxes, boxes) - np.eye(len(people))
    assert not len(people) or overlap.max() <= 0.3 + 1e-6
    assert all(clip(p.box, p.panel) == p.box for p in people)
