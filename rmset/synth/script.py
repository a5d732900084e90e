"""What happens in the film, and how each person reacts to it: alike, at the same moment, each with a delay.

That is the assumption RMFER is built on (WACV 2024, section 3), so it is what a generated mashup must hold, with as
much noise as is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmset.synth.expressions import EXPRESSIONS

NAMED_FROM = 0.3
"""intensity from which on a face is said to show the expression rather than none"""


@dataclass(frozen=True)
class Event:
    """One moment of the film that moves people. Durations in frames, counted from `onset`."""

    expression: str
    onset: int
    attack: int
    hold: int
    decay: int
    intensity: float
    """0 to 1"""

    def __post_init__(self) -> None:
        """Check that it is an expression that has a course in time."""
        if self.expression not in EXPRESSIONS:
            raise ValueError(f"expected an expression out of {', '.join(EXPRESSIONS)}, found {self.expression!r}")
        if self.attack < 1 or self.hold < 0 or self.decay < 1 or not 0 <= self.intensity <= 1:
            raise ValueError(f"expected attack and decay of a frame or more and intensity 0 to 1, found {self}")

    @property
    def end(self) -> int:
        """The first frame at which nothing of it is left."""
        return self.onset + self.attack + self.hold + self.decay

    def level(self, frame: int) -> float:
        """Intensity at a frame: up during the attack, steady, down during the decay; smooth at both ends."""
        t = frame - self.onset
        if t <= 0 or frame >= self.end:
            return 0.0
        rise, fall = min(1.0, t / self.attack), min(1.0, (self.end - frame) / self.decay)
        ramp = min(rise, fall)
        return self.intensity * ramp * ramp * (3 - 2 * ramp)


@dataclass(frozen=True)
class Reactor:
    """How one person follows the film."""

    delay: int
    """frames"""
    gain: float
    """how much of an event's intensity shows"""
    reacts: tuple[bool, ...]
    """for each event, whether this person is moved at all"""


@dataclass(frozen=True)
class Script:
    """Events and who reacts how: expression over time for every person."""

    events: tuple[Event, ...]
    reactors: tuple[Reactor, ...]

    def __post_init__(self) -> None:
        """Check that events follow one another and that each person has an answer to each."""
        if any(after.onset < before.end for before, after in pairwise(self.events)):
            raise ValueError("expected events one after another, found two at the same time")
        if any(len(r.reacts) != len(self.events) for r in self.reactors):
            raise ValueError(f"expected every reactor to answer to {len(self.events)} events")

    def expression_at(self, person: int, frame: int) -> tuple[str, float]:
        """(expression, intensity 0 to 1) of a person at a frame; ("neutral", 0.0) between events."""
        reactor = self.reactors[person]
        for event, reacts in zip(self.events, reactor.reacts, strict=True):
            level = event.level(frame - reactor.delay)
            if level > 0 and reacts:
                return event.expression, min(1.0, level * reactor.gain)
        return "neutral", 0.0

    def label_at(self, person: int, frame: int) -> str:
        """Return the expression by name, "neutral" while it is too weak to be seen."""
        expression, intensity = self.expression_at(person, frame)
        return expression if intensity >= NAMED_FROM else "neutral"


def write_script(
    rng: np.random.Generator,
    people: int,
    frames: int,
    fps: float,
    *,
    max_delay: int = 8,
    indifference: float = 0.08,
    expressions: tuple[str, ...] = EXPRESSIONS[1:],
) -> Script:
    """Return a script of events of two to three seconds, every expression once before any comes again.

    Args:
        rng: where chance comes from; the same state gives the same script.
        people: how many react.
        frames: length of the film.
        fps: frames per second, of which attack and decay depend.
        max_delay: longest delay of a person, frames.
        indifference: probability that a person is not moved by an event.
        expressions: what events may be about.
    """
    events: list[Event] = []
    deck: list[str] = []
    onset = round(0.5 * fps)
    while onset + 1.6 * fps < frames:
        if not deck:
            deck = [str(e) for e in rng.permutation(expressions)]
        event = Event(
            deck.pop(),
            onset,
            attack=max(1, round(float(rng.uniform(0.2, 0.4)) * fps)),
            hold=round(float(rng.uniform(0.8, 1.4)) * fps),
            decay=max(1, round(float(rng.uniform(0.3, 0.5)) * fps)),
            intensity=float(rng.uniform(0.8, 1.0)),
        )
        events.append(event)
        onset = event.end + round(float(rng.uniform(0.3, 0.8)) * fps)
    reactors = tuple(
        Reactor(
            delay=int(rng.integers(0, max_delay + 1)),
            gain=float(rng.uniform(0.85, 1.1)),
            reacts=tuple(bool(b) for b in rng.random(len(events)) >= indifference),
        )
        for _ in range(people)
    )
    return Script(tuple(events), reactors)
