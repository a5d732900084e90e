"""Edits of the screen: upright, square, or filled by the film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rmset.synth.edits.draws import Rng, even
from rmset.synth.layouts import IntBox
from rmset.synth.scene import FILM, Layer, Scene, Shape, Shot


def vertical(scene: Scene, rng: Rng) -> Scene:
    """Turn the screen upright: the film above, people in rows of different heights."""
    width, height = sorted(scene.frame_size)
    return _rows(scene, (width, height), rng)


def square(scene: Scene, rng: Rng) -> Scene:
    """Make the screen square: the film above, people in rows of different heights."""
    side = min(scene.frame_size)
    return _rows(scene, (side, side), rng)


def _rows(scene: Scene, size: tuple[int, int], rng: Rng) -> Scene:
    width, height = size
    people = list(scene.people)
    film: IntBox = (0, 0, width, even(min(width * 9 / 16, 0.4 * height)))
    rows = max(1, round(len(people) / 2))
    heights = rng.uniform(0.8, 1.25, rows)
    lines = film[3] + np.concatenate([[0], np.cumsum(heights)]) / heights.sum() * (height - film[3])
    parts = np.array_split(np.array(people), rows)
    layers = []
    for row, members in enumerate(parts):
        top, bottom = even(lines[row]), even(lines[row + 1])
        sides = [even(v) for v in np.linspace(0, width, len(members) + 1)]
        layers += [Layer(int(p), (sides[i], top, sides[i + 1], bottom)) for i, p in enumerate(members)]
    shot = Shot(0, scene.frames, (*layers, Layer(FILM, film)))
    return replace(scene, frame_size=size, shots=(shot,))


def film_full(scene: Scene, rng: Rng) -> Scene:
    """Fill the screen with the film, and lay people over it: bubbles along one side, boxes along the other."""
    width, height = scene.frame_size
    people = list(scene.people)
    left = people[: (len(people) + 1) // 2]
    side = even(min(0.3 * height, 0.92 * height / len(left)))
    gap = even(0.02 * height)
    layers = [Layer(FILM, (0, 0, width, height))]
    round_ones: Shape = "round" if rng.random() < 0.8 else "rounded"
    for members, at_right, shape in ((left, False, round_ones), (people[len(left) :], True, "box")):
        for place, person in enumerate(members):
            x0 = width - side - gap if at_right else gap
            y0 = even(height / 2 + (place - len(members) / 2) * (side + gap / 2))
            y0 = min(max(0, y0), height - side)
            layers.append(Layer(person, (x0, y0, x0 + side, y0 + side), shape, side // 6, max(2, side // 48)))
    return replace(scene, shots=(Shot(0, scene.frames, tuple(layers)),))
