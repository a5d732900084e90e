"""Edits over the picture (captions, countdown, stickers, end card), and compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from rmset.synth.edits.draws import Rng, area, even, is_person, moment, overlap, seconds
from rmset.synth.layouts import IntBox
from rmset.synth.scene import FILM, Overlay, Scene, Shot


def captions(scene: Scene, rng: Rng) -> Scene:
    """Put changing captions at the bottom of the screen."""
    width, height = scene.frame_size
    y0 = even(height * rng.uniform(0.86, 0.9))
    box = (even(0.15 * width), y0, even(0.85 * width), even(y0 + 0.08 * height))
    return _over(scene, Overlay("caption", box, 0, scene.frames, int(rng.integers(100))))


def countdown(scene: Scene, rng: Rng) -> Scene:
    """Lay a countdown over a corner of the film."""
    film = next(la.box for la in scene.shots[-1].layers if la.content == FILM)
    side = even(0.22 * min(film[2] - film[0], film[3] - film[1]))
    x0, y0 = (film[0] + 6, film[1] + 6) if rng.random() < 0.5 else (film[2] - side - 6, film[1] + 6)
    start = moment(scene, rng, 0.2, 0.5)
    return _over(scene, Overlay("countdown", (x0, y0, x0 + side, y0 + side), start, scene.frames))


def stickers(scene: Scene, rng: Rng) -> Scene:
    """Show discs for a while, also across edges of panels."""
    width, height = scene.frame_size
    side = even(0.13 * height)
    for _ in range(3):
        x0, y0 = even(rng.uniform(0, width - side)), even(rng.uniform(0, height - side))
        start = moment(scene, rng, 0.1, 0.8)
        end = min(scene.frames, start + seconds(scene, rng.uniform(0.7, 1.6)))
        scene = _over(scene, Overlay("sticker", (x0, y0, x0 + side, y0 + side), start, end, int(rng.integers(1000))))
    return scene


def end_card(scene: Scene, rng: Rng) -> Scene:
    """Lay a card over two people's panels in the last quarter."""
    people = [la for la in scene.shots[-1].layers if is_person(la)]
    if len(people) < 3:
        return scene
    films = [la.box for la in scene.shots[-1].layers if la.content == FILM]
    pairs = [
        [one.box, other.box]
        for one, other in combinations(people, 2)
        if _side_by_side([one.box, other.box]) and not any(overlap(_around([one.box, other.box]), f) for f in films)
    ]
    # Two neighbors, so that the film stays visible; one person if no two are neighbors.
    boxes = pairs[int(rng.integers(len(pairs)))] if pairs else [people[int(rng.integers(len(people)))].box]
    box = _around(boxes)
    start = scene.frames - min(seconds(scene, 4.0), scene.frames // 4)
    covered = {la.content for la in people if _inside(la.box, box)}

    def without(shot: Shot) -> Shot:
        return replace(shot, layers=tuple(la for la in shot.layers if la.content not in covered))

    scene = scene.during(start, scene.frames, without)
    return _over(scene, Overlay("end card", box, start, scene.frames, int(rng.integers(1000))))


def _around(boxes: Sequence[IntBox]) -> IntBox:
    """Return the bounding box of some boxes."""
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )


def _side_by_side(boxes: Sequence[IntBox]) -> bool:
    """Whether two boxes are neighbors in one row or one column."""
    (a, b) = boxes
    whole = _around(boxes)
    return area(whole) <= 1.3 * (area(a) + area(b))


def _inside(inner: IntBox, outer: IntBox) -> bool:
    return all((inner[0] >= outer[0], inner[1] >= outer[1], inner[2] <= outer[2], inner[3] <= outer[3]))


def _over(scene: Scene, overlay: Overlay) -> Scene:
    return replace(scene, overlays=(*scene.overlays, overlay))


def low_bitrate(scene: Scene, rng: Rng) -> Scene:
    """Lower the bitrate."""
    return replace(scene, crf=int(rng.integers(33, 37)))
