"""Edits of panels: corners, lines, backgrounds, and two people in one panel."""

from __future__ import annotations

from dataclasses import replace

from rmset.synth.edits.draws import Rng, area, each_layer, even, is_person, overlap
from rmset.synth.layouts import MIN_PANEL, IntBox
from rmset.synth.scene import FILM, Layer, Scene, Shot


def rounded(scene: Scene, rng: Rng) -> Scene:
    """Round the corners, leave gaps, and show a moving gradient behind."""
    gap = even(rng.uniform(0.008, 0.016) * min(scene.frame_size))
    radius = even(rng.uniform(0.02, 0.045) * min(scene.frame_size))
    scene = each_layer(
        scene, lambda la: replace(la, box=_shrunk(la.box, gap), shape="round" if la.shape == "round" else "rounded",
                                  radius=radius),
    )  # fmt: skip
    return replace(scene, shots=tuple(replace(s, background="gradient") for s in scene.shots))


def _shrunk(box: IntBox, by: int) -> IntBox:
    x0, y0, x1, y1 = box
    return (x0 + by, y0 + by, x1 - by, y1 - by) if min(x1 - x0, y1 - y0) - 2 * by >= MIN_PANEL else box


def bubbles(scene: Scene, rng: Rng) -> Scene:
    """Show every person in a circle."""
    line = int(rng.integers(2, 6))

    def bubble(layer: Layer) -> Layer:
        if not is_person(layer):
            return layer
        x0, y0, x1, y1 = layer.box
        side = even(0.96 * min(x1 - x0, y1 - y0))
        left, top = even((x0 + x1 - side) / 2), even((y0 + y1 - side) / 2)
        return replace(layer, box=(left, top, left + side, top + side), shape="round", border=line)

    scene = each_layer(scene, bubble)
    return replace(scene, shots=tuple(replace(s, background="gradient") for s in scene.shots))


def borders(scene: Scene, rng: Rng) -> Scene:
    """Draw lines of changing color around panels."""
    line = int(rng.integers(4, 9))
    return each_layer(scene, lambda la: replace(la, border=line, glows=True) if is_person(la) else la)


def own_blur(scene: Scene, rng: Rng) -> Scene:  # noqa: ARG001 - nothing is left to chance
    """Show people over a blur of their own picture, as for upright phone videos."""
    return each_layer(scene, lambda la: replace(la, own_blur=True) if is_person(la) and la.shape != "round" else la)


def letterbox(scene: Scene, rng: Rng) -> Scene:
    """Put black bars above and below the film, inside its panel."""
    share = float(rng.uniform(0.08, 0.14))
    return each_layer(scene, lambda la: la if is_person(la) else replace(la, bars=share))


def duo(scene: Scene, rng: Rng) -> Scene:  # noqa: ARG001
    """Put the last two people into one panel, a half each, with a soft seam."""
    if len(scene.people) < 3:
        return scene
    host, guest = scene.people[-2:]

    def shared(shot: Shot) -> Shot:
        mine = next((la for la in shot.layers if la.content == host), None)
        if mine is None:
            return shot
        x0, y0, x1, y1 = mine.box
        middle, soft = (x0 + x1) // 4 * 2, (x1 - x0) // 16 * 2
        halves = (
            replace(mine, box=(x0, y0, middle + soft, y1), panel=mine.box, shape="box"),
            replace(mine, content=guest, box=(middle - soft, y0, x1, y1), panel=mine.box, shape="box"),
        )
        rest = [la for la in shot.layers if la.content not in (host, guest)]
        films = [la for la in rest if la.content == FILM and _lies_over(la.box, mine.box)]
        return replace(shot, layers=(*[la for la in rest if la not in films], *halves, *films))

    return replace(scene, shots=tuple(shared(s) for s in scene.shots))


def _lies_over(one: IntBox, other: IntBox) -> bool:
    """Whether a box shares pixels with another and is the smaller one."""
    return overlap(one, other) and area(one) < area(other)
