"""Edits of a mashup as editors make them: named, seeded, and combinable.

    format      vertical, square, film-full          another screen, or the film over all of it
    panels      rounded, bubbles, borders, own-blur, letterbox, duo
    time        punch-ins, jump-cuts, film-cuts, leave, swap, replace
    moments     fade, title, moment, film-moment
    over it     captions, countdown, stickers, end-card
    encoding    low-bitrate

Edits are always applied in the order of `EDITS`, so that a later "moment" shows shaped panels.
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
# Fewest and most edits that `random` combines.
_FEWEST, _MOST = 2, 5


@dataclass(frozen=True)
class _Named:
    """An edit with its properties for the command line."""

    apply: Edit
    extra_people: int = 0
    """people that the edit adds to those of the layout"""
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
    """Return the names of edits in the order of application; `random` draws some.

    Args:
        names: names of `EDITS`, or `random` alone.
        seed: seed of the draw.
        spare_people: people available beyond those of the layout; `random` takes no edit that needs more.

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
    """Sum of the people that the edits add to those of the layout."""
    return sum(EDITS[name].extra_people for name in names)


def edited(scene: Scene, names: Sequence[str], seed: int) -> Scene:
    """Apply the edits of these names to a scene; the same seed gives the same scene.

    An edit's random draws do not depend on the other edits.
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
