"""What editors do to a mashup: named, seeded edits of a scene that can be put together.

    format      vertical, square, film-full          another screen, or the film over all of it
    panels      rounded, bubbles, borders, gaps, own-blur, letterbox, duo
    time        punch-ins, jump-cuts, film-cuts, leave, swap, replace
    moments     fade, title, moment, film-moment
    over it     captions, countdown, stickers, end-card
    encoding    low-bitrate

Edits are applied in the order of `EDITS`, whatever the order of their names, so that a moment shows shaped panels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rmset.errors import UsageError
from rmset.synth.layouts import MIN_PANEL, IntBox
from rmset.synth.scene import FILM, Content, Cut, Layer, Overlay, Scene, Shape, Shot

Rng = np.random.Generator
Edit = Callable[[Scene, Rng], Scene]
RANDOM = "random"
# How many edits `random` puts together.
_FEWEST, _MOST = 2, 5


@dataclass(frozen=True)
class _Named:
    """An edit with what the command line has to know of it."""

    apply: Edit
    extra_people: int = 0
    """people beyond the layout's whom it brings in"""
    group: str = ""
    """edits of one group exclude each other"""


def choose(names: Sequence[str], seed: int, spare_people: int) -> tuple[str, ...]:
    """Return the edits of these names in the order in which they are applied; `random` draws some.

    Args:
        names: names of `EDITS`, or `random` alone.
        seed: of the draw.
        spare_people: how many people there are beyond the layout's; `random` takes no edit that needs more.

    Raises:
        UsageError: an unknown name, or two edits that exclude each other.
    """
    if list(names) == [RANDOM]:
        return _draw(np.random.default_rng([seed, 41]), spare_people)
    for name in names:
        if name not in EDITS:
            raise UsageError(f"--edits {name}: unknown; expected {RANDOM} or some of {', '.join(EDITS)}")
    chosen = tuple(name for name in EDITS if name in names)
    for group in {EDITS[n].group for n in chosen} - {""}:
        rivals = [n for n in chosen if EDITS[n].group == group]
        if len(rivals) > 1:
            raise UsageError(f"--edits: expected one of {' and '.join(rivals)}, found both; they shape the same thing")
    return chosen


def extra_people(names: Sequence[str]) -> int:
    """How many people beyond the layout's the edits bring in."""
    return sum(EDITS[name].extra_people for name in names)


def edited(scene: Scene, names: Sequence[str], seed: int) -> Scene:
    """Return the scene after the edits of these names; the same seed gives the same scene.

    An edit's draw does not depend on which other edits are made.
    """
    for name in names:
        number = list(EDITS).index(name)
        scene = EDITS[name].apply(scene, np.random.default_rng([seed, 43, number]))
    return scene


def _draw(rng: Rng, spare_people: int) -> tuple[str, ...]:
    chosen: list[str] = []
    wanted = int(rng.integers(_FEWEST, _MOST + 1))
    for name in (list(EDITS)[i] for i in rng.permutation(len(EDITS))):
        edit = EDITS[name]
        taken = any(EDITS[c].group == edit.group and edit.group for c in chosen)
        if not taken and edit.extra_people + extra_people(chosen) <= spare_people:
            chosen.append(name)
        if len(chosen) == wanted:
            break
    return tuple(name for name in EDITS if name in chosen)


# Another screen.


def _vertical(scene: Scene, rng: Rng) -> Scene:
    """Return the screen turned upright: the film above, people in rows of different heights."""
    width, height = sorted(scene.frame_size)
    return _rows(scene, (width, height), rng)


def _square(scene: Scene, rng: Rng) -> Scene:
    """Return a square screen: the film above, people in rows of different heights."""
    side = min(scene.frame_size)
    return _rows(scene, (side, side), rng)


def _rows(scene: Scene, size: tuple[int, int], rng: Rng) -> Scene:
    width, height = size
    people = list(scene.people)
    film: IntBox = (0, 0, width, _even(min(width * 9 / 16, 0.4 * height)))
    rows = max(1, round(len(people) / 2))
    heights = rng.uniform(0.8, 1.25, rows)
    lines = film[3] + np.concatenate([[0], np.cumsum(heights)]) / heights.sum() * (height - film[3])
    parts = np.array_split(np.array(people), rows)
    layers = []
    for row, members in enumerate(parts):
        top, bottom = _even(lines[row]), _even(lines[row + 1])
        sides = [_even(v) for v in np.linspace(0, width, len(members) + 1)]
        layers += [Layer(int(p), (sides[i], top, sides[i + 1], bottom)) for i, p in enumerate(members)]
    shot = Shot(0, scene.frames, (*layers, Layer(FILM, film)))
    return replace(scene, frame_size=size, shots=(shot,))


def _film_full(scene: Scene, rng: Rng) -> Scene:
    """Return the film over the whole screen, people over it: round bubbles along one side, boxes along the other."""
    width, height = scene.frame_size
    people = list(scene.people)
    left = people[: (len(people) + 1) // 2]
    side = _even(min(0.3 * height, 0.92 * height / len(left)))
    gap = _even(0.02 * height)
    layers = [Layer(FILM, (0, 0, width, height))]
    round_ones: Shape = "round" if rng.random() < 0.8 else "rounded"
    for members, at_right, shape in ((left, False, round_ones), (people[len(left) :], True, "box")):
        for place, person in enumerate(members):
            x0 = width - side - gap if at_right else gap
            y0 = _even(height / 2 + (place - len(members) / 2) * (side + gap / 2))
            y0 = min(max(0, y0), height - side)
            layers.append(Layer(person, (x0, y0, x0 + side, y0 + side), shape, side // 6, max(2, side // 48)))
    return replace(scene, shots=(Shot(0, scene.frames, tuple(layers)),))


# Panels.


def _each(scene: Scene, change: Callable[[Layer], Layer]) -> Scene:
    shots = tuple(replace(s, layers=tuple(change(layer) for layer in s.layers)) for s in scene.shots)
    return replace(scene, shots=shots)


def _is_person(layer: Layer) -> bool:
    return layer.content != FILM


def _shrunk(box: IntBox, by: int) -> IntBox:
    x0, y0, x1, y1 = box
    return (x0 + by, y0 + by, x1 - by, y1 - by) if min(x1 - x0, y1 - y0) - 2 * by >= MIN_PANEL else box


def _rounded(scene: Scene, rng: Rng) -> Scene:
    """Round the corners, leave gaps, and move a gradient behind."""
    gap = _even(rng.uniform(0.008, 0.016) * min(scene.frame_size))
    radius = _even(rng.uniform(0.02, 0.045) * min(scene.frame_size))
    scene = _each(
        scene, lambda la: replace(la, box=_shrunk(la.box, gap), shape="round" if la.shape == "round" else "rounded",
                                  radius=radius),
    )  # fmt: skip
    return replace(scene, shots=tuple(replace(s, background="gradient") for s in scene.shots))


def _bubbles(scene: Scene, rng: Rng) -> Scene:
    """Every person in a circle."""
    line = int(rng.integers(2, 6))

    def bubble(layer: Layer) -> Layer:
        if not _is_person(layer):
            return layer
        x0, y0, x1, y1 = layer.box
        side = _even(0.96 * min(x1 - x0, y1 - y0))
        left, top = _even((x0 + x1 - side) / 2), _even((y0 + y1 - side) / 2)
        return replace(layer, box=(left, top, left + side, top + side), shape="round", border=line)

    scene = _each(scene, bubble)
    return replace(scene, shots=tuple(replace(s, background="gradient") for s in scene.shots))


def _borders(scene: Scene, rng: Rng) -> Scene:
    """Lines around panels that change color all the time."""
    line = int(rng.integers(4, 9))
    return _each(scene, lambda la: replace(la, border=line, glows=True) if _is_person(la) else la)


def _own_blur(scene: Scene, rng: Rng) -> Scene:  # noqa: ARG001 - nothing is left to chance
    """People over a blur of their own picture, as upright phones are shown."""
    return _each(scene, lambda la: replace(la, own_blur=True) if _is_person(la) and la.shape != "round" else la)


def _letterbox(scene: Scene, rng: Rng) -> Scene:
    """Black bars above and below the film, inside its panel."""
    share = float(rng.uniform(0.08, 0.14))
    return _each(scene, lambda la: la if _is_person(la) else replace(la, bars=share))


def _duo(scene: Scene, rng: Rng) -> Scene:  # noqa: ARG001
    """Return the last two people share one panel, a half each, with a soft seam."""
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
    shared = min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])
    return shared and _area(one) < _area(other)


def _area(box: IntBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


# Time.


def _punch_ins(scene: Scene, rng: Rng) -> Scene:
    """Bring some people closer at once, and back again."""
    for person in _some(scene.people, rng):
        frame = _moment(scene, rng, 0.15, 0.7)
        back = min(scene.frames - 1, frame + _seconds(scene, rng.uniform(1.0, 2.5)))
        zoom = float(rng.uniform(1.15, 1.5))
        closer = Cut(frame, zoom, (float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.5))))
        scene = scene.with_cuts(person, closer, Cut(back))
    return scene


def _jump_cuts(scene: Scene, rng: Rng) -> Scene:
    """Let some people jump ahead in their own time."""
    for person in _some(scene.people, rng):
        ahead = 0
        for frame in sorted(_moment(scene, rng, 0.1, 0.9) for _ in range(2)):
            ahead += _seconds(scene, rng.uniform(0.7, 3.0))
            scene = scene.with_cuts(person, Cut(frame, skip=ahead))
    return scene


def _film_cuts(scene: Scene, rng: Rng) -> Scene:
    """Return the film cuts every one to three seconds: to another time, closer or wider, elsewhere in its picture."""
    frame = 0
    while frame < scene.frames:
        at = (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.25, 0.75)))
        zoom = float(rng.choice([1.0, rng.uniform(1.2, 1.9)]))
        scene = scene.with_cuts(FILM, Cut(frame, zoom, at, _seconds(scene, rng.uniform(0, 20))))
        frame += _seconds(scene, rng.uniform(1.0, 3.0))
    return scene


def _leave(scene: Scene, rng: Rng) -> Scene:
    """One person leaves and comes back two seconds later or more."""
    person = int(rng.choice(scene.people))
    start = _moment(scene, rng, 0.2, 0.5)
    end = min(scene.frames, start + _seconds(scene, rng.uniform(2.0, 3.0)))
    return replace(scene, away={**scene.away, person: (*scene.away.get(person, ()), (start, end))})


def _swap(scene: Scene, rng: Rng) -> Scene:
    """Two people change places."""
    if len(scene.people) < 2:
        return scene
    one, other = (int(p) for p in rng.choice(scene.people, 2, replace=False))
    names = {one: other, other: one}
    return _renamed(scene, _moment(scene, rng, 0.35, 0.65), names)


def _replace(scene: Scene, rng: Rng) -> Scene:
    """One person's place is taken by somebody new."""
    old = int(rng.choice(scene.people))
    return _renamed(scene, _moment(scene, rng, 0.35, 0.65), {old: max(scene.people) + 1})


def _renamed(scene: Scene, start: int, names: dict[int, int]) -> Scene:
    def change(shot: Shot) -> Shot:
        def renamed(layer: Layer) -> Layer:
            if isinstance(layer.content, int) and layer.content in names:
                return replace(layer, content=names[layer.content])
            return layer

        return replace(shot, layers=tuple(renamed(la) for la in shot.layers))

    return scene.during(start, scene.frames, change)


# Moments.


def _fade(scene: Scene, rng: Rng) -> Scene:
    """Return the film alone at first, after the title if there is one; then the panels fade in."""
    start = min(scene.frames // 3, _seconds(scene, rng.uniform(3.0, 4.0)))
    width, height = scene.frame_size
    alone = (Layer(FILM, (0, 0, width, height)),)
    scene = scene.during(0, start, lambda s: replace(s, layers=alone, background="black"))
    blend = _seconds(scene, rng.uniform(0.4, 0.8))
    return replace(scene, shots=tuple(replace(s, fade=blend) if s.start == start else s for s in scene.shots))


def _title(scene: Scene, rng: Rng) -> Scene:
    """Return a title card with somebody's picture at the beginning."""
    end = min(scene.frames // 6, _seconds(scene, rng.uniform(1.2, 2.0)))
    face = int(rng.choice(scene.people))
    return scene.during(0, end, lambda s: replace(s, title="REACTION MASHUP", face=face, fade=0))


def _moment_of(scene: Scene, rng: Rng) -> Scene:
    """One person full screen for three seconds."""
    person = int(rng.choice([p for p in scene.people if any(la.content == p for la in scene.shots[-1].layers)]))
    return _full_screen(scene, rng, person)


def _film_moment(scene: Scene, rng: Rng) -> Scene:
    """Return the film full screen for three seconds."""
    return _full_screen(scene, rng, None)


def _full_screen(scene: Scene, rng: Rng, person: int | None) -> Scene:
    width, height = scene.frame_size
    start = _moment(scene, rng, 0.45, 0.6)
    end = min(scene.frames - 1, start + min(_seconds(scene, 3.0), scene.frames // 4))
    content: Content = FILM if person is None else person
    layer = Layer(content, (0, 0, width, height))
    return scene.during(start, end, lambda s: s if s.title else replace(s, layers=(layer,), background="black"))


# Over it.


def _captions(scene: Scene, rng: Rng) -> Scene:
    """Words at the foot of the screen that change."""
    width, height = scene.frame_size
    y0 = _even(height * rng.uniform(0.86, 0.9))
    box = (_even(0.15 * width), y0, _even(0.85 * width), _even(y0 + 0.08 * height))
    return _over(scene, Overlay("caption", box, 0, scene.frames, int(rng.integers(100))))


def _countdown(scene: Scene, rng: Rng) -> Scene:
    """Return a countdown over a corner of the film."""
    film = next(la.box for la in scene.shots[-1].layers if la.content == FILM)
    side = _even(0.22 * min(film[2] - film[0], film[3] - film[1]))
    x0, y0 = (film[0] + 6, film[1] + 6) if rng.random() < 0.5 else (film[2] - side - 6, film[1] + 6)
    start = _moment(scene, rng, 0.2, 0.5)
    return _over(scene, Overlay("countdown", (x0, y0, x0 + side, y0 + side), start, scene.frames))


def _stickers(scene: Scene, rng: Rng) -> Scene:
    """Discs that come and go, across the edges of panels too."""
    width, height = scene.frame_size
    side = _even(0.13 * height)
    for _ in range(3):
        x0, y0 = _even(rng.uniform(0, width - side)), _even(rng.uniform(0, height - side))
        start = _moment(scene, rng, 0.1, 0.8)
        end = min(scene.frames, start + _seconds(scene, rng.uniform(0.7, 1.6)))
        scene = _over(scene, Overlay("sticker", (x0, y0, x0 + side, y0 + side), start, end, int(rng.integers(1000))))
    return scene


def _end_card(scene: Scene, rng: Rng) -> Scene:
    """Return a card over two people's panels in the last quarter."""
    people = [la for la in scene.shots[-1].layers if _is_person(la)]
    if len(people) < 3:
        return scene
    films = [la.box for la in scene.shots[-1].layers if la.content == FILM]
    pairs = [
        [one.box, other.box]
        for one, other in combinations(people, 2)
        if _side_by_side([one.box, other.box]) and not any(_shares(_around([one.box, other.box]), f) for f in films)
    ]
    # Two neighbors, so that the film is seen to the end; one person where no two are neighbors.
    boxes = pairs[int(rng.integers(len(pairs)))] if pairs else [people[int(rng.integers(len(people)))].box]
    box = _around(boxes)
    start = scene.frames - min(_seconds(scene, 4.0), scene.frames // 4)
    covered = {la.content for la in people if _inside(la.box, box)}

    def without(shot: Shot) -> Shot:
        return replace(shot, layers=tuple(la for la in shot.layers if la.content not in covered))

    scene = scene.during(start, scene.frames, without)
    return _over(scene, Overlay("end card", box, start, scene.frames, int(rng.integers(1000))))


def _around(boxes: Sequence[IntBox]) -> IntBox:
    """Return the box around some boxes."""
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
    return _area(whole) <= 1.3 * (_area(a) + _area(b))


def _shares(one: IntBox, other: IntBox) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


def _inside(inner: IntBox, outer: IntBox) -> bool:
    return all((inner[0] >= outer[0], inner[1] >= outer[1], inner[2] <= outer[2], inner[3] <= outer[3]))


def _over(scene: Scene, overlay: Overlay) -> Scene:
    return replace(scene, overlays=(*scene.overlays, overlay))


def _low_bitrate(scene: Scene, rng: Rng) -> Scene:
    """Compressed hard."""
    return replace(scene, crf=int(rng.integers(33, 37)))


def _some(people: Sequence[int], rng: Rng) -> list[int]:
    """Return a third to two thirds of the people."""
    count = max(1, round(len(people) * rng.uniform(0.34, 0.67)))
    return sorted(int(p) for p in rng.choice(people, count, replace=False))


def _moment(scene: Scene, rng: Rng, early: float, late: float) -> int:
    """Return a frame in a part of the scene, given as shares of its length."""
    return min(scene.frames - 1, max(1, round(scene.frames * float(rng.uniform(early, late)))))


def _seconds(scene: Scene, seconds: float) -> int:
    return max(1, round(seconds * scene.fps))


def _even(value: float) -> int:
    return int(value) // 2 * 2


EDITS: dict[str, _Named] = {
    "vertical": _Named(_vertical, group="format"),
    "square": _Named(_square, group="format"),
    "film-full": _Named(_film_full, group="format"),
    "rounded": _Named(_rounded, group="corners"),
    "bubbles": _Named(_bubbles, group="corners"),
    "borders": _Named(_borders),
    "own-blur": _Named(_own_blur),
    "letterbox": _Named(_letterbox),
    "duo": _Named(_duo),
    "punch-ins": _Named(_punch_ins),
    "jump-cuts": _Named(_jump_cuts),
    "film-cuts": _Named(_film_cuts),
    "leave": _Named(_leave),
    "swap": _Named(_swap),
    "replace": _Named(_replace, extra_people=1),
    "end-card": _Named(_end_card),
    "fade": _Named(_fade),
    "moment": _Named(_moment_of),
    "film-moment": _Named(_film_moment),
    "title": _Named(_title),
    "captions": _Named(_captions),
    "countdown": _Named(_countdown),
    "stickers": _Named(_stickers),
    "low-bitrate": _Named(_low_bitrate),
}
"""name -> edit, in the order in which they are applied"""
