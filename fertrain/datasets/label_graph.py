"""Graph of images with like auxiliary labels (action units, landmarks): nearest neighbors in a table of numbers.

The table has one row per image: its name, as in the data set or as the bare file name, and columns of numbers, such as
the intensities of action units that OpenFace or py-feat writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from .label_table import read_table

_AT_ONCE = 1024


@dataclass(frozen=True)
class LabelGraph:
    """Neighbors of each image."""

    neighbors: npt.NDArray[np.int64]
    """(N, k) rows of the nearest images; the image's own row where it has none."""
    weights: npt.NDArray[np.float32]
    """(N, k) a_ik = exp(−d_ik² / 2σ²), rows sum to 1; 0 for images that the table does not name."""


def read_graph(path: Path, names: Sequence[str], k: int) -> LabelGraph:
    """Link each image to the k images with the nearest auxiliary labels.

    Args:
        path: the table.
        names: image names of the data set.
        k: neighbors of an image; fewer if the table names fewer.

    Raises:
        DatasetError: not a table of numbers, or it names fewer than two of the images.
    """
    if not path.is_file():
        raise DatasetError(f"expected a table of auxiliary labels, found none at {path}")
    table = read_table(path)
    image = table.column("image", {})
    columns = [column for column in table.columns if column != image]
    if not columns:
        raise DatasetError(f"expected columns of numbers beside {image} in {path}, found none")
    found: dict[str, list[float]] = {}
    for row in table.rows:
        try:
            values = [float(row.cells[column]) for column in columns]
        except ValueError:
            values = [float("nan")]
        if not np.isfinite(values).all():
            raise DatasetError(f"expected finite numbers in {', '.join(columns[:6])} of {table.at(row)}, found others")
        found[row.cells[image]] = values
    own = [found.get(name, found.get(Path(name).name)) for name in names]
    known = np.flatnonzero([values is not None for values in own])
    if len(known) < 2:
        raise DatasetError(
            f"expected names of the training images, such as {names[0]}, in {path}, found {len(known)} of {len(names)}"
        )
    vectors = np.asarray([values for values in own if values is not None], dtype=np.float64)
    near, weights = nearest(vectors, min(k, len(known) - 1))
    neighbors = np.repeat(np.arange(len(names))[:, None], near.shape[1], axis=1)
    graph = np.zeros(neighbors.shape, np.float32)
    neighbors[known], graph[known] = known[near], weights
    return LabelGraph(neighbors, graph)


def nearest(vectors: npt.NDArray[np.float64], k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find the k nearest rows of each row, with weights exp(−d² / 2σ²) that sum to 1: two arrays (n, k).

    Columns are standardized first; σ² is the mean squared distance to the neighbors found. Ties go to the first row.
    """
    spread = vectors.std(axis=0)
    x = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)
    squares = (x**2).sum(axis=1)
    rows, distances = [], []
    for start in range(0, len(x), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        d = np.maximum(squares[part, None] + squares - 2 * x[part] @ x.T, 0)
        own = np.arange(len(d))
        d[own, start + own] = np.inf
        order = np.argsort(d, axis=1, kind="stable")[:, :k]
        rows.append(order)
        distances.append(np.take_along_axis(d, order, axis=1))
    near, d = np.concatenate(rows), np.concatenate(distances)
    weights = np.exp(-d / (2 * max(float(d.mean()), 1e-12)))
    return near.astype(np.int64), (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
