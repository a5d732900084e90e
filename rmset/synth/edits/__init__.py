"""What editors do to a mashup: named, seeded edits of a scene that can be put together.

    format      vertical, square, film-full          another screen, or the film over all of it
    panels      rounded, bubbles, borders, own-blur, letterbox, duo
    time        punch-ins, jump-cuts, film-cuts, leave, swap, replace
    moments     fade, title, moment, film-moment
    over it     captions, countdown, stickers, end-card
    encoding    low-bitrate

Edits are applied in the order of `EDITS`, whatever the order of their names, so that a moment shows shaped panels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rmset.errors import UsageError
from rmset.synth.edits import cover, events, panels, screens
from rmset.synth.edits.draws import Rng
from rmset.synth.scene import Scene

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


EDITS: dict[str, _Named] = {
    "vertical": _Named(screens.vertical, group="format"),
    "square": _Named(screens.square, group="format"),
    "film-full": _Named(screens.film_full, group="format"),
    "rounded": _Named(panels.rounded, group="corners"),
    "bubbles": _Named(panels.bubbles, group="corners"),
    "borders": _Named(panels.borders),
    "own-blur": _Named(panels.own_blur),
    "letterbox": _Named(panels.letterbox),
    "duo": _Named(panels.duo),
    "punch-ins": _Named(events.punch_ins),
    "jump-cuts": _Named(events.jump_cuts),
    "film-cuts": _Named(events.film_cuts),
    "leave": _Named(events.leave),
    "swap": _Named(events.swap),
    "replace": _Named(events.replace_person, extra_people=1),
    "end-card": _Named(cover.end_card),
    "fade": _Named(events.fade),
    "moment": _Named(events.person_moment),
    "film-moment": _Named(events.film_moment),
    "title": _Named(events.title),
    "captions": _Named(cover.captions),
    "countdown": _Named(cover.countdown),
    "stickers": _Named(cover.stickers),
    "low-bitrate": _Named(cover.low_bitrate),
}
"""name -> edit, in the order in which they are applied"""


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
