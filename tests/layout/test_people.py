"""People of a panel: one, or several if all of them stay."""

import numpy as np
import pytest

from rmset.geometry import as_boxes
from rmset.parts.detect import Detections
from rmset.stages.layout.panels import Panel
from rmset.stages.layout.people import sitters
from rmset.stages.layout.sitters import sitters_of
from rmset.stages.layout.watch import Watched

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
    ],
    ids=["as large", "smaller, and it moves", "a picture on the wall", "somebody far behind"],
)
def test_a_second_face_is_a_person_when_it_is_large_or_moves(second, sway, people):
    assert len(sitters(watched(second, sway))) == people
