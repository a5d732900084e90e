"""Copies of the film: found at their place and size, and only if they exist."""

import cv2
import numpy as np
import pytest
from worlds import noise

from rmset.stages.layout import copies

FILM = (120, 40, 480, 240)
SIZE = (640, 360)


def looks(second=None, *, mirrored=False, later=0, count=8):
    """Small pictures of a screen with an independent film and four people, uint8 (count, 180, 320)."""
    rng = np.random.default_rng(5)
    film = [noise(rng, (FILM[2] - FILM[0], FILM[3] - FILM[1])) for _ in range(count + later)]
    walls = noise(rng, SIZE)
    shown = []
    for number in range(count):
        screen = walls.copy()
        for left in range(0, 640, 160):
            screen[260:350, left + 20 : left + 140] = noise(rng, (120, 90))
        screen[FILM[1] : FILM[3], FILM[0] : FILM[2]] = film[number]
        if second:
            x0, y0, x1, y1 = second
            picture = cv2.resize(film[number + later], (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
            screen[y0:y1, x0:x1] = picture[:, ::-1] if mirrored else picture
        shown.append(cv2.resize(screen, (320, 180), interpolation=cv2.INTER_AREA))
    return np.stack(shown)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("second", [(4, 4, 112, 64), (490, 100, 634, 180), (300, 260, 460, 350)])
def test_a_copy_is_found_at_its_place_and_size(second, mirrored):
    found = copies.find(looks(second, mirrored=mirrored), FILM, SIZE, [])
    assert found.mirrored == mirrored
    assert found.of(FILM) == pytest.approx(second, abs=5)


def test_what_lies_over_the_film_is_left_out_of_the_search():
    over = (240, 100, 330, 180)
    shown = looks((490, 100, 634, 180))
    shown[:, over[1] // 2 : over[3] // 2, over[0] // 2 : over[2] // 2] = np.random.default_rng(0).integers(
        0, 255, (8, 40, 45)
    )
    found = copies.find(shown, FILM, SIZE, [over])
    assert found.of(FILM) == pytest.approx((490, 100, 634, 180), abs=5)


def test_a_film_that_is_shown_once_has_no_copy():
    assert copies.find(looks(), FILM, SIZE, []) is None


def test_the_same_film_some_looks_later_does_not_change_alike():
    assert copies.find(looks((490, 100, 634, 180), later=2), FILM, SIZE, []) is None


def test_few_looks_give_no_copy():
    assert copies.find(looks((490, 100, 634, 180), count=3), FILM, SIZE, []) is None


def test_what_only_grows_lighter_and_darker_with_the_film_is_no_copy():
    rng = np.random.default_rng(2)
    film, still = noise(rng, (180, 100)).astype(np.float32), noise(rng, (320, 180)).astype(np.float32)
    shown = []
    for light in (0.4, 0.9, 0.5, 1.0, 0.7, 0.6, 0.8, 0.5):
        screen = cv2.blur(cv2.resize(film, (320, 180)), (75, 75)) * light
        screen[120:] = still[120:]
        screen[20:120, 60:240] = film * light
        shown.append(screen.astype(np.uint8))
    assert copies.find(np.stack(shown), (120, 40, 480, 240), SIZE, []) is None
