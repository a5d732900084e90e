"""Draw the figures of docs/results.md from the numbers in benchmarks/results.

python -m benchmarks.plots
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from benchmarks import calibration

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parents[1] / "docs" / "images"

BLUE, ORANGE, GRAY = "#1f6feb", "#d9730d", "#6e7781"

PLANS = {
    "world": "plan 1: 18 people, 128 steps, τ = 1",
    "people": "plan 2: 72 people, 128 steps, τ = 1",
    "longer": "plan 3: 72 people, 512 steps, τ = 0.3",
}
VARIANTS = {
    "total": "L_total (as published)",
    "random-positives": "L_total, random positives",
    "random": "L_total, random candidates",
    "unrefined": "unrefined",
    "unrefined-random-positives": "unrefined, random positives",
    "unrefined-random": "unrefined, random candidates",
}


def gain_over_l_pre(results: dict[str, Any], variant: str, noise: str, seeds: Sequence[int]) -> tuple[float, float]:
    """Mean gain in mAP on unseen people, in points, and half of its 95 % interval (paired over seeds)."""
    before = [results[f"pre/{s}"]["held_out"]["expression"]["map"] for s in seeds]
    after = [results[f"{variant}/{s}/{noise}"]["held_out"]["expression"]["map"] for s in seeds]
    gains = 100 * (np.array(after) - np.array(before))
    half = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / math.sqrt(len(gains))
    return float(gains.mean()), float(half)


def known_world() -> Figure:
    """Forest plot of each variant's gain over L_pre, with and without a film that people react to."""
    figure = Figure(figsize=(7.6, 5.0), layout="constrained")
    axes = figure.subplots()
    y, ticks, names = 0.0, [], []
    for plan, title in PLANS.items():
        values = json.loads((RESULTS / f"{plan}.json").read_text(encoding="utf-8"))
        axes.text(-4.8, y, title, fontsize=9, fontweight="bold", va="center")
        y += 1
        for variant in values["fixed"]["variants"]:
            for noise, color, shift in (("0", BLUE, -0.16), ("1", ORANGE, 0.16)):
                mean, half = gain_over_l_pre(values["results"], variant, noise, values["fixed"]["seeds"])
                axes.errorbar(mean, y + shift, xerr=half, fmt="o", color=color, markersize=4, capsize=2, linewidth=1.3)
            ticks.append(y)
            names.append(VARIANTS[variant])
            y += 1
    axes.axvline(0, color=GRAY, linewidth=1)
    axes.set_xlim(-5, 17)
    axes.set_ylim(y - 0.4, -0.6)
    axes.set_yticks(ticks, names, fontsize=9)
    axes.set_xlabel("gain over L_pre in mAP on people never seen, points (95 % intervals, five seeds)")
    axes.plot([], [], "o", color=BLUE, label="everybody follows the film (noise 0)")
    axes.plot([], [], "o", color=ORANGE, label="no one follows it (noise 1, control)")
    axes.legend(loc="upper right", fontsize=8, frameon=False)
    _plain(axes)
    return figure


def rows_of_4000_labels(log: str) -> list[tuple[str, int, float, float | None]]:
    """Method, labeled images seen, accuracy and spread (None for one seed) on set (a), from the log's table."""
    table = log.split("| method | labeled images seen | (a) rest |", 1)[1].split("\n\n", 1)[0]
    rows = []
    for line in table.splitlines()[2:]:
        name, seen, found = [cell.strip() for cell in line.strip("|").split("|")][:3]
        mean, *spread = [float(n) for n in re.findall(r"[\d.]+", found)]
        rows.append((name, int(seen.replace(",", "")), mean, spread[0] if spread else None))
    return rows


def labels_4000() -> Figure:
    """Plot accuracy over the labeled images seen, for each method and for supervised training."""
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.subplots()
    rows = rows_of_4000_labels((RESULTS / "log.md").read_text(encoding="utf-8"))
    alone = sorted(r[1:] for r in rows if "mix" not in r[0] and (r[0] == "supervised only" or r[0].startswith("*")))
    seen, mean, spread = zip(*alone, strict=True)
    axes.errorbar(seen, mean, yerr=[s or 0 for s in spread], fmt="o-", color=GRAY, capsize=2, markersize=4,
                  label="supervised only, ± over three seeds")  # fmt: skip
    below = {"RMFER", "UDA", "ReMixMatch", "BYOL", "SimSiam"}
    for name, images, accuracy, deviation in rows:
        if name == "supervised only" or name.startswith("*"):
            continue
        axes.errorbar(images, accuracy, yerr=deviation, fmt="o", color=BLUE if name == "RMFER" else ORANGE,
                      markerfacecolor="white" if deviation is None else None, capsize=2, markersize=5)  # fmt: skip
        axes.annotate(name, (images, accuracy), xytext=(6, -10 if name in below else 4),
                      textcoords="offset points", fontsize=8)  # fmt: skip
    axes.plot([], [], "o", color=BLUE, label="RMFER, three seeds")
    axes.plot([], [], "o", color=ORANGE, label="rivals, three seeds")
    axes.plot([], [], "o", color=ORANGE, markerfacecolor="white", label="rivals, one seed")
    axes.set_xlim(0, 66_000)
    axes.set_xlabel("labeled images that went through the network (of a budget of 60,000 images)")
    axes.set_ylabel("overall accuracy, %")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    _plain(axes)
    return figure


def layouts() -> Figure:
    """Scatter plot of confidence and IoU of every proposed layout."""
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.subplots()
    videos = json.loads((RESULTS / "layout.json").read_text(encoding="utf-8"))["videos"]
    named = {"tuning": "tuning", "twice": "film shown twice", "kinds": "hardest kinds", "held-out": "held out"}
    for (split, name), mark in zip(named.items(), "osD^", strict=True):
        those = [v for v in videos if v["split"] == split]
        axes.plot([v["confidence"] for v in those], [v["trigger_iou"] for v in those], mark, markersize=5, alpha=0.7,
                  label=f"{name} ({len(those)})")  # fmt: skip
    axes.axvline(0.8, color=GRAY, linewidth=1, linestyle="--")
    axes.axhline(0.85, color=GRAY, linewidth=1, linestyle="--")
    axes.set_xlabel("confidence of the proposal (0.8 and more: trusted)")
    axes.set_ylabel("IoU of the film's regions")
    axes.legend(fontsize=8, frameon=False, loc="lower center")
    _plain(axes)
    return figure


def confidence() -> Figure:
    """Plot the share of right videos by confidence, of videos used in tuning and of unseen ones."""
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.subplots()
    videos = calibration.measured()
    for half, color, mark, shift in (("tuning", GRAY, "o", -0.006), ("unseen", BLUE, "s", 0.006)):
        those = [v for v in videos if v.half == half]
        for low, high in calibration.BINS:
            inside = [v for v in those if low <= v.confidence < high]
            if not inside:
                continue
            right = sum(v.right for v in inside)
            interval = stats.binomtest(right, len(inside)).proportion_ci(0.95)
            at, share = float(np.mean([v.confidence for v in inside])) + shift, right / len(inside)
            bars = [[max(0.0, share - interval.low)], [max(0.0, interval.high - share)]]
            axes.errorbar(at, share, yerr=bars, fmt=mark, color=color, capsize=2, markersize=5, linewidth=1.3)
            axes.annotate(f"{right} of {len(inside)}", (at, share), xytext=(6, -3 if half == "unseen" else 6),
                          textcoords="offset points", fontsize=8, color=color)  # fmt: skip
        axes.plot([], [], mark, color=color, label=f"{half} ({len(those)} videos)")
    axes.axvline(calibration.SURE, color=GRAY, linewidth=1, linestyle="--")
    axes.axhline(calibration.WANTED, color=GRAY, linewidth=1, linestyle="--")
    axes.set_xlim(0.2, 1.05)
    axes.set_ylim(0, 1.08)
    axes.set_xlabel("confidence of the video: the least of layout and audit (mean of the bin)")
    axes.set_ylabel("share of right videos (95 %)")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    _plain(axes)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5)


FIGURES = {"results-world": known_world, "results-labels": labels_4000, "results-layout": layouts,
           "results-confidence": confidence}  # fmt: skip


def main() -> None:
    """Write all figures, each below 100 kB."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, draw in FIGURES.items():
        draw().savefig(IMAGES / f"{name}.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
