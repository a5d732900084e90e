"""Figures of a run: learning curves, the confusion matrix, the reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .metrics import Scores


def curves(history: Sequence[Mapping[str, str]]) -> Figure:
    """Plot losses, held-out accuracy and other shares by epoch; the background marks phases."""
    epochs = [int(row["epoch"]) for row in history]
    phases = [row["phase"] for row in history]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [float(row["loss"]) for row in history], color="#444444", marker="o", ms=3, label="loss")
    right.plot(
        epochs, [100 * float(row["heldout_accuracy"]) for row in history], color="#1f6f8b", marker="o", ms=3,
        label="held-out accuracy",
    )  # fmt: skip
    for axes, kind, scale in ((left, "loss_", 1), (right, "share_", 100)):
        for name in sorted({k for row in history for k in row if k.startswith(kind)}):
            points = [(e, scale * float(row[name])) for e, row in zip(epochs, history, strict=True) if row.get(name)]
            label = name.removeprefix(kind).replace("_", " ")
            axes.plot([e for e, _ in points], [v for _, v in points], marker="o", ms=2, lw=1, label=label)
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="%")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        for k, name in enumerate(dict.fromkeys(phases)):
            inside = [e for e, p in zip(epochs, phases, strict=True) if p == name]
            if len(set(phases)) > 1:
                axes.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color=f"C{k}", alpha=0.08, lw=0)
                axes.text(inside[0] - 0.4, 1.01, name, transform=axes.get_xaxis_transform(), fontsize=8)
    return figure


def confusion(scores: Scores) -> Figure:
    """Plot shares of each true class by row, with counts below."""
    rows = scores.confusion.sum(axis=1, keepdims=True)
    share = np.divide(scores.confusion, rows, out=np.zeros(scores.confusion.shape), where=rows > 0)
    k = len(scores.labels)
    side = max(4.2, 0.62 * k + 1.6)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i in range(k):
        for j in range(k):
            color = "white" if share[i, j] > 0.55 else "#222222"
            text = f"{100 * share[i, j]:.0f}\n{scores.confusion[i, j]:,}"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=color, linespacing=1.3)
    axes.set_xticks(range(k), scores.labels, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(k), scores.labels, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"{scores.split}, rule {scores.rule}, n = {scores.n:,}\n% of the true class, and images", fontsize=8)
    axes.spines[:].set_visible(False)
    return figure


def reliability(calibration: Mapping[str, Any]) -> Figure:
    """Plot accuracy against confidence; bars on the diagonal mean calibrated confidence."""
    bins = calibration["bins"]
    width = 1 / len(bins)
    middles = [(k + 0.5) * width for k in range(len(bins))]
    total = sum(b["n"] for b in bins) or 1
    figure = Figure(figsize=(4.2, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    filled = [b["n"] > 0 for b in bins]
    upper.plot([0, 1], [0, 1], color="#999999", lw=1, ls="--")
    upper.bar(
        [m for m, f in zip(middles, filled, strict=True) if f],
        [b["accuracy"] for b in bins if b["n"]], width=0.9 * width, color="#1f6f8b", label="accuracy",
    )  # fmt: skip
    upper.plot(
        [b["confidence"] for b in bins if b["n"]], [b["accuracy"] for b in bins if b["n"]],
        "o", ms=3, color="#c8553d", label="mean confidence",
    )  # fmt: skip
    upper.set(ylim=(0, 1), xlim=(0, 1), ylabel="accuracy")
    upper.set_title(f"expected calibration error {calibration['ece']:.3f}", fontsize=9)
    lower.bar(middles, [b["n"] / total for b in bins], width=0.9 * width, color="#bbbbbb")
    lower.set(xlabel="confidence", ylabel="share")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    upper.legend(frameon=False, fontsize=8, loc="upper left")
    return figure
