"""Smooth deformations of a face: displacement fields as sums of Gaussian bumps.

A field gives the displacement of each point of the photograph, in photo pixels. Drawing needs the inverse, the source
of each drawn pixel, which for these small and smooth moves is `source(q) = q - field(q)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rmset.synth.arrays import Field, f32


@dataclass(frozen=True)
class Bump:
    """One Gaussian-weighted move: a push and a stretch around `center`."""

    center: tuple[float, float]
    """photo pixels"""
    sigma: tuple[float, float]
    """reach along x and y, photo pixels; a push must stay below 1.6 sigma, or the picture folds over itself"""
    push: tuple[float, float] = (0.0, 0.0)
    """photo pixels; +x right, +y down"""
    stretch: tuple[float, float] = (0.0, 0.0)
    """growth along x and y at the center; 0.2 is a fifth larger"""

    def __call__(self, points: Field) -> Field:
        """Displacement (…, 2) at photo points (…, 2)."""
        offset = points - f32(self.center)
        weight = np.exp(-0.5 * np.sum((offset / f32(self.sigma)) ** 2, axis=-1, keepdims=True))
        return np.asarray(weight * (f32(self.push) + f32(self.stretch) * offset), np.float32)


def mirrored(bump: Bump, axis: float = 224.5) -> Bump:
    """Mirror a move to the other half of the face, across the line x = `axis`."""
    (x, y), (dx, dy) = bump.center, bump.push
    return Bump((2 * axis - x, y + 2.0), bump.sigma, (-dx, dy), bump.stretch)


def both(*bumps: Bump) -> tuple[Bump, ...]:
    """Return moves of the left half of the picture together with their mirror images; the tilt is two pixels."""
    return tuple(side for bump in bumps for side in (bump, mirrored(bump)))


def displacement(bumps: Iterable[Bump], points: Field) -> Field:
    """Sum of the moves at photo points (…, 2)."""
    total = np.zeros(points.shape, np.float32)
    for bump in bumps:
        total += bump(points)
    return total
