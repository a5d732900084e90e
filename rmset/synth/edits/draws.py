"""Random draws of edits, and helpers for layers and boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rmset.synth.layouts import IntBox
from rmset.synth.scene import FILM, Layer, Scene

Rng = np.random.Generator


def each_layer(scene: Scene, change: Callable[[Layer], Layer]) -> Scene:
    shots = tuple(replace(s, layers=tuple(change(layer) for layer in s.layers)) for s in scene.shots)
    return replace(scene, shots=shots)


def is_person(layer: Layer) -> bool:
    return layer.content != FILM


def some(people: Sequence[int], rng: Rng) -> list[int]:
    """Draw a third to two thirds of the people."""
    count = max(1, round(len(people) * rng.uniform(0.34, 0.67)))
    return sorted(int(p) for p in rng.choice(people, count, replace=False))


def moment(scene: Scene, rng: Rng, early: float, late: float) -> int:
    """Draw a frame between `early` and `late`, which are shares of the scene's length."""
    return min(scene.frames - 1, max(1, round(scene.frames * float(rng.uniform(early, late)))))


def seconds(scene: Scene, seconds: float) -> int:
    return max(1, round(seconds * scene.fps))


def even(value: float) -> int:
    return int(value) // 2 * 2


def area(box: IntBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(one: IntBox, other: IntBox) -> bool:
    """Whether two boxes share pixels."""
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])
