"""Figures beyond a run's own: agreement of taggers, sheets of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

from .taggers import PUBLISHED, Agreement


def agreements(found: Sequence[Agreement], path: Path) -> None:
    """Agreement by number of taggers, ours and the published numbers."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.plot([a.taggers for a in found], [100 * a.agreement for a in found], "o-", color="#1f6f8b", label="ours")
    axes.plot(
        list(PUBLISHED), [100 * v for v in PUBLISHED.values()], "s--", color="#c8553d",
        label="published (definition not known)",
    )  # fmt: skip
    axes.set(xlabel="taggers", ylabel="agree with the plurality of all votes, %", ylim=(0, 102))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks([a.taggers for a in found])
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]], captions: Sequence[str], path: Path, columns: int = 8
) -> None:
    """Images (H, W, 1 or 3) with a caption each. For the user's own eyes: they may show real people."""
    rows = max(1, -(-len(images) // columns))
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.45 * columns, 1.9 * rows), layout="constrained", squeeze=False
    )
    for cell in axes.flat:
        cell.axis("off")
    for cell, image, caption in zip(axes.flat, images, captions, strict=False):
        cell.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        cell.set_title(caption, fontsize=6, linespacing=1.2)
    figure.savefig(path, dpi=130)
    plt.close(figure)
