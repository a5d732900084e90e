"""The table of a grid: means and spreads over seeds, differences to the first variant, in three formats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files import write_csv, write_json, write_text
from .significance import Group, Test, group, holm, paired, welch

MEASURES = ("overall_accuracy", "average_accuracy")


def write(
    about: str, folders: Mapping[str, Path], seeds: Sequence[int], failed: Mapping[str, str], out: Path
) -> tuple[list[dict[str, Any]], list[Path]]:
    """Write `table.md`, `table.csv` and `table.json` of the finished runs; returns the rows and the files.

    Args:
        about: heading.
        folders: folder of each variant, with one folder per seed inside.
        seeds: seeds of the grid; other runs in the folders are not counted.
        failed: failed runs, with the reason.
        out: where the tables go.
    """
    found = {measure: {name: _finished(path, measure, seeds) for name, path in folders.items()} for measure in MEASURES}
    table = rows(found["overall_accuracy"], found["average_accuracy"])
    counted = sorted({g.counted for g in found["overall_accuracy"].values() if g})
    paths = [out / f"table.{ending}" for ending in ("md", "csv", "json")]
    write_text(paths[0], markdown(about, table, counted, failed))
    write_csv(paths[1], table)
    by_seed = {
        name: {str(seed): value for seed, value in sorted(g.values.items())}
        for name, g in found["overall_accuracy"].items()
        if g
    }
    content = {"about": about, "counted": counted, "rows": table, "overall_accuracy": by_seed, "failed": dict(failed)}
    write_json(paths[2], content)
    return table, paths


def rows(overall: Mapping[str, Group | None], average: Mapping[str, Group | None]) -> list[dict[str, Any]]:
    """One row per variant; differences and tests of overall accuracy are against the first, None where unknown.

    Holm's correction is for the number of other variants with runs.
    """
    first = next(iter(overall.values()))
    table: list[dict[str, Any]] = []
    for name, g in overall.items():
        both = sorted(first.values.keys() & g.values.keys()) if first and g and g is not first else []
        w = p = Test(math.nan, math.nan, math.nan)
        if first and g and g is not first:
            w = welch(list(first.values.values()), list(g.values.values()))
            p = paired([first.values[s] for s in both], [g.values[s] for s in both])
        mean_average = average[name]
        row = {
            "variant": name, "runs": len(g.values) if g else 0,
            "overall_mean": g.mean if g else None, "overall_std": g.std if g else None,
            "overall_min": min(g.values.values()) if g else None, "overall_max": max(g.values.values()) if g else None,
            "average_mean": mean_average.mean if mean_average else None,
            "average_std": mean_average.std if mean_average else None,
            "difference": g.mean - first.mean if first and g and g is not first else None,
            "welch_p": w.p, "pairs": len(both), "paired_p": p.p,
            "paired_p_holm": math.nan,
        }  # fmt: skip
        table.append(row)
    compared = [row for row in table[1:] if row["runs"]]
    for row, adjusted in zip(compared, holm([row["paired_p"] for row in compared]), strict=True):
        row["paired_p_holm"] = adjusted
    return [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in table]


def markdown(about: str, table: Sequence[Mapping[str, Any]], counted: Sequence[str], failed: Mapping[str, str]) -> str:
    """Render the table: accuracies in percent, differences in points."""
    lines = [
        f"# {about}", "", f"Counted: {'; '.join(counted) or 'nothing is finished yet'}.", "",
        f"| variant | runs | overall, % | average, % | against {table[0]['variant']}, points | p | p (Holm) |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in table:
        difference = "" if row["difference"] is None else f"{100 * row['difference']:+.2f}"
        p, adjusted = ("" if row[key] is None else f"{row[key]:.3f}" for key in ("paired_p", "paired_p_holm"))
        overall = _spread(row["overall_mean"], row["overall_std"])
        average = _spread(row["average_mean"], row["average_std"])
        lines.append(f"| {row['variant']} | {row['runs']} | {overall} | {average} | {difference} | {p} | {adjusted} |")
    note = (
        "Means ± standard deviations (n − 1) over seeds, none where there is one run; p of overall accuracy, paired "
        "over seeds, and corrected by Holm's method for the number of variants that are compared with the first."
    )
    lines += ["", note]
    lines += [f"\nFailed: {folder}: {why}" for folder, why in failed.items()]
    return "\n".join(lines) + "\n"


def _spread(mean: float | None, std: float | None) -> str:
    if mean is None:
        return ""
    return f"{100 * mean:.2f}" if std is None else f"{100 * mean:.2f} ± {100 * std:.2f}"


def _finished(folder: Path, measure: str, seeds: Sequence[int]) -> Group | None:
    if not any(folder.glob("*/metrics.json")):
        return None
    found = group(folder, measure)
    values = {seed: value for seed, value in found.values.items() if seed in seeds}
    return Group(found.name, values, found.counted) if values else None
