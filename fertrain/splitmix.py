"""SplitMix64: stateless random numbers, each a function of its key (Steele, Lea and Flood, 2014)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GAMMA = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Apply the finalizer: every bit of the result depends on every bit of x."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def unit(samples: npt.NDArray[np.int64], epoch: int, seed: int) -> npt.NDArray[np.float64]:
    """One number in [0, 1) for each (seed, epoch, sample).

    >>> unit(np.array([0, 1]), epoch=3, seed=7).round(3).tolist()
    [0.104, 0.289]
    """
    start = ((seed * GAMMA) ^ (epoch * 0xD1B54A32D192ED03)) & ((1 << 64) - 1)
    x = samples.astype(np.uint64) * _FIRST + np.uint64(start)
    return (mixed(mixed(x)) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
