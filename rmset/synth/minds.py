"""A crowd that reacts to the film with a chosen rate of noise.

RMFER assumes that people react alike at the same moment. Here each person reacts to each event of the film with
probability 1 - noise. A person who does not react shows expressions of their own, independent of the film, instead of
a neutral face. So at noise 1 people agree exactly as often as by chance, and every loss of purity between noise 0 and
1 is due to the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.script import NAMED_FROM, Script, write_script


class Story(Protocol):
    """Expressions of people over time."""

    def expression_at(self, person: int, frame: int) -> tuple[str, float]:
        """(expression, intensity 0 to 1) of a person at a frame."""

    def label_at(self, person: int, frame: int) -> str:
        """Return the name of the expression; "neutral" while it is too weak to be seen."""


@dataclass(frozen=True)
class Mind:
    """One person's own course of expressions, shown while they do not follow the film."""

    script: Script
    """script of this person alone"""
    offset: int
    """frame of that script at which the video begins; random, so that people are not in phase"""


@dataclass(frozen=True)
class Crowd:
    """A story of a film's script and of each person's own expressions."""

    film: Script
    """events, with the people who follow each and their delays"""
    minds: tuple[Mind, ...]
    """one for each reactor"""
    fade: int
    """frames over which a person's own expression fades in or out next to an event they follow"""

    def expression_at(self, person: int, frame: int) -> tuple[str, float]:
        """(expression, intensity 0 to 1) of a person at a frame."""
        reactor, mind = self.film.reactors[person], self.minds[person]
        time = frame - reactor.delay
        slot, start, end = self._slot(time)
        if reactor.reacts[slot]:
            return self.film.expression_at(person, frame)
        # Between two events that the person does not follow nothing fades: their own expressions continue.
        changes = [at for at, other in ((start, slot - 1), (end, slot + 1)) if self._follows(person, other)]
        near = min((abs(time - at) for at in changes), default=self.fade)
        expression, intensity = mind.script.expression_at(0, frame + mind.offset)
        return expression, intensity * min(1.0, near / self.fade)

    def label_at(self, person: int, frame: int) -> str:
        """Return the name of the expression; "neutral" while it is too weak to be seen."""
        expression, intensity = self.expression_at(person, frame)
        return expression if intensity >= NAMED_FROM else "neutral"

    def _slot(self, time: int) -> tuple[int, float, float]:
        """Find the event nearest to a frame of the film, and the start and end of its slot."""
        events = self.film.events
        edges = [(a.end + b.onset) / 2 for a, b in pairwise(events)]
        slot = int(np.searchsorted(edges, time, side="right"))
        bounds = (-np.inf, *edges, np.inf)
        return slot, bounds[slot], bounds[slot + 1]

    def _follows(self, person: int, slot: int) -> bool:
        reacts = self.film.reactors[person].reacts
        return 0 <= slot < len(reacts) and reacts[slot]


def gather(
    rng: np.random.Generator, people: int, frames: int, fps: float, *, max_delay: int, noise: float,
    expressions: tuple[str, ...] = EXPRESSIONS[1:],
) -> Crowd:  # fmt: skip
    """Draw a crowd in front of a film.

    Args:
        rng: random generator; the same state gives the same crowd.
        people: number of people.
        frames: length of the film; a film shorter than two seconds has no events.
        fps: frames per second.
        max_delay: longest delay of a person, frames; delays are uniform from 0 to this.
        noise: probability, 0 to 1, that a person does not follow an event.
        expressions: expressions besides the neutral face.
    """
    story, inner = rng.spawn(2)
    film = write_script(story, people, frames, fps, max_delay=max_delay, indifference=noise,
                        expressions=expressions)  # fmt: skip
    lead = round(20 * fps)
    minds = []
    for own in inner.spawn(people):
        script = write_script(own, 1, frames + lead + max_delay, fps, max_delay=0, indifference=0.0,
                              expressions=expressions)  # fmt: skip
        minds.append(Mind(script, int(own.integers(lead))))
    return Crowd(film, tuple(minds), max(1, round(0.2 * fps)))
