"""Figure of what the pairs of a root are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .quality import PairsQuality

_SEEN, _TRUE, _LINE, _GRAY = "#1f6f8b", "#c8553d", "#9aa5a9", "#e3e7e9"


def pairs_figure(found: PairsQuality) -> Figure:
    """Agreement by kind, agreement by distance in time, and delays: estimated against true, or as they are."""
    figure = Figure(figsize=(13, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(5, 6, 4))
    _kinds(left, found.kinds)
    _distances(middle, found.distances, int(found.about["rules"]["d"]))
    _delays(right, found)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=_GRAY)
        axes.set_axisbelow(True)
    about = found.about
    figure.suptitle(f"{Path(about['root']).name}: {about['crops']:,} faces, as {Path(about['run']).name} sees them",
                    fontsize=10)  # fmt: skip
    return figure


def _kinds(axes: Axes, rows: list[dict[str, Any]]) -> None:
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        axes.plot([100 * row["chance"], 100 * row["agree"]], [place, place], color=_SEEN, lw=1, alpha=0.5)
    axes.plot([100 * r["chance"] for r in rows], places, "|", color=_SEEN, ms=13, mew=2, alpha=0.55, label="chance")
    axes.plot([100 * r["agree"] for r in rows], places, "o", color=_SEEN, ms=7, label="as the run sees it")
    if rows and rows[0]["true_agree"] is not None:
        axes.plot([100 * r["true_agree"] for r in rows], places, "D", color=_TRUE, ms=5, mfc="none", mew=1.6,
                  label="in truth")  # fmt: skip
        axes.plot([100 * r["true_chance"] for r in rows], places, "|", color=_TRUE, ms=13, mew=2, alpha=0.55,
                  label="chance in truth")  # fmt: skip
    axes.set_yticks(places, [r["candidates"] for r in rows])
    axes.set(xlim=(0, 102), ylim=(-0.6, len(rows) - 0.4), xlabel="candidates that show what the anchor shows, %")
    _legend(axes)


def _distances(axes: Axes, rows: list[dict[str, Any]], d: int) -> None:
    others = [r for r in rows if r["who"] == "others"]
    kept = [r for r in rows if r["who"] == "others, kept"]
    axes.axvspan(-0.4, d + 0.4, color="#f0f4f5", lw=0)
    axes.text(d / 2, 99, f"P: d = {d}", ha="center", va="top", fontsize=8, color="#555555")
    axes.plot([r["to"] for r in others], [100 * r["agree"] for r in others], "-", color=_SEEN, label="other people")
    axes.plot([r["to"] for r in kept], [100 * r["agree"] for r in kept], "o", ms=4, color=_SEEN, label="kept (P_imp)")
    if others and others[0]["true_agree"] is not None:
        axes.plot([r["to"] for r in others], [100 * r["true_agree"] for r in others], "--", color=_TRUE,
                  label="other people, in truth")  # fmt: skip
    axes.set(xlabel="|t − T|, steps", ylabel="show what the anchor shows, %", ylim=(0, 102), xlim=(-0.4, None))
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Above the axes, where it hides nothing."""
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, handletextpad=0.4,
                columnspacing=1.2)  # fmt: skip


def _delays(axes: Axes, found: PairsQuality) -> None:
    if found.delays.get("pairs"):
        estimate, truth = np.array(found.delays["estimated_and_true"]).T
        most = max(1.0, float(np.abs([estimate, truth]).max())) * 1.08
        axes.plot([-most, most], [-most, most], color=_LINE, lw=1, ls="--")
        axes.plot(truth, estimate, "o", ms=3.5, alpha=0.5, color=_SEEN, mew=0)
        axes.set(xlabel="true difference of delays, steps", ylabel="estimated", xlim=(-most, most), ylim=(-most, most))
        axes.set_title(
            f"off by {found.delays['mean_error']:.2f} steps on average\n"
            f"(all alike: {found.delays['mean_without']:.2f}), {found.delays['pairs']:,} pairs", fontsize=8,
        )  # fmt: skip
        return
    lags = [(r["lag"], r["correlation"]) for r in found.pairs if r["lag"] is not None]
    axes.scatter([lag for lag, _ in lags], [c for _, c in lags], s=12, alpha=0.5, color=_SEEN, lw=0)
    axes.set(xlabel="b later than a, steps", ylabel="correlation at the peak")
    axes.set_title(f"lags of {len(lags):,} pairs of people", fontsize=8)
