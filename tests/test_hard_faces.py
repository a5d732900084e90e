"""Faces in the dark, and faces half covered: found where they are, and nowhere else."""

import numpy as np
import pytest

from rmset.geometry import as_box, as_boxes, iou
from rmset.layout_record import Person
from rmset.parts.detect import cascade, load
from rmset.parts.detect.nets import Nets
from rmset.parts.follow import FollowConfig, Follower
from rmset.parts.frames import VideoReader
from rmset.parts.pixels import IntegralPixels, LightenedPixels, gain_for, lightened


@pytest.fixture(scope="module")
def nets():
    return Nets()


@pytest.fixture(scope="module")
def seen(mashup):
    """A panel of a generated person, (H, W, 3), and the face in it."""
    with VideoReader(mashup[0]) as reader:
        image = next(iter(reader.sample([20]))).rgb
    detector = load("mtcnn")
    best = detector.detect(image, 30).boxes[0]
    x0, y0, x1, y1 = (int(v) for v in best)
    side = max(x1 - x0, y1 - y0) // 2
    panel = image[max(0, y0 - side) : y1 + side, max(0, x0 - side) : x1 + side].copy()
    return panel, as_box(detector.detect(panel, 30).boxes[0])


def darkened(image, gain):
    """Less light, and a camera's noise."""
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    return np.clip(image * gain + noise, 0, 255).astype(np.uint8)


def overlaps(box, boxes):
    return bool(len(boxes)) and float(iou(as_boxes([box]), boxes).max()) >= 0.5


@pytest.mark.parametrize("gain", [0.5, 1 / 8, 1 / 16])
def test_a_face_is_found_in_a_dark_room(seen, gain):
    panel, box = seen
    assert overlaps(box, load("mtcnn").detect(darkened(panel, gain), 30).boxes)


def test_only_what_is_dark_and_not_black_is_lightened(seen):
    panel, _ = seen
    whole = (0, 0, panel.shape[1], panel.shape[0])

    def gain(image):
        return gain_for(IntegralPixels(np.ascontiguousarray(image)), whole)

    assert gain(panel) == gain(np.zeros_like(panel)) == gain(np.full_like(panel, 2)) == 1
    dark = IntegralPixels(darkened(panel, 1 / 16))
    assert gain_for(dark, whole) > 8
    assert lightened(dark, 1) is dark
    patch = LightenedPixels(dark, gain_for(dark, whole)).patch(whole, (20, 20))
    assert 150 <= patch.max() <= 255


def followed(nets, pictures, box):
    """Whether the tracker finds the person in each picture, from where they were in the first."""
    height, width = pictures[0].shape[:2]
    person = Person(0, box, (0.0, 0.0, float(width), float(height)))
    follower = Follower(nets, [person], (width, height), (), FollowConfig())
    return [follower.step(IntegralPixels(p)).faces.boxes for p in pictures]


def test_a_face_in_a_dark_room_is_followed(nets, seen):
    panel, box = seen
    dark = darkened(panel, 1 / 16)
    moved = np.roll(dark, 3, axis=1)
    assert all(overlaps(box, boxes) for boxes in followed(nets, [dark, moved, dark, moved], box))


def test_a_person_is_followed_when_the_light_goes_out(nets, seen):
    panel, box = seen
    pictures = [panel] * 3 + [darkened(panel, 1 / 16)] * 6 + [panel] * 3
    found = [overlaps(box, boxes) for boxes in followed(nets, pictures, box)]
    assert sum(found) >= len(found) - 2


def test_less_is_asked_of_a_face_only_where_its_person_was(nets, seen, monkeypatch):
    panel, box = seen
    asked = []

    def search(*arguments, unsure=None, **options):
        asked.append(unsure)
        faces = found(*arguments, **options)
        return type(faces)(faces.boxes, np.full(len(faces), 0.5, np.float32), faces.landmarks)

    found = cascade.search
    monkeypatch.setattr(cascade, "search", search)
    assert overlaps(box, followed(nets, [panel], box)[0])
    x0, y0, x1, y1 = box
    beside = (max(0.0, x0 - (x1 - x0)), y0, x0, y1)
    assert not len(followed(nets, [panel], beside)[0])
    assert None not in asked
