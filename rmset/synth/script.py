"""Events of the film, and each person's reaction: the same expression at the same moment, after a personal delay.

This is RMFER's assumption (WACV 2024, section 3), so generated mashups fulfill it, with a chosen amount of noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmset.synth.expressions import EXPRESSIONS

NAMED_FROM = 0.3
"""least intensity of a face labeled with the expression instead of neutral"""


@dataclass(frozen=True)
class Event:
    """One emotional event of the film; durations in frames, counted from `onset`."""

    expression: str
    onset: int
    attack: int
    hold: int
    decay: int
    intensity: float
    """0 to 1"""

    def __post_init__(self) -> None:
        """Check expression, durations and intensity."""
        if self.expression not in EXPRESSIONS:
            raise ValueError(f"expected an expression out of {', '.join(EXPRESSIONS)}, found {self.expression!r}")
        if self.attack < 1 or self.hold < 0 or self.decay < 1 or not 0 <= self.intensity <= 1:
            raise ValueError(f"expected attack and decay of a frame or more and intensity 0 to 1, found {self}")

    @property
    def end(self) -> int:
        """First frame after the event."""
        return self.onset + self.attack + self.hold + self.decay

    def level(self, frame: int) -> float:
        """Intensity at a frame: rises in the attack, then steady, falls in the decay; smooth at both ends."""
        t = frame - self.onset
        if t <= 0 or frame >= self.end:
            return 0.0
        rise, fall = min(1.0, t / self.attack), min(1.0, (self.end - frame) / self.decay)
        ramp = min(rise, fall)
        return self.intensity * ramp * ramp * (3 - 2 * ramp)


@dataclass(frozen=True)
class Reactor:
    """One person's way of reacting to the film."""

    delay: int
    """frames"""
    gain: float
    """factor from an event's intensity to the face's"""
    reacts: tuple[bool, ...]
    """for each event, whether this person reacts"""


@dataclass(frozen=True)
class Script:
    """Events and reactors, which give every person's expression over time."""

    events: tuple[Event, ...]
    reactors: tuple[Reactor, ...]

    def __post_init__(self) -> None:
        """Check that events do not overlap and that each person has an entry for each event."""
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
        """Return the name of the expression; "neutral" while it is too weak to be seen."""
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
    """Draw a script of events of two to three seconds, with every expression once before any repeats.

    Args:
        rng: random generator; the same state gives the same script.
        people: number of reactors.
        frames: length of the film.
        fps: frames per second, on which attack and decay depend.
        max_delay: longest delay of a person, frames.
        indifference: probability that a person does not react to an event.
        expressions: expressions of events.
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
