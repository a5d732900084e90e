"""The script of a mashup out of people's own images: moments of one expression, and what each person shows in them.

At a moment everybody who has its expression shows it, after their own delay; the others show something else of theirs,
drawn evenly. With the probability `noise` a person ignores a moment and shows any expression of theirs, so at noise 1
two people agree as often as at two random moments.

A sequence is played there and back over the moment; images without a known order are drawn frame by frame.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmset.synth.panels import PanelFrame

from ..datasets.sources import Bytes
from .scripted_mashup import whole_panel


@dataclass(frozen=True)
class Take:
    """Images of one person with one expression."""

    names: tuple[str, ...]
    in_order: bool
    """Whether they are a sequence in order of time."""

    def name_at(self, frame: int, length: int, rng: np.random.Generator) -> str:
        """Return the image of a frame of a moment that is `length` frames long; `rng` chooses where no order is known.

        >>> take = Take(("a", "b", "c"), in_order=True)
        >>> "".join(take.name_at(k, 6, None) for k in range(6))
        'abccba'
        """
        if not self.in_order:
            return self.names[int(rng.integers(len(self.names)))]
        there = 1 - abs(2 * (frame + 0.5) / length - 1)
        return self.names[min(int(there * len(self.names)), len(self.names) - 1)]


@dataclass(frozen=True)
class Actor:
    """A person and all of their images."""

    name: str
    takes: Mapping[str, tuple[Take, ...]]
    """By expression; at least one take each."""


@dataclass(frozen=True)
class Moment:
    """Part of a film that asks for one expression."""

    start: int
    """Its first frame."""
    end: int
    """The frame after its last."""
    expression: str


@dataclass(frozen=True)
class Course:
    """What one person shows over a film."""

    actor: Actor
    delay: int
    """Frames by which the person lags behind the film."""
    moments: tuple[Moment, ...]
    """In the film's time, without gaps, with the expressions that the person shows."""
    takes: tuple[Take, ...]
    """The take shown in each."""

    def at(self, frame: int) -> tuple[int, int]:
        """Return the moment shown at a frame of the video, and the frame in it; the delay is spent in the first."""
        time = max(0, frame - self.delay)
        k = min(bisect_right(self.moments, time, key=lambda m: m.start), len(self.moments)) - 1
        return k, min(time, self.moments[k].end - 1) - self.moments[k].start


def write_moments(
    rng: np.random.Generator, frames: int, fps: float, expressions: Sequence[str]
) -> tuple[Moment, ...]:  # fmt: skip
    """Draw moments of two to three seconds that fill a film, with every expression once before any repeats."""
    found: list[Moment] = []
    deck: list[str] = []
    start = 0
    while start < frames:
        if not deck:
            deck = [expressions[i] for i in rng.permutation(len(expressions))]
        end = start + max(1, round(float(rng.uniform(2, 3)) * fps))
        # a rest too short to be a moment lengthens the last one
        end = frames if frames - end < 2 * fps else end
        found.append(Moment(start, end, deck.pop()))
        start = end
    return tuple(found)


def play(
    rng: np.random.Generator, actor: Actor, film: Sequence[Moment], *, delay: int, noise: float
) -> Course:  # fmt: skip
    """Draw what a person shows in each moment of a film.

    Args:
        rng: random generator; the same state gives the same course.
        actor: the person.
        film: the moments.
        delay: of the person, frames.
        noise: probability, 0 to 1, that the person ignores a moment.
    """
    shown: list[Moment] = []
    takes: list[Take] = []
    own = sorted(actor.takes)
    for moment in film:
        # both are drawn in every moment, so that noise changes nothing but who ignores
        ignores, other = rng.random() < noise, own[int(rng.integers(len(own)))]
        expression = moment.expression if moment.expression in actor.takes and not ignores else other
        shown.append(Moment(moment.start, moment.end, expression))
        choices = actor.takes[expression]
        takes.append(choices[int(rng.integers(len(choices)))])
    return Course(actor, delay, tuple(shown), tuple(takes))


class ActorPanel:
    """A panel that shows one person over a film."""

    def __init__(self, course: Course, source: Bytes, seed: Sequence[int]) -> None:
        """Take images from `source`; `seed` and frame choose the image where no order is known."""
        self._course, self._source, self._seed = course, source, list(seed)

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the person's image at this frame."""
        k, inside = self._course.at(index)
        moment = self._course.moments[k]
        rng = np.random.default_rng([*self._seed, index])
        name = self._course.takes[k].name_at(inside, moment.end - moment.start, rng)
        return whole_panel(self._source, name, moment.expression, size)

    def loop_points(self, frames: int) -> tuple[int, ...]:
        """Frames at which a sequence turns or another begins."""
        turns = set()
        for moment in self._course.moments:
            turns |= {moment.start, (moment.start + moment.end) // 2}
        return tuple(sorted(t + self._course.delay for t in turns if 0 < t + self._course.delay < frames))
