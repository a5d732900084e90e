"""Runs against runs: means, spreads and t-tests, as the FERPlus paper compares its schemes over five runs.

Welch      two independent groups, variances may differ:   t = (m₁ − m₂) / √(s₁²/n₁ + s₂²/n₂)
paired     the same seeds in both groups:                   t = mean(d) / (s_d / √n), d = differences by seed
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmset.errors import UsageError

from ...run_folder import RunFolder

# Relative differences below this are rounding: the runs count as equal.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only."""

    name: str
    """Name in the table."""
    values: dict[int, float]
    """The measure of each run by its seed."""
    counted: str
    """Split, rule and n of the images counted."""

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return float(np.mean(list(self.values.values())))

    @property
    def std(self) -> float:
        """Sample standard deviation (n − 1); NaN for one run."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Test:
    """A two-sided t-test."""

    __test__ = False  # pytest collects classes named Test…

    t: float
    """Positive if the second group is better."""
    p: float
    """Probability of a |t| at least as large if there is no difference; NaN where undefined."""
    df: float
    """Degrees of freedom."""


def welch(a: Sequence[float], b: Sequence[float]) -> Test:
    """Welch's test of b against a; NaN with fewer than two runs on a side, or if neither side varies."""
    from scipy import stats

    if len(a) < 2 or len(b) < 2:
        return Test(math.nan, math.nan, math.nan)
    va, vb = float(np.var(a, ddof=1)) / len(a), float(np.var(b, ddof=1)) / len(b)
    if math.sqrt(va + vb) <= _ROUNDING * float(np.abs([*a, *b]).max()):
        return Test(math.nan, math.nan, math.nan)
    t = (float(np.mean(b)) - float(np.mean(a))) / math.sqrt(va + vb)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return Test(t, float(2 * stats.t.sf(abs(t), df)), df)


def paired(a: Sequence[float], b: Sequence[float]) -> Test:
    """Paired test of b against a; NaN with fewer than two pairs, or if all differences are equal."""
    from scipy import stats

    d = np.asarray(b) - np.asarray(a)
    if len(d) < 2 or float(d.std(ddof=1)) <= _ROUNDING * float(np.abs([*a, *b]).max()):
        return Test(math.nan, math.nan, math.nan)
    t = float(d.mean() / (d.std(ddof=1) / math.sqrt(len(d))))
    return Test(t, float(2 * stats.t.sf(abs(t), len(d) - 1)), float(len(d) - 1))


def interval(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean paired difference of b against a; NaN with fewer than two pairs."""
    from scipy import stats

    d = np.asarray(b) - np.asarray(a)
    if len(d) < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf(0.5 + level / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
    return float(d.mean()) - half, float(d.mean()) + half


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for their number by Holm's method (1979); NaN stays and is counted.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: (math.isnan(p[i]), p[i]))
    adjusted, worst = [math.nan] * len(p), 0.0
    for rank, i in enumerate(order):
        if not math.isnan(p[i]):
            worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
            adjusted[i] = worst
    return adjusted


def group(path: Path, measure: str = "overall_accuracy") -> Group:
    """Collect the finished runs in a folder: the folder itself, or its subfolders.

    Raises:
        UsageError: there is none, they counted different images, or two share a seed.
    """
    folders = [path] if (path / "metrics.json").is_file() else sorted(p.parent for p in path.glob("*/metrics.json"))
    if not folders:
        raise UsageError(f"expected a finished run, or a folder of such, found no metrics.json in {path}")
    values: dict[int, float] = {}
    counted: dict[str, Path] = {}
    for folder in folders:
        run = RunFolder(folder)
        metrics, seed = run.metrics(), run.config().seed
        if measure not in metrics:
            raise UsageError(f"expected the measure {measure} in {folder}, found {', '.join(metrics)}")
        if seed in values:
            raise UsageError(f"expected runs of different seeds in {path}, found seed {seed} twice")
        values[seed] = float(metrics[measure])
        counted[f"{metrics['split']}, {metrics['rule']}, n = {metrics['n']:,}"] = folder
    if len(counted) > 1:
        raise UsageError(f"expected runs that counted the same images in {path}, found {'; '.join(counted)}")
    return Group(path.name, values, next(iter(counted)))


def table(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row per group; t-tests are against the first group, paired over common seeds.

    Raises:
        UsageError: the groups counted different images, so their scores are not comparable.
    """
    first = groups[0]
    if strange := [g for g in groups if g.counted != first.counted]:
        raise UsageError(
            f"expected groups that counted the same images, found {first.counted} in {first.name} and "
            f"{strange[0].counted} in {strange[0].name}; count all alike with `fertrain cross RUN… --on …`"
        )
    rows = []
    for g in groups:
        own, w, p = list(g.values.values()), Test(math.nan, math.nan, math.nan), Test(math.nan, math.nan, math.nan)
        seeds = sorted(first.values.keys() & g.values.keys())
        if g is not first:
            w = welch(list(first.values.values()), own)
            p = paired([first.values[s] for s in seeds], [g.values[s] for s in seeds])
        rows.append({
            "group": g.name, "runs": len(own), "mean": g.mean, "std": g.std, "min": min(own), "max": max(own),
            "welch_t": w.t, "welch_p": w.p, "pairs": len(seeds) if g is not first else 0, "paired_t": p.t,
            "paired_p": p.p,
        })  # fmt: skip
    return [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]
