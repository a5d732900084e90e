"""Motion of heads in front of a film: slow sways, nods and blinks, as smooth functions of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmset.synth.faces import Pose

_REACH = {"dx": 0.07, "dy": 0.035, "roll": 4.0, "zoom": 0.04, "turn": 0.55, "nod": 0.35}
"""largest deviation of each part of a pose"""
_BLINK = (0.5, 1.0, 0.8, 0.35)
"""closure of the eyes in the frames of a blink, at 30 frames per second"""


@dataclass(frozen=True)
class Motion:
    """One person's motion: three slow waves for each part of the pose."""

    waves: tuple[tuple[str, tuple[tuple[float, float, float], ...]], ...]
    """part of the pose -> (weight, frequency in Hz, phase) of each wave; weights sum to 1"""
    blinks: tuple[float, ...]
    """seconds at which a blink begins, in the first ten minutes"""

    def at(self, seconds: float) -> Pose:
        """Return the pose at a time."""
        parts = {
            part: _REACH[part] * sum(w * float(np.sin(2 * np.pi * f * seconds + phase)) for w, f, phase in waves)
            for part, waves in self.waves
        }
        parts["zoom"] += 1.0
        return Pose(**parts, blink=self._blink(seconds))

    def _blink(self, seconds: float) -> float:
        last = int(np.searchsorted(self.blinks, seconds, side="right")) - 1
        if last < 0:
            return 0.0
        frame = int((seconds - self.blinks[last]) * 30)
        return _BLINK[frame] if frame < len(_BLINK) else 0.0


def draw_motion(rng: np.random.Generator) -> Motion:
    """Draw one person's motion."""
    waves = []
    for part in _REACH:
        weight = rng.dirichlet([3.0, 2.0, 1.0])
        waves.append(
            (part, tuple((float(w), float(rng.uniform(0.05, 0.35)), float(rng.uniform(0, 2 * np.pi))) for w in weight))
        )
    return Motion(tuple(waves), tuple(float(t) for t in np.cumsum(rng.uniform(2.0, 6.0, 150))))
