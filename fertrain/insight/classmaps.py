"""A figure of class maps: where the network looks, over the mean face of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from .attribution import ClassMap


def class_maps(maps: Sequence[ClassMap], title: str, path: Path) -> None:
    """Each class's map over its mean face."""
    columns = min(4, max(1, len(maps)))
    rows = max(1, -(-len(maps) // columns))
    figure, axes = plt.subplots(rows, columns, figsize=(2.5 * columns, 2.8 * rows), layout="constrained", squeeze=False)
    for cell in axes.flat:
        cell.axis("off")
    for cell, found in zip(axes.flat, maps, strict=False):
        side = found.face.shape[0]
        cell.imshow(found.face, cmap="gray", vmin=0, vmax=1)
        cell.imshow(
            found.values, cmap="inferno", alpha=0.55, vmin=0, vmax=max(float(found.values.max()), 1e-9),
            extent=(-0.5, side - 0.5, side - 0.5, -0.5),
        )  # fmt: skip
        cell.set_title(f"{found.label}, n = {found.images}\nlargest {found.values.max():.2f}", fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=130)
    plt.close(figure)
