"""Which panel is the film, where a part of the video alone would not tell."""

from dataclasses import replace

import numpy as np
import pytest

from rmset.layout_record import TriggerRegion
from rmset.stages.layout import film, seats, signs
from rmset.stages.layout.edges import FrameSums
from rmset.stages.layout.panels import Panel
from rmset.stages.layout.signs import Witness
from rmset.stages.layout.sitters import Sitter
from rmset.stages.layout.spans import Span
from rmset.stages.layout.watch import View, Watched

SIZE = (400, 200)
FILM, LEFT, RIGHT = (0, 0, 200, 100), (200, 0, 400, 100), (0, 100, 200, 200)
LOOKS = 6


def watched(rect, *, sits, scenes, rim, seed=0):
    """A panel in which a face stays in a share `sits` of the looks, over so many scenes."""
    rng = np.random.default_rng([seed, *rect])
    pictures = rng.uniform(0, 255, (scenes, 14, 24)).astype(np.float32)
    x, y = rect[0] + 60.0, rect[1] + 20.0
    sitter = Sitter(((x, y, x + 40, y + 50),) * LOOKS, sits, 0.95, 0.99)
    thumbs = pictures[np.arange(LOOKS) * scenes // LOOKS]
    return Watched(Panel(rect, True, False), (sitter,), sits, thumbs, rim, (), 5.0)


def view(*panels):
    looks = np.random.default_rng(0).integers(0, 255, (LOOKS, 180, 320)).astype(np.uint8)
    return View(tuple(range(LOOKS)), panels, (1.0,) * LOOKS, looks)


def chosen(part, witnesses):
    found = film.find(part, SIZE, signs.pooled(part, witnesses, SIZE))
    return part.panels[found.panels[0]].panel.rect, found.confidence


def test_a_film_that_shows_one_face_for_a_while_is_still_where_the_rest_of_the_video_has_it():
    # In this second the film shows a face, while a person has left a panel.
    part = view(
        watched(FILM, sits=1.0, scenes=1, rim=0.1),
        watched(LEFT, sits=0.0, scenes=1, rim=0.1),
        watched(RIGHT, sits=1.0, scenes=1, rim=0.1),
    )
    rest = view(
        watched(FILM, sits=0.3, scenes=4, rim=0.9),
        watched(LEFT, sits=0.9, scenes=1, rim=0.1),
        watched(RIGHT, sits=1.0, scenes=1, rim=0.1),
    )
    assert chosen(part, [Witness(30, part)])[0] == LEFT
    place, confidence = chosen(part, [Witness(30, part), Witness(120, rest)])
    assert place == FILM
    assert confidence >= 0.8


def test_another_grid_does_not_place_the_film():
    here = view(watched(FILM, sits=0.0, scenes=4, rim=0.9), watched(LEFT, sits=1.0, scenes=1, rim=0.1))
    other = view(
        watched((0, 0, 400, 50), sits=1.0, scenes=1, rim=0.1),
        watched((200, 50, 400, 200), sits=0.0, scenes=4, rim=0.9),
        watched((0, 50, 200, 200), sits=1.0, scenes=1, rim=0.1),
    )
    assert chosen(here, [Witness(30, here), Witness(300, other)])[0] == FILM
    assert signs.pooled(here, [Witness(300, other)], SIZE) == signs.pooled(here, [Witness(9, here)], SIZE)


def test_a_film_behind_people_is_no_blur_and_they_are_no_part_of_it():
    people = [watched((x, y, x + 60, y + 60), sits=1.0, scenes=1, rim=0.1) for x in (10, 330) for y in (10, 110)]
    over = [replace(p, panel=replace(p.panel, inset=True), detail=20.0) for p in people]
    behind = replace(watched((0, 0, *SIZE), sits=0.0, scenes=1, rim=0.1), sitters=(), detail=2.0)
    part = view(behind, *over)
    place, _ = chosen(part, [Witness(30, part)])
    assert place == (0, 0, *SIZE)
    known = film.known(part, [TriggerRegion((0.0, 0.0, 400.0, 200.0), "proposed", 0.9)])
    assert known.panels == (0,)
    beside = film.known(part, [TriggerRegion((10.0, 10.0, 70.0, 70.0), "proposed", 0.9)])
    assert beside.panels == (1,)


def beside_a_film(*, sharp, sits):
    """A soft film between two strips of its blur, one of them with as much detail as the film, and a row of people."""
    faint, soft = (
        replace(watched(r, sits=0.0, scenes=4, rim=1.0), sitters=(), detail=d)
        for r, d in (((0, 0, 80, 200), 1.0), ((322, 0, 400, 200), sharp))
    )
    middle = replace(watched((100, 10, 300, 110), sits=sits, scenes=3, rim=0.7), detail=3.4)
    row = [replace(watched((x, 120, x + 60, 190), sits=1.0, scenes=1, rim=0.1), detail=8.0) for x in (90, 170, 250)]
    return view(faint, soft, middle, *row)


def test_a_blur_on_one_side_of_the_screen_is_one_on_the_other():
    part = beside_a_film(sharp=3.0, sits=0.4)
    found = film.find(part, SIZE, signs.pooled(part, [Witness(30, part)], SIZE))
    assert found.panels == (2, 0, 1)
    assert found.confidence >= 0.8


def test_of_two_sides_that_are_all_that_may_be_the_film_one_is_the_film():
    part = beside_a_film(sharp=8.0, sits=0.9)
    assert chosen(part, [Witness(30, part)])[0] == (322, 0, 400, 200)


def portraits(*values):
    """Pictures of panels: a noisy room of a seed, or a plain card where the seed is None."""
    rng = np.random.default_rng(7)
    rooms = {seed: np.random.default_rng(seed).integers(0, 255, (8, 16, 3)) for seed in values if seed is not None}
    made = [
        np.kron(rooms[seed], np.ones((8, 8, 1))) if seed is not None else np.full((64, 128, 3), 90) for seed in values
    ]
    shaken = [p + rng.normal(0, 12, p.shape) if v is not None else p for p, v in zip(made, values, strict=True)]
    return tuple(np.clip(p, 0, 255).astype(np.uint8) for p in shaken)


@pytest.mark.parametrize(
    ("rooms", "looks"),
    [
        ([1] * 5 + [2] * 5, [5]),
        ([1] * 5 + [None] * 2 + [1] * 5, [5, 7]),
        ([1] * 5 + [None] + [1] * 5, []),
        ([1] * 10, []),
    ],
    ids=["replaced", "away for two looks", "one odd look", "stays"],
)
def test_a_seat_changes_where_its_room_does_and_where_it_is_empty_for_a_moment(rooms, looks):
    seat = replace(watched(LEFT, sits=0.8, scenes=1, rim=0.1), portraits=portraits(*rooms))
    assert seats.changes(seat) == looks


def sums_of(values):
    """Of frames that are gray all over, of these values."""
    sums = FrameSums(200, 400)
    sums.add([np.full((200, 400), value, np.uint8) for value in values])
    return sums


def test_a_panel_that_changes_only_where_its_person_leaves_does_not_move_at_its_rim():
    before, after = sums_of([20] * 6), sums_of([200] * 6)
    whole = before.merged(after)
    own = [Span(n * 60, n * 60 + 60, (), whole, (), 1, sums) for n, sums in enumerate((before, after))]
    assert Span(0, 120, (), whole, ()).spread.min() > 80
    assert [part.spread.max() for part in own] == [0, 0]
    left = Witness(120, view(watched(LEFT, sits=0.5, scenes=2, rim=1.0)))
    parts = [(range(s.start, s.end), view(watched(LEFT, sits=1, scenes=1, rim=0.1 * n))) for n, s in enumerate(own)]
    assert signs.calm(left, parts).view.panels[0].rim == pytest.approx(0.05)
    assert signs.calm(left, []).view.panels[0].rim == 1
