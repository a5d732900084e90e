"""Features of labeled images projected to a plane, and their distances to the class centers.

    u = f / |f|                      distances between images are those of directions, as in training
    MDS: plane points y whose distances come closest to those of u (SMACOF; de Leeuw, 1977)
    mean distance to the class center = mean over images of |u_i − mean of u over its class|

RMFER reports this mean falling from 0.329 (base) over 0.325 (IAL) to 0.291 (ACL) on its own data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError

Points = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
MAPS = ("mds", "tsne")


@dataclass(frozen=True)
class Spread:
    """Spread within classes and distance between them, for points (n, D) in any space."""

    to_centre: float
    """Mean distance of a point to the center of its class."""
    by_class: dict[int, float]
    """The same for each class."""
    between: float
    """Mean distance between class centers; shrinking all distances also shrinks this."""


def unit(features: npt.NDArray[np.floating]) -> Points:
    """Scale each row (D,) to length 1."""
    f = np.asarray(features, np.float64)
    return np.asarray(f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12))


def spread(points: Points, labels: Labels) -> Spread:
    """Compute the spread of points (n, D) with classes (n,)."""
    classes = np.unique(labels)
    centers = np.stack([points[labels == k].mean(axis=0) for k in classes])
    apart = np.linalg.norm(points - centers[np.searchsorted(classes, labels)], axis=1)
    pairs = distances(centers)[np.triu_indices(len(classes), 1)]
    return Spread(
        float(apart.mean()), {int(k): float(apart[labels == k].mean()) for k in classes},
        float(pairs.mean()) if len(pairs) else float("nan"),
    )  # fmt: skip


def distances(points: Points) -> Points:
    """Euclidean distances (n, n) between points (n, D)."""
    square = (points**2).sum(axis=1)
    found = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * points @ points.T, 0))
    np.fill_diagonal(found, 0)
    return np.asarray(found)


def mds(wanted: Points, rounds: int = 300, tolerance: float = 1e-7) -> tuple[Points, float]:
    """Points (n, 2) whose distances come closest to the given ones (n, n), and the residual: Kruskal's stress-1.

    It starts from classical scaling, which is unique, so the same distances give the same map. Each round is a
    Guttman transform, which never increases the stress.
    """
    n = len(wanted)
    centered = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centered @ wanted**2 @ centered)
    y = vectors[:, -1:-3:-1] * np.sqrt(np.maximum(values[-1:-3:-1], 0))
    # the sign of an eigenvector is arbitrary
    y = y * np.where(y[np.abs(y).argmax(axis=0), [0, 1]] < 0, -1, 1)
    scale = max(float((wanted**2).sum()), 1e-300)
    last = np.inf
    for _ in range(rounds):
        apart = distances(y)
        rest = float(((apart - wanted) ** 2).sum()) / scale
        if last - rest < tolerance:
            break
        last = rest
        with np.errstate(divide="ignore", invalid="ignore"):
            b = -np.where(apart > 0, wanted / apart, 0)
        b[np.diag_indices(n)] -= b.sum(axis=1)
        y = b @ y / n
    return y, float(np.sqrt(((distances(y) - wanted) ** 2).sum() / scale))


def on_plane(points: Points, how: str, seed: int) -> tuple[Points, float | None]:
    """Project points (n, D) to (n, 2) by `mds`, or by `tsne`, which preserves neighbors but not distances.

    Returns:
        The points, and for MDS the remaining stress-1.

    Raises:
        UsageError: an unknown map.
    """
    if how == "mds":
        return mds(distances(points))
    if how == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, max(2.0, (len(points) - 1) / 3))
        return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)), None
    raise UsageError(f"expected a map out of {', '.join(MAPS)}, found '{how}'")


def turned_onto(points: Points, labels: Labels, other: Points) -> Points:
    """Rotate and mirror points (n, 2), without scaling, to bring class centers nearest to those of `other` (n, 2).

    The orientation of a map is arbitrary; side by side, the same classes should be in the same places (Procrustes).
    """
    classes = np.unique(labels)
    a, b = (np.stack([p[labels == k].mean(axis=0) for k in classes]) for p in (points, other))
    u, _, v = np.linalg.svd((a - a.mean(axis=0)).T @ (b - b.mean(axis=0)))
    return np.asarray((points - a.mean(axis=0)) @ (u @ v) + b.mean(axis=0))
