"""Reaction delays between the people of a mashup, from their expression signals.

    x_a(t)   probabilities of the classes of person a's face at step t, less their mean over time; 0 where unseen
    c_ab(k) = Σ_t ⟨x_a(t), x_b(t + k)⟩ / √(Σ_t |x_a(t)|² Σ_t |x_b(t + k)|²), t over steps at which both are seen
    lag_ab  = argmax_k c_ab(k), refined by the parabola through the peak and its neighbors; the delay of b after a
    δ       = argmin Σ_ab w_ab (δ_b − δ_a − lag_ab)², w_ab from c_ab(lag_ab); only differences of δ mean anything

The last line fits one delay per person to all pairs, so that accidental peaks of single pairs are outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
_ROUNDS = 10


@dataclass(frozen=True)
class PairLag:
    """Two people of one video."""

    a: int
    """person_id."""
    b: int
    """person_id."""
    lag: float
    """Steps by which b is later than a; NaN if they were never seen together long enough."""
    correlation: float
    """c_ab at the peak, -1 to 1; NaN as `lag`."""


@dataclass(frozen=True)
class PersonDelay:
    """One person against the others of the video."""

    person: int
    """person_id."""
    delay: float | None
    """Steps later than the mean of those known in the video; None if the person correlates with no one."""
    correlation: float
    """Highest correlation with another person; 0 without any."""


def signals(
    probabilities: npt.NDArray[np.floating],
    person: npt.NDArray[np.integer],
    frame: npt.NDArray[np.integer],
    stride: int,
) -> dict[int, Signal]:
    """Signal of each person on the video's common steps: (T, K), NaN rows where the person is not seen.

    Args:
        probabilities: (n, K) of the faces of one video.
        person: (n,) person_id.
        frame: (n,) frame_idx.
        stride: frames in one step.
    """
    step = (frame - frame.min()) // stride
    found = {}
    for who in np.unique(person).tolist():
        rows = person == who
        signal = np.full((int(step.max()) + 1, probabilities.shape[1]), np.nan)
        signal[step[rows]] = probabilities[rows]
        found[who] = signal - np.nanmean(signal, axis=0)
    return found


def correlations(a: Signal, b: Signal, max_lag: int, least: int) -> Signal:
    """c_ab(k) for k = -max_lag … max_lag, (2·max_lag + 1,); NaN where fewer than `least` steps overlap.

    Args:
        a: (T, K), NaN rows where unseen.
        b: (T, K), likewise.
        max_lag: steps.
        least: steps at which both are seen.
    """
    seen_a, seen_b = ~np.isnan(a[:, 0]), ~np.isnan(b[:, 0])
    x, y = np.nan_to_num(a), np.nan_to_num(b)
    energy_a, energy_b = (x**2).sum(axis=1), (y**2).sum(axis=1)
    found = np.full(2 * max_lag + 1, np.nan)
    for i, k in enumerate(range(-max_lag, max_lag + 1)):
        if abs(k) >= len(a):
            continue  # the video is shorter than this lag
        of_a, of_b = slice(max(0, -k), len(a) - max(0, k)), slice(max(0, k), len(b) - max(0, -k))
        both = seen_a[of_a] & seen_b[of_b]
        scale = np.sqrt(energy_a[of_a][both].sum() * energy_b[of_b][both].sum())
        if both.sum() >= least and scale > 0:
            found[i] = float((x[of_a] * y[of_b]).sum()) / scale
    return found


def peak(correlation: Signal) -> tuple[float, float]:
    """Peak of a correlation (2m + 1,): lag -m … m with a fraction, and its height; NaN if all values are NaN."""
    if np.isnan(correlation).all():
        return float("nan"), float("nan")
    m = len(correlation) // 2
    i = int(np.nanargmax(correlation))
    shift = 0.0
    if 0 < i < len(correlation) - 1 and not np.isnan(correlation[i - 1 : i + 2]).any():
        before, here, after = correlation[i - 1 : i + 2]
        bend = before - 2 * here + after
        shift = float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
    return i - m + shift, float(correlation[i])


def pair_lags(people: dict[int, Signal], max_lag: int, least: int = 30) -> list[PairLag]:
    """Lags of all pairs of people of a video."""
    return [
        PairLag(a, b, *peak(correlations(people[a], people[b], max_lag, least)))
        for a, b in combinations(sorted(people), 2)
    ]


def person_delays(pairs: list[PairLag], people: list[int], least: float = 0.2) -> list[PersonDelay]:
    """Fit one delay per person to the pairs with sufficient correlation.

    Iteratively reweighted least squares: the weight of a pair is divided by 1 + (residual / 1 step)² (Cauchy), so that
    contradicting pairs lose weight.

    Args:
        pairs: of one video.
        people: person_ids, some of which may be in no pair.
        least: smallest correlation of two people who follow the same film; ours.
    """
    best = {
        p: max((q.correlation for q in pairs if p in (q.a, q.b) and q.correlation > 0), default=0.0) for p in people
    }
    sure = [q for q in pairs if q.correlation >= least]
    known: dict[int, float] = {}
    # groups that are not linked by pairs have no common clock: use the largest group
    group = max(_groups(sure), key=lambda g: (len(g), -min(g)), default=set())
    mine = [q for q in sure if q.a in group]
    if mine:
        number = {p: i for i, p in enumerate(sorted(group))}
        design = np.zeros((len(mine) + 1, len(group)))
        for row, q in enumerate(mine):
            design[row, number[q.a]], design[row, number[q.b]] = -1, 1
        design[-1] = 1  # their mean is 0
        lags = np.array([q.lag for q in mine] + [0.0])
        weight = np.array([q.correlation**2 for q in mine] + [1.0])
        own = np.sqrt(weight)
        for _ in range(_ROUNDS):
            delta = np.linalg.lstsq(design * own[:, None], lags * own, rcond=None)[0]
            residual = design @ delta - lags
            residual[-1] = 0
            own = np.sqrt(weight / (1 + residual**2))
        known = {p: float(delta[i]) for p, i in number.items()}
    return [PersonDelay(p, known.get(p), best[p]) for p in people]


def _groups(pairs: list[PairLag]) -> list[set[int]]:
    """Find the groups of people linked by pairs."""
    groups: list[set[int]] = []
    for q in pairs:
        touched = [g for g in groups if q.a in g or q.b in g]
        groups = [g for g in groups if g not in touched] + [set().union({q.a, q.b}, *touched)]
    return groups


@dataclass(frozen=True)
class Accuracy:
    """Errors of estimated differences of delays."""

    pairs: int
    """Number of pairs of people of one video with known delays."""
    mean_error: float
    """Mean of |estimate − truth|, steps; NaN without pairs."""
    within_one: float
    """Share of the pairs at most one step off."""
    mean_without: float
    """Mean of |truth|, steps: the error of assuming equal delays."""


def differences(found: list[PersonDelay], truth: dict[int, float]) -> list[tuple[float, float]]:
    """(estimated, true) difference of delays for every two people of a video whose delays are both known, steps."""
    known = {p.person: p.delay for p in found if p.delay is not None and p.person in truth}
    return [(known[b] - known[a], truth[b] - truth[a]) for a, b in combinations(sorted(known), 2)]


def accuracy(found: list[tuple[float, float]]) -> Accuracy:
    """Compute the errors over all videos."""
    if not found:
        nan = float("nan")
        return Accuracy(0, nan, nan, nan)
    estimate, truth = np.array(found).T
    error = np.abs(estimate - truth)
    return Accuracy(len(error), float(error.mean()), float((error <= 1 + 1e-9).mean()), float(np.abs(truth).mean()))
