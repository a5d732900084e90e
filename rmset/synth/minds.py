"""A crowd that follows the film only so often: the noise of a known world, with a rate that can be chosen.

RMFER assumes that people react alike at the same moment. Here each person, at each event of the film, follows it with
probability 1 - noise. Who does not follow does not freeze either: such a person goes through a course of expressions
of their own, which has nothing to do with the film. So at noise 1 people agree exactly as often as chance has it,
and every loss of purity between 0 and 1 is known to come from the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.script import NAMED_FROM, Script, write_script


class Story(Protocol):
    """Who shows what when."""

    def expression_at(self, person: int, frame: int) -> tuple[str, float]:
        """(expression, intensity 0 to 1) of a person at a frame."""

    def label_at(self, person: int, frame: int) -> str:
        """Return the expression by name, "neutral" while it is too weak to be seen."""


@dataclass(frozen=True)
class Mind:
    """What goes through one person's head when it is not the film."""

    script: Script
    """of this person alone"""
    offset: int
    """frame of that script at which the video begins; drawn, so that no two minds begin together"""


@dataclass(frozen=True)
class Crowd:
    """A story of a film's script and each person's own mind."""

    film: Script
    """its reactors say who follows which event, and with what delay"""
    minds: tuple[Mind, ...]
    """one for each reactor"""
    fade: int
    """frames over which an expression of one's own comes and goes where the attention changes"""

    def expression_at(self, person: int, frame: int) -> tuple[str, float]:
        """(expression, intensity 0 to 1) of a person at a frame."""
        reactor, mind = self.film.reactors[person], self.minds[person]
        time = frame - reactor.delay
        slot, start, end = self._slot(time)
        if reactor.reacts[slot]:
            return self.film.expression_at(person, frame)
        # Between two events that both leave the person cold nothing fades: the mind wanders on.
        changes = [at for at, other in ((start, slot - 1), (end, slot + 1)) if self._follows(person, other)]
        near = min((abs(time - at) for at in changes), default=self.fade)
        expression, intensity = mind.script.expression_at(0, frame + mind.offset)
        return expression, intensity * min(1.0, near / self.fade)

    def label_at(self, person: int, frame: int) -> str:
        """Return the expression by name, "neutral" while it is too weak to be seen."""
        expression, intensity = self.expression_at(person, frame)
        return expression if intensity >= NAMED_FROM else "neutral"

    def _slot(self, time: int) -> tuple[int, float, float]:
        """Find the event that a moment of the film belongs to, and where its slot begins and ends."""
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
    """Return a crowd in front of a film.

    Args:
        rng: where chance comes from; the same state gives the same crowd.
        people: how many.
        frames: length of the film; two seconds at least, or nothing happens in it.
        fps: frames per second.
        max_delay: longest delay of a person, frames; each is drawn evenly from 0 to it.
        noise: probability, 0 to 1, that a person does not follow an event.
        expressions: what people may show beside a neutral face.
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
