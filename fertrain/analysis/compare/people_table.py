"""Tables of a grid on people: means and spreads over seeds, paired differences, and what the claims come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_csv, write_json, write_text
from .significance import holm, interval, paired

MEASURES = {
    "map": "mAP, same expression in other people, %", "accuracy": "accuracy, %",
    "identity": "recall@1, same person in other expressions, %",
}  # fmt: skip
"""Measures of people.json; the first decides."""
LEVEL = 0.05


@dataclass(frozen=True)
class Found:
    """The finished runs of one variant at one label budget."""

    budget: int
    """Labeled images; 0: all."""
    variant: str
    tuned: Mapping[str, Any]
    """The chosen rate: setting, value, and mAP of every value; empty without tuning."""
    runs: Mapping[int, Mapping[str, Any]]
    """Seed -> values of people.json."""


@dataclass(frozen=True)
class Comparison:
    """A variant against one that it must beat, by mAP, paired over seeds."""

    budget: int
    variant: str
    against: str
    pairs: int
    difference: float
    """Mean of the differences."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""
    p: float
    """Two-sided paired t-test."""
    holm: float
    """p adjusted for all comparisons of its family at this budget."""

    @property
    def holds(self) -> bool:
        """Whether the variant is better at the level of 5 %, adjusted."""
        return self.difference > 0 and self.holm < LEVEL


def budget_name(budget: int) -> str:
    """Name a label budget."""
    return f"{budget} labels" if budget else "all labels"


Family = Sequence[Sequence[str]]
"""Claims whose p-values are adjusted together: each a variant, and those that it must beat."""


def compare(found: Sequence[Found], claims: Family, measure: str = "map") -> list[Comparison]:
    """Compare the variants of a family of claims at every budget."""
    results = []
    for budget in dict.fromkeys(f.budget for f in found):
        at = {f.variant: f.runs for f in found if f.budget == budget}
        pairs = [(claim[0], other) for claim in claims for other in claim[1:]]
        tests = []
        for name, other in pairs:
            both = sorted(at[name].keys() & at[other].keys())
            a, b = ([float(at[v][seed][measure]) for seed in both] for v in (other, name))
            tests.append((len(both), float(np.mean(np.subtract(b, a))) if both else math.nan, interval(a, b),
                          paired(a, b).p))  # fmt: skip
        for (name, other), test, adjusted in zip(pairs, tests, holm([t[3] for t in tests]), strict=True):
            n, difference, (low, high), p = test
            results.append(Comparison(budget, name, other, n, difference, low, high, p, adjusted))
    return results


def decisions(found: Sequence[Found], families: Sequence[Family]) -> list[str]:
    """Say for every claim whether it holds at the first budget: the variant must beat each of the others."""
    first = found[0].budget if found else 0
    lines = []
    for claims in families:
        results = compare([f for f in found if f.budget == first], claims)
        for claim in claims:
            own = {c.against: c.holds for c in results if c.variant == claim[0] and c.against in claim[1:]}
            lines.append(
                f"{budget_name(first)}: {claim[0]} is "
                + "; ".join(f"{'better' if holds else 'not shown better'} than {name}" for name, holds in own.items())
            )
    return lines


def rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    """One row per budget and variant; differences of mAP are against the first variant, None where unknown."""
    first = found[0].variant if found else ""
    against_first = {
        (c.budget, c.variant): c for c in compare(found, [(f.variant, first) for f in found if f.variant != first])
    }
    table = []
    for f in found:
        row: dict[str, Any] = {
            "budget": budget_name(f.budget), "variant": f.variant, "runs": len(f.runs), "rate": f.tuned.get("value")
        }  # fmt: skip
        for measure in MEASURES:
            values = [float(v[measure]) for v in f.runs.values()]
            row[f"{measure}_mean"] = float(np.mean(values)) if values else None
            row[f"{measure}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        c = against_first.get((f.budget, f.variant))
        row |= {
            "map_difference": c.difference if c else None, "low": c.low if c else None, "high": c.high if c else None,
            "paired_p": c.p if c else None,
        }  # fmt: skip
        table.append({k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()})
    return table


def write(
    about: str, found: Sequence[Found], families: Sequence[Family], facts: Mapping[str, Any],
    failed: Mapping[str, str], out: Path,
) -> list[Path]:  # fmt: skip
    """Write `people.md`, `people.csv` and `people.json`; returns the files.

    Args:
        about: heading.
        found: runs of all budgets and variants.
        families: claims whose p-values are adjusted together.
        facts: settings and people, for the JSON file.
        failed: failed runs, with the reason.
        out: where the tables go.
    """
    table, results = rows(found), [c for claims in families for c in compare(found, claims)]
    paths = [out / f"people.{ending}" for ending in ("md", "csv", "json")]
    write_text(paths[0], markdown(about, found, families, failed))
    write_csv(paths[1], table)
    runs = [{"budget": f.budget, "variant": f.variant, "seed": s, **v} for f in found for s, v in f.runs.items()]
    content = {
        "about": about, **facts, "rows": table, "comparisons": [_plain(c) for c in results],
        "decisions": decisions(found, families), "tuned": {f.variant: dict(f.tuned) for f in found}, "runs": runs,
        "failed": dict(failed),
    }  # fmt: skip
    write_json(paths[2], content)
    return paths


def _plain(c: Comparison) -> dict[str, Any]:
    values = {**vars(c), "holds": c.holds}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def markdown(
    about: str, found: Sequence[Found], families: Sequence[Family], failed: Mapping[str, str]
) -> str:  # fmt: skip
    """Render the tables: shares in percent, differences in points."""
    lines = [f"# {about}", ""]
    first = found[0].variant
    for budget in dict.fromkeys(f.budget for f in found):
        lines += [
            f"## {budget_name(budget)}", "",
            f"| variant | runs | rate | {' | '.join(MEASURES.values())} | mAP against {first}, points | p |",
            "|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for row in rows([f for f in found if f.budget == budget]):
            shown = [_spread(row[f"{m}_mean"], row[f"{m}_std"]) for m in MEASURES]
            rate = "" if row["rate"] is None else f"{row['rate']:g}"
            lines.append(
                f"| {row['variant']} | {row['runs']} | {rate} | {' | '.join(shown)} | "
                f"{_points(row['map_difference'], row['low'], row['high'])} | {_p(row['paired_p'])} |"
            )
        lines += ["", *(line for claims in families for line in _claims(found, claims, budget))]
    lines += ["## What is decided", "", *(f"* {line}" for line in decisions(found, families)), ""]
    lines += _candidates(found)
    spent = sum(float(v["cpu_seconds"]) for f in found for v in f.runs.values())
    lines += [
        f"{sum(len(f.runs) for f in found)} trainings, {spent / 3600:.1f} hours of processor time, tuning not counted.",
        "", "Means ± standard deviations (n − 1) over seeds; intervals are 95 %, p from paired t-tests over seeds.",
    ]  # fmt: skip
    lines += [f"\nFailed: {folder}: {why}" for folder, why in failed.items()]
    return "\n".join(lines) + "\n"


def _claims(found: Sequence[Found], claims: Family, budget: int) -> list[str]:
    lines = ["| claim | mAP, points | accuracy, points | p | p (Holm) | holds |", "|---|---|---|---|---|---|"]
    accuracy = compare(found, claims, "accuracy")
    for c, a in zip(compare(found, claims), accuracy, strict=True):
        if c.budget == budget:
            held = "yes" if c.holds else "no"
            lines.append(
                f"| {c.variant} better than {c.against} | {_points(c.difference, c.low, c.high)} | "
                f"{_points(a.difference, a.low, a.high)} | {_p(c.p)} | {_p(c.holm)} | {held} |"
            )
    return [*lines, ""]


def _candidates(found: Sequence[Found]) -> list[str]:
    """Show the purity of the mashup's candidates, which is the same for all variants."""
    known = [v["purity"] for f in found if f.budget == found[0].budget for v in f.runs.values() if "purity" in v]
    if not known:
        return []
    names = ("p", "p_imp", "p_chance", "n", "n_imp", "n_chance")
    means = [100 * float(np.mean([v[name] for v in known])) for name in names]
    return [
        "## Purity of the candidates, %", "",
        "| P | P_imp | chance | N | N_imp | chance |", "|---|---|---|---|---|---|",
        "| " + " | ".join(f"{m:.1f}" for m in means) + " |", "",
    ]  # fmt: skip


def _spread(mean: float | None, std: float | None) -> str:
    if mean is None:
        return ""
    return f"{100 * mean:.1f}" if std is None else f"{100 * mean:.1f} ± {100 * std:.1f}"


def _points(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None or math.isnan(mean):
        return ""
    if low is None or high is None or math.isnan(low):
        return f"{100 * mean:+.1f}"
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _p(p: float | None) -> str:
    return "" if p is None or math.isnan(p) else f"{p:.2g}"
