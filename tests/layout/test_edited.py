"""Edited mashups: pictures over the film, changes of places, moments in full screen."""

import cv2
import numpy as np
import pytest
from worlds import noise

from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, check, propose
from rmset.stages.layout.edges import Evidence, FrameSums
from rmset.stages.layout.outlines import around
from rmset.stages.layout.people import Faces, with_lasting_ids
from rmset.stages.layout.portraits import OTHER_ROOM, SAME_ROOM, likeness
from rmset.synth.compose import compose_demo

SIZE = (640, 360)


def evidence(draw, count=14, seed=0):
    """Evidence from noise frames on which `draw` puts another picture."""
    rng = np.random.default_rng(seed)
    sums = FrameSums(*SIZE[::-1])
    for _ in range(count):
        frame = noise(rng, SIZE)
        draw(frame, noise(rng, SIZE))
        sums.add([frame])
    return Evidence.of(sums)


@pytest.mark.parametrize("middle", [(100, 100), (320, 200), (560, 260)])
def test_a_circle_is_found_from_the_face_in_it(middle):
    def bubble(frame, other):
        mask = np.zeros(frame.shape, np.uint8)
        cv2.circle(mask, middle, 60, 255, -1)
        frame[mask > 0] = other[mask > 0]

    x, y = middle
    outline = around(evidence(bubble), (x - 30.0, y - 45.0, x + 30.0, y + 40.0))
    assert outline is not None
    assert outline.round
    assert np.abs(np.array(outline.rect) - (x - 60, y - 60, x + 60, y + 60)).max() <= 3


def test_a_box_is_found_from_the_face_in_it():
    def box(frame, other):
        frame[60:200, 420:600] = other[60:200, 420:600]

    outline = around(evidence(box), (480.0, 90.0, 540.0, 170.0))
    assert outline is not None
    assert not outline.round
    assert np.abs(np.array(outline.rect) - (420, 60, 600, 200)).max() <= 2


def test_a_face_in_a_film_has_no_outline():
    assert around(evidence(lambda frame, other: None), (300.0, 100.0, 360.0, 180.0)) is None


def layout(panel, region=(0.0, 0.0, 640.0, 360.0)):
    person = Person(0, (20.0, 20.0, 50.0, 60.0), panel)
    return Layout("v", SIZE, (Segment(0, 10, 0, (TriggerRegion(region),), (person,)),))


def test_a_panel_in_a_trigger_region_is_a_hole():
    (segment,) = layout((10.0, 10.0, 110.0, 110.0)).segments
    painted = np.zeros(SIZE[::-1], int)
    for x0, y0, x1, y1 in segment.masked:
        painted[int(y0) : int(y1), int(x0) : int(x1)] += 1
    assert painted.max() == 1
    assert (painted[10:110, 10:110] == 0).all()
    assert painted.sum() == SIZE[0] * SIZE[1] - 100 * 100
    assert not [f for f in check(layout((10.0, 10.0, 110.0, 110.0)), 10) if f.is_error]


@pytest.mark.parametrize("panel", [None, (0.0, 0.0, 640.0, 360.0)])
def test_a_film_over_a_panel_has_no_hole(panel):
    (segment,) = layout(panel, (10.0, 10.0, 110.0, 110.0)).segments
    assert segment.masked == ((10.0, 10.0, 110.0, 110.0),)


def room(seed):
    """A room: large patches of color."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 255, (5, 8, 3)).astype(np.uint8), (114, 64), interpolation=cv2.INTER_NEAREST)


def closer(picture, zoom):
    height, width = picture.shape[:2]
    h, w = round(height / zoom), round(width / zoom)
    part = picture[(height - h) // 2 :, (width - w) // 2 :][:h, :w]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)


def test_a_room_is_known_again_though_the_editor_comes_closer():
    assert all(likeness(room(1), closer(room(1), zoom)) >= SAME_ROOM for zoom in (1.0, 1.2, 1.45))
    assert max(likeness(room(1), room(other)) for other in range(2, 12)) < OTHER_ROOM


def test_people_who_change_places_keep_their_ids_and_a_new_person_has_a_new_one():
    left, right = (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)
    face = Person(0, (10.0, 10.0, 60.0, 70.0), left), Person(1, (110.0, 10.0, 160.0, 70.0), right)
    parts = [Segment(i * 10, i * 10 + 10, i * 10, (), face) for i in range(3)]
    rooms = [(1, 2), (2, 1), (2, 3)]
    seen = {
        (i * 10, i * 10 + 10, panel): room(number)
        for i, pair in enumerate(rooms)
        for panel, number in zip((left, right), pair, strict=True)
    }
    ids = [[p.person_id for p in s.people] for s in with_lasting_ids(parts, Faces(seen))]
    assert ids == [[0, 1], [1, 0], [1, 2]]


@pytest.mark.parametrize(
    ("rooms", "frames", "ids"),
    [
        ([(8, 9), (1, 2)], 20, [[0, 1], [0, 1]]),
        ([(8, 9), (1, 2)], 90, [[0, 1], [2, 3]]),
        ([(1, 2), (2, 1)], 20, [[0, 1], [1, 0]]),
        ([(1, 2), (1, 3)], 20, [[0, 1], [0, 2]]),
    ],
    ids=["fade in", "another cast", "change places", "one is replaced"],
)
def test_ids_last_through_a_fade_in_which_every_room_looks_otherwise(rooms, frames, ids):
    panels = (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)
    people = tuple(Person(n, (x + 10, 10.0, x + 60, 70.0), p) for n, p in enumerate(panels) for x in p[:1])
    parts = [Segment(0, frames, 0, (), people), Segment(frames, 300, frames, (), people)]
    seen = {
        (s.start_frame, s.end_frame, panel): room(number)
        for s, pair in zip(parts, rooms, strict=True)
        for panel, number in zip(panels, pair, strict=True)
    }
    assert [[p.person_id for p in s.people] for s in with_lasting_ids(parts, Faces(seen), brief=30)] == ids


def proposed(tmp_path, **edits):
    video = tmp_path / "m.mp4"
    truth = compose_demo(video, size=SIZE, fps=15, **edits)
    root = Root(tmp_path / "root")
    video_id = fetch.add(root, video).video_id
    propose(root, video_id, ProposeConfig())
    return truth, root.layout(video_id)


@pytest.mark.slow
def test_people_over_a_film_that_fills_the_screen_are_not_masked(tmp_path):
    truth, layout = proposed(tmp_path, seconds=8, people=5, edits=["film-full", "film-cuts"])
    segment = max(layout.segments, key=lambda s: s.end_frame - s.start_frame)
    assert [r.box for r in segment.trigger_regions] == [(0, 0, *SIZE)]
    panels = truth.segments[0].panels.values()
    assert len(segment.people) == len(panels)
    for panel in panels:
        assert min(max(abs(a - b) for a, b in zip(panel, p.panel, strict=False)) for p in segment.people) <= 6


@pytest.mark.slow
def test_a_moment_full_screen_is_a_segment_with_the_person_of_the_panel(tmp_path):
    truth, layout = proposed(tmp_path, seconds=12, people=5, layout="2x3", edits=["moment"])
    grid, moment, again = layout.segments
    assert abs(moment.start_frame - truth.segments[1].start_frame) <= 2
    assert moment.trigger_regions == ()
    (person,) = moment.people
    assert person.panel == (0, 0, *SIZE)
    (shown,) = truth.segments[1].panels
    seat = truth.segments[0].panels[shown]
    assert next(p.person_id for p in grid.people if p.panel == seat) == person.person_id
    assert [p.person_id for p in grid.people] == [p.person_id for p in again.people]


@pytest.mark.slow
def test_ids_go_with_people_who_change_places(tmp_path):
    truth, layout = proposed(tmp_path, seconds=10, people=5, layout="2x3", edits=["swap"])
    before, after = layout.segments
    assert abs(after.start_frame - truth.segments[1].start_frame) <= 2
    true = [{b: p for p, b in s.panels.items()} for s in truth.segments]
    named = [{true[i][p.panel]: p.person_id for p in s.people} for i, s in enumerate((before, after))]
    assert named[0] == named[1]
