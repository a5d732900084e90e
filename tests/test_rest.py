"""Faces that hardly move are looked for in every second frame, and are where they are in the frames between."""

import numpy as np
import pytest

from rmset.geometry import as_box, as_boxes, iou
from rmset.layout_record import Person
from rmset.parts.detect import load
from rmset.parts.detect.nets import Nets
from rmset.parts.follow import FollowConfig, Follower
from rmset.parts.frames import VideoReader
from rmset.parts.pixels import IntegralPixels
from rmset.parts.rest import Resting


class Counting(Nets):
    """Nets that count the faces that the last one is asked for."""

    asked = 0

    def output(self, patches):
        self.asked += len(patches)
        return super().output(patches)


@pytest.fixture(scope="module")
def room(mashup):
    """A generated person's surroundings, (H, W, 3), and the face in it."""
    with VideoReader(mashup[0]) as reader:
        image = next(iter(reader.sample([20]))).rgb
    detector = load("mtcnn")
    x0, y0, x1, y1 = (int(v) for v in detector.detect(image, 30).boxes[0])
    side = max(x1 - x0, y1 - y0)
    room = image[max(0, y0 - side // 2) : y1 + side // 2, max(0, x0 - side // 2) : x1 + side // 2].copy()
    return room, as_box(detector.detect(room, 30).boxes[0])


def shifted(room, shifts):
    return [IntegralPixels(np.roll(room, shift, axis=1)) for shift in shifts]


def followed(room, box, shifts, every, removed=()):
    """The faces found in each frame, and how often the last net was asked for one."""
    nets, (height, width) = Counting(), room.shape[:2]
    person = Person(0, box, (0.0, 0.0, float(width), float(height)))
    removed = as_boxes(list(removed))
    resting = Resting(Follower(nets, [person], (width, height), removed, FollowConfig()), every, removed)
    found = [finished for picture in shifted(room, shifts) for finished in resting.step(picture)]
    return [f.faces.boxes for f in (*found, *resting.end())], nets.asked


def moved(box, shift):
    return as_boxes([(box[0] + shift, box[1], box[2] + shift, box[3])])


CALM = [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]


@pytest.mark.parametrize("frames", [11, 12])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_every_frame_has_its_face_however_seldom_it_is_asked_for(room, every, frames):
    image, box = room
    found, _ = followed(image, box, CALM[:frames], every)
    assert [len(boxes) for boxes in found] == [1] * frames
    for boxes, shift in zip(found, CALM, strict=False):
        assert iou(boxes, moved(box, shift))[0, 0] > 0.8


def test_a_face_that_hardly_moves_is_asked_for_half_as_often(room):
    image, box = room
    always, often = (followed(image, box, CALM, every)[1] for every in (1, 2))
    assert often <= 0.7 * always


def test_a_face_that_jumps_in_a_frame_that_was_passed_over_is_found_there(room):
    image, box = room
    far = int(0.3 * (box[2] - box[0]))
    shifts = [0, 0, 0, far, far, far]
    for late in range(2):
        found, _ = followed(image, box, shifts[late:], 2)
        assert [len(boxes) for boxes in found] == [1] * len(shifts[late:])
        for boxes, shift in zip(found, shifts[late:], strict=True):
            assert iou(boxes, moved(box, shift))[0, 0] > 0.7


def test_a_face_that_is_gone_in_a_frame_that_was_passed_over_is_not_made_up(room):
    image, box = room
    nets, (height, width) = Counting(), image.shape[:2]
    person = Person(0, box, (0.0, 0.0, float(width), float(height)))
    none = as_boxes([])
    for seen in (3, 4):
        resting = Resting(Follower(nets, [person], (width, height), none, FollowConfig()), 2, none)
        pictures = [image] * seen + [np.full_like(image, 90)] * 3
        found = [f for picture in pictures for f in resting.step(IntegralPixels(picture))]
        counts = [len(f.people) for f in (*found, *resting.end())]
        assert counts == [1] * seen + [0] * 3
