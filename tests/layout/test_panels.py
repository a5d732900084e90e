"""Edges, panels and changes on screens of random pictures, whose lines are known to the pixel."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from worlds import noise, screens

from rmset.stages.layout import changes, panels, sampling
from rmset.stages.layout.bars import with_bars
from rmset.stages.layout.edges import Evidence, FrameSums

# Looks in which nothing moves.
STILL = np.zeros((4, 180, 320), np.uint8)


def rects(found):
    return sorted(p.rect for p in found)


@pytest.mark.parametrize("x", [319, 320, 321, 333])
def test_an_edge_is_found_on_its_very_pixel(x):
    boxes = [(0, 0, x, 360), (x, 0, 640, 360)]
    assert rects(panels.find_in(screens(boxes, (640, 360), 8))) == sorted(boxes)


def test_a_grid_is_cut_into_its_cells():
    boxes = [(x, y, x + 160, y + 120) for y in (0, 120, 240) for x in (0, 160, 320, 480)]
    assert rects(panels.find_in(screens(boxes, (640, 360), 10))) == sorted(boxes)


def test_gaps_and_borders_are_no_panels():
    boxes = [(20, 20, 300, 340), (320, 20, 620, 340)]
    assert rects(panels.find_in(screens(boxes, (640, 360), 8))) == sorted(boxes)


# Under the film as wide as two of them a row of four, under that a row of three: no line runs from top to bottom.
TOP = [(0, 0, 160, 160), (160, 0, 480, 160), (480, 0, 640, 160)]
FOOT = [(0, 260, 213, 360), (213, 260, 427, 360), (427, 260, 640, 360)]


def test_panels_between_two_lines_of_the_grid_are_parted_by_an_edge_all_along():
    boxes = [*TOP, *[(x, 160, x + 160, 260) for x in (0, 160, 320, 480)], *FOOT]
    assert rects(panels.find_in(screens(boxes, (640, 360), 12))) == sorted(boxes)


def test_an_edge_along_part_of_a_picture_between_two_lines_of_the_grid_is_its_own():
    wide = [(0, 160, 160, 260), (160, 160, 480, 260), (480, 160, 640, 260)]
    frames = screens([*TOP, *wide, (250, 160, 480, 260), *FOOT], (640, 360), 12)
    # Like a door: in these rows its two sides look the same.
    alike = 160 + np.flatnonzero(np.random.default_rng(1).random(100) < 0.35)
    for frame in frames:
        frame[alike, 246:254] = 90
    assert rects(panels.find_in(frames)) == sorted([*TOP, *wide, *FOOT])


def test_what_a_line_of_the_grid_runs_through_is_two_panels_and_no_inset():
    still = noise(np.random.default_rng(0), (640, 180))
    still[::7] //= 2
    frames = screens([(0, 0, 320, 180), (320, 0, 640, 180)], (640, 360), 12)
    for frame, below in zip(
        frames, screens([(100, 20, 320, 160), (320, 20, 540, 160)], (640, 180), 12, 1), strict=True
    ):
        frame[180:] = still
        frame[200:340, 100:540] = below[20:160, 100:540]
    found = panels.find_in(frames)
    assert not any(p.inset for p in found)
    assert {(p.rect[0], p.rect[2]) for p in found if p.rect[1] >= 180 and p.alive} == {(100, 320), (320, 540)}


def test_a_picture_over_the_place_where_panels_meet_is_an_inset():
    cells = [(0, 0, 320, 180), (320, 0, 640, 180), (0, 180, 320, 360), (320, 180, 640, 360)]
    found = panels.find_in(screens([*cells, (220, 110, 420, 250)], (640, 360), 12))
    assert [p.rect for p in found if p.inset] == [(220, 110, 420, 250)]
    assert rects(p for p in found if not p.inset) == sorted(cells)


def test_a_single_picture_is_one_panel():
    assert rects(panels.find_in(screens([(0, 0, 640, 360)], (640, 360), 8))) == [(0, 0, 640, 360)]


def test_a_plain_screen_is_one_panel_in_which_nothing_lives():
    (panel,) = panels.find_in([np.full((90, 160), 80, np.uint8)] * 4)
    assert panel.rect == (0, 0, 160, 90)
    assert not panel.alive


def test_a_change_of_what_stands_still_is_found_and_a_film_cut_is_not():
    rng = np.random.default_rng(3)
    before, after = noise(rng, (320, 180)), noise(rng, (320, 180))
    # Texture, so that there are still edges.
    before[::9], after[:, ::7] = 0, 0
    looks = []
    for number in range(24):
        look = (before if number < 11 else after).copy()
        look[60:120, 100:200] = noise(rng, (100, 60))
        looks.append(look)
    found = changes.find(looks)
    assert [gap for gap, _ in found] == [10]


def test_short_videos_are_looked_at_evenly_and_long_ones_at_key_frames():
    assert sampling.plan(1, 25.0, [0]) == [0]
    keys = list(range(0, 18000, 60))
    frames = sampling.plan(18000, 30.0, keys)
    middle = [f for f in frames if 200 < f < 17800]
    assert set(middle) <= set(keys)
    assert max(b - a for a, b in pairwise(frames)) <= 120


def test_bars_belong_to_the_film_up_to_the_lines_of_the_grid():
    others = [(0, 0, 320, 180), (0, 180, 320, 360)]
    assert with_bars((320, 20, 640, 160), [(320, 20, 640, 160), *others], (640, 360), STILL) == (320, 0, 640, 180)


def test_a_gap_between_panels_is_no_bar():
    film, others = (330, 20, 620, 170), [(20, 20, 310, 170), (330, 190, 620, 340)]
    assert with_bars(film, [film, *others], (640, 360), STILL) == film


def lit_film(count=10):
    """Frames (360, 640) of a still picture in (160, 80, 480, 280) over its own blur; both grow lighter and darker."""
    rng = np.random.default_rng(7)
    texture = cv2.resize(rng.integers(90, 200, (40, 64)).astype(np.uint8), (320, 200), interpolation=cv2.INTER_CUBIC)
    behind = cv2.blur(cv2.resize(texture, (640, 360)), (151, 151)) * 0.6
    frames = []
    for light in np.linspace(0.5, 1.2, count):
        screen = behind * light
        screen[80:280, 160:480] = texture * light
        frames.append(np.clip(screen, 0, 255).astype(np.uint8))
    return frames


def along_the_left_side(frames):
    """Share of the film's left side that is a crisp step."""
    sums = FrameSums(360, 640)
    sums.add(frames)
    return Evidence.of(sums).vertical.crisp[80:280, 157:162].any(axis=1).mean()


def test_a_film_parts_from_its_blur_by_a_crisp_step_though_both_move_as_one():
    frames = lit_film()
    assert along_the_left_side(frames) > 0.9
    # The edge of a wall, as a camera sees it.
    assert along_the_left_side([cv2.blur(f, (7, 7)) for f in frames]) < 0.1


def test_a_gap_that_shows_a_blur_is_no_bar_and_a_black_one_is():
    film, others = (160, 80, 480, 280), [(0, 0, 160, 360), (480, 0, 640, 360), (0, 290, 640, 360), (0, 0, 640, 70)]
    stirring = np.stack([changes.shrunk(f) for f in lit_film()])
    assert with_bars(film, [film, *others], (640, 360), stirring) == film
    black = np.zeros_like(stirring)
    black[:, 40:140, 80:240] = stirring[:, 40:140, 80:240]
    assert with_bars(film, [film, *others], (640, 360), black) == (160, 70, 480, 290)
