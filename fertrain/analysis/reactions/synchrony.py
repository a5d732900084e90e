"""Synchrony of the people of a video, and what it would be by chance.

    x_a(t)   probabilities of person a's face at step t, less their mean over time; 0 where unseen
    c_ab     Σ_t ⟨x_a(t), x_b(t)⟩ / √(Σ_t |x_a(t)|² Σ_t |x_b(t)|²), t over steps at which both are seen
    S        mean of c_ab over the pairs of people
    null     S after each person's time line is shifted in a circle by a random number of steps
    p        (1 + number of null values ≥ S) / (1 + number of null values)

A shift keeps each person's own course, how long expressions last and how often they come, and removes only the common
clock. Σ_t over a shift is a circular correlation, so all shifts of a pair come from one Fourier transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
LEAST = 10
"""Steps at which two people must both be seen; ours."""
ALL = "all classes"


@dataclass(frozen=True)
class Synchrony:
    """Synchrony of one video, or of all."""

    of: str
    """`all classes`, or one class."""
    people: int
    pairs: int
    """Pairs of people that are seen together long enough."""
    observed: float
    """S; NaN without pairs."""
    null: Signal
    """(shuffles,) S of shuffled time lines."""

    @property
    def p(self) -> float:
        """Share of the null that reaches the observed value, at least 1 / (1 + shuffles); NaN without pairs."""
        if np.isnan(self.observed):
            return float("nan")
        return float((1 + (self.null >= self.observed - 1e-12).sum()) / (1 + len(self.null)))

    def row(self) -> dict[str, Any]:
        """One row of synchrony.csv."""
        known = len(self.null) > 0 and not np.isnan(self.observed)
        return {
            "of": self.of, "people": self.people, "pairs": self.pairs, "synchrony": _number(self.observed),
            "null_mean": _number(float(self.null.mean())) if known else None,
            "null_sd": _number(float(self.null.std())) if known else None,
            "null_95": _number(float(np.quantile(self.null, 0.95))) if known else None,
            "p": _number(self.p) if known else None,
        }  # fmt: skip


def synchrony(people: dict[int, Signal], labels: tuple[str, ...], *, shuffles: int, seed: int) -> list[Synchrony]:
    """Measure synchrony over all classes together, and of each class.

    Args:
        people: signal of each person on common steps, (T, K), NaN rows where unseen; see `pairs.delays.signals`.
        labels: the K classes.
        shuffles: null values; the same shifts serve all measures.
        seed: of the shifts.
    """
    order = sorted(people)
    pairs = list(combinations(range(len(order)), 2))
    if not pairs:
        return [Synchrony(of, len(order), 0, float("nan"), np.empty(0)) for of in (ALL, *labels)]
    x = np.stack([people[p] for p in order])
    shifts = np.random.default_rng([seed, 33]).integers(0, x.shape[1], (shuffles, len(order)))
    return [
        _measured(of, x[:, :, columns], pairs, shifts)
        for of, columns in ((ALL, slice(None)), *((label, slice(k, k + 1)) for k, label in enumerate(labels)))
    ]


def _measured(of: str, x: Signal, pairs: list[tuple[int, int]], shifts: npt.NDArray[np.int64]) -> Synchrony:
    """Measure S of signals (P, T, C), and of each row of shifts (N, P)."""
    steps = x.shape[1]
    total, count, null = 0.0, 0, np.zeros(len(shifts))
    nulls = np.zeros(len(shifts))
    for a, b in pairs:
        c = circular(x[a], x[b])
        if not np.isnan(c[0]):
            total, count = total + float(c[0]), count + 1
        # x_a(t − s_a) meets x_b(t − s_b): a lag of s_a − s_b
        shifted = c[(shifts[:, a] - shifts[:, b]) % steps]
        known = ~np.isnan(shifted)
        null[known] += shifted[known]
        nulls += known
    if not count:
        return Synchrony(of, len(x), 0, float("nan"), np.empty(0))
    return Synchrony(of, len(x), count, total / count, null / np.maximum(nulls, 1))


def circular(a: Signal, b: Signal, least: int = LEAST) -> Signal:
    """c_ab for every circular lag of b: (T, C), (T, C) -> (T,); NaN where fewer than `least` steps overlap."""
    seen_a, seen_b = ~np.isnan(a[:, 0]), ~np.isnan(b[:, 0])
    x, y = np.nan_to_num(a), np.nan_to_num(b)
    steps = len(a)

    def swept(p: Signal, q: Signal) -> Signal:
        """Σ_t p(t) q(t + k), summed over columns, for every k."""
        spectrum = (np.conj(np.fft.rfft(p, axis=0)) * np.fft.rfft(q, axis=0)).sum(axis=1)
        return np.asarray(np.fft.irfft(spectrum, steps))

    def column(values: npt.NDArray[Any]) -> Signal:
        return np.asarray(values, dtype=np.float64)[:, None]

    energy_a, energy_b = (x**2).sum(axis=1), (y**2).sum(axis=1)
    together = swept(column(seen_a), column(seen_b))
    scale = swept(column(energy_a), column(seen_b)) * swept(column(seen_a), column(energy_b))
    floor = 1e-9 * max(float(energy_a.sum() * energy_b.sum()), 1e-12)
    good = (together > least - 0.5) & (scale > floor)
    return np.where(good, swept(x, y) / np.sqrt(np.where(good, scale, 1.0)), np.nan)


def together(found: list[list[Synchrony]]) -> list[Synchrony]:
    """Synchrony of all videos: means weighted by pairs; null values are combined shuffle by shuffle."""
    result = []
    for every in zip(*found, strict=True):
        used = [s for s in every if s.pairs]
        people, pairs = sum(s.people for s in every), sum(s.pairs for s in used)
        if not pairs:
            result.append(Synchrony(every[0].of, people, 0, float("nan"), np.empty(0)))
            continue
        weights = np.array([s.pairs for s in used], dtype=np.float64) / pairs
        observed = float(sum(w * s.observed for w, s in zip(weights, used, strict=True)))
        null = np.sum([w * s.null for w, s in zip(weights, used, strict=True)], axis=0)
        result.append(Synchrony(every[0].of, people, pairs, observed, null))
    return result


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
