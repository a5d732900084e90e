"""Figures of several runs side by side: attention over candidates, attention between classes, maps of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...unlabeled.crops import Crops
from .attention import AnchorView

_LEFT, _KEPT, _POSITIVE, _NEGATIVE = "#b9ccd3", "#1f6f8b", "#2a8f5b", "#c8553d"
_COLORS = (
    "#4e79a7",
    "#f28e2b",
    "#59a14f",
    "#e15759",
    "#b07aa1",
    "#76b7b2",
    "#9c755f",
    "#bab0ab",
    "#edc948",
    "#ff9da7",
)
_INCH = 0.62
"""Side of a drawn candidate, inches."""


def candidates(views: Sequence[AnchorView], images: Mapping[int, npt.NDArray[np.uint8]], crops: Crops) -> Figure:
    """Draw each anchor's candidates, and under each the attention of every run, before and after refinement."""
    runs = list(views[0].attended)
    p = max(v.positives for v in views)
    q = max(len(v.rows) - 1 - v.positives for v in views)
    columns = [2.3, 1.15, 0.25, *[1.0] * p, 0.3, *[1.0] * q]
    block = [1.15, *[0.78] * len(runs)]
    height = len(views) * (_INCH * sum(block) + 0.5) + 0.55
    figure = Figure(figsize=(_INCH * sum(columns) + 0.2, height))
    outer = figure.add_gridspec(len(views), 1, hspace=0.24, left=0.005, right=0.995, top=1 - 0.75 / height, bottom=0.01)
    for k, view in enumerate(views):
        grid = outer[k].subgridspec(len(block), len(columns), width_ratios=columns, height_ratios=block, wspace=0.05,
                                    hspace=0.1)  # fmt: skip
        _faces(figure, grid, view, images, crops, p)
        for r, run in enumerate(runs):
            _weights(figure, grid, view, run, 1 + r, p)
    keys = [Rectangle((0, 0), 1, 1, color=c) for c in (_LEFT, _KEPT)]
    said = ["attention over all candidates", "kept by refinement; the number is its attention among the kept"]
    figure.legend(keys, said, ncols=2, frameon=False, fontsize=8, loc="upper right")
    return figure


def _faces(
    figure: Any, grid: Any, view: AnchorView, images: Mapping[int, npt.NDArray[np.uint8]], crops: Crops, p: int
) -> None:
    anchor = view.rows[0]
    axes = figure.add_subplot(grid[0, 1])
    _picture(axes, images[anchor], "#333333")
    video, person, frame = view.name.rsplit(":", 2)
    axes.text(-0.12, 0.5, f"anchor\n{video}\nperson {person}, frame {frame}", transform=axes.transAxes, fontsize=7.5,
              ha="right", va="center")  # fmt: skip
    for k, row in enumerate(view.rows[1:]):
        positive = k < view.positives
        color = _POSITIVE if positive else _NEGATIVE
        axes = figure.add_subplot(grid[0, _column(k, view, p)])
        _picture(axes, images[row], color)
        steps = round((int(crops.keys.frame[row]) - int(crops.keys.frame[anchor])) / crops.stride)
        axes.set_title(f"p{crops.keys.person[row]} {steps:+d}" if positive else f"{steps:+d}", fontsize=7, pad=2)
        if k in (0, view.positives):
            what = "P: other people, and steps from T" if positive else "N: the same person, steps from T"
            axes.text(0, 1.27, what, transform=axes.transAxes, fontsize=8, color=color)


def _weights(figure: Any, grid: Any, view: AnchorView, run: str, row: int, p: int) -> None:
    found = view.attended[run]
    most = 1.45 * float(found.before.max())
    for k, (before, after) in enumerate(zip(found.before.tolist(), found.after.tolist(), strict=True)):
        axes = figure.add_subplot(grid[row, _column(k, view, p)])
        axes.bar([0], [before], width=1.0, color=_KEPT if after else _LEFT)
        axes.axhline(0, color="#9aa5a9", lw=0.8)
        if after:
            axes.text(0, before + 0.05 * most, f"{after:.0%}", ha="center", va="bottom", fontsize=7.5, color=_KEPT)
        axes.set(xlim=(-1.1, 1.1), ylim=(0, most))
        axes.axis("off")
    axes = figure.add_subplot(grid[row, 0:2])
    axes.axis("off")
    whole, refined = found.on_positives
    axes.text(0.97, 0.35, f"{run}\non P: {whole:.0%} → {refined:.0%}", ha="right", va="center", fontsize=8,
              transform=axes.transAxes)  # fmt: skip


def _column(k: int, view: AnchorView, p: int) -> int:
    """Column of the k-th candidate: positives, a gap, negatives."""
    return 3 + k if k < view.positives else 4 + p + k - view.positives


def _picture(axes: Axes, image: npt.NDArray[np.uint8], color: str) -> None:
    axes.imshow(image)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=1.6)


def classes(matrices: Mapping[str, npt.NDArray[np.float64]], labels: Sequence[str], chance: float) -> Figure:
    """Draw attention between classes, one matrix per run.

    Args:
        matrices: by run, (K, K), rows sum to 1.
        labels: K.
        chance: attention of an image to its own class if it attends to all images equally.
    """
    k = len(labels)
    side = 0.46 * k + 0.5
    figure = Figure(figsize=(side * len(matrices) + 1.5, side + 1.2), layout="constrained")
    cells = figure.subplots(1, len(matrices), squeeze=False, sharey=True)
    reach = max(2.0, *(100 * float(np.abs(m - 1 / k).max()) for m in matrices.values()))
    for axes, (run, m) in zip(cells.flat, matrices.items(), strict=True):
        shown = axes.imshow(100 * (m - 1 / k), cmap="RdBu_r", vmin=-reach, vmax=reach)
        for i in range(k):
            for j in range(k):
                dark = abs(100 * (m[i, j] - 1 / k)) > 0.65 * reach
                axes.text(j, i, f"{100 * m[i, j]:.0f}", ha="center", va="center", fontsize=7.5,
                          color="white" if dark else "#222222", weight="bold" if i == j else "normal")  # fmt: skip
        axes.set_xticks(range(k), labels, rotation=40, ha="right", fontsize=8)
        axes.set_yticks(range(k), labels, fontsize=8)
        axes.tick_params(length=0)
        axes.set_xlabel("to images of", fontsize=8)
        axes.set_title(f"{run}\nto its own class {np.diag(m).mean():.1%}, by chance {chance:.1%}", fontsize=9)
        axes.spines[:].set_visible(False)
    cells[0, 0].set_ylabel("attention of an image of", fontsize=8)
    bar = figure.colorbar(shown, ax=list(cells.flat), shrink=0.8, pad=0.015)
    bar.set_label("points above or below an equal share", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def embedding(
    maps: Mapping[str, npt.NDArray[np.float64]], labels: npt.NDArray[np.int64], names: Sequence[str],
    table: Sequence[Mapping[str, Any]],
) -> Figure:  # fmt: skip
    """Draw points by class with their centers; all maps share one scale, so spreads are comparable."""
    figure = Figure(figsize=(4.1 * len(maps), 5.0), layout="constrained")
    cells = figure.subplots(1, len(maps), squeeze=False)
    reach = 1.06 * max(float(np.abs(points - _middle(points)).max()) for points in maps.values())
    colors = np.array([_COLORS[label % len(_COLORS)] for label in labels])
    # points overlap, so the drawing order is mixed and no class covers the others
    order = np.random.default_rng(0).permutation(len(labels))
    for axes, (run, points), row in zip(cells.flat, maps.items(), table, strict=True):
        middle = _middle(points)
        axes.scatter(*(points[order] - middle).T, s=15, c=colors[order], alpha=0.65, lw=0)
        for k, name in enumerate(names):
            if (labels == k).any():
                center = points[labels == k].mean(axis=0) - middle
                axes.plot(*center, "X", ms=11, mew=1.3, mec="white", color=_COLORS[k % len(_COLORS)], label=name)
        stress = f", stress {row['stress']:.2f}" if row["stress"] is not None else ""
        axes.set_title(
            f"{run}\nto the class center {row['to_centre']:.3f}, between centers {row['between_centres']:.3f}"
            f"\n(in all dimensions; on this map {row['to_centre_on_map']:.3f}{stress})", fontsize=8.5,
        )  # fmt: skip
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], box_aspect=1)
        axes.spines[:].set_color("#d5dcde")
    handles, said = cells[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, said, loc="outside lower center", ncols=min(4 * len(maps), len(names)), frameon=False, fontsize=9
    )
    return figure


def _middle(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Extent of the rectangle that holds all points."""
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)
