"""Accuracy on parts of a split: by light, sharpness and size of the picture, by pose, and by subject where named.

Pictures are measured as they are stored, before they are resized: brightness, sharpness and yaw as in `rmset export`,
size as the shorter side. A measure is cut at its quartiles; equal values stay together. Pictures in which no face is
found are a slice of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.parts.cropping import quality
from rmset.progress import Progress, silent

from ..datasets.base import Split
from ..datasets.images import decode
from .metrics import reliability
from .pose import yaw_of

LEAST = 10
"""Images from which a subject is a slice; ours."""
_PARTS = 4
_Z = 1.959964


def slice_rows(
    split: Split, probabilities: npt.NDArray[np.float64], progress: Progress = silent
) -> list[dict[str, Any]]:
    """Return one row per slice, worst first: by, slice, n, accuracy, its 95 % interval (Wilson's), difference, ECE.

    Args:
        split: the images.
        probabilities: (N, K) predictions in the split's label order.
        progress: progress callback.
    """
    right = probabilities.argmax(axis=1) == split.classes
    rows = []
    for by, name, member in _slices(split, progress):
        n = int(member.sum())
        low, high = wilson(int(right[member].sum()), n)
        rows.append({
            "by": by, "slice": name, "n": n, "accuracy": round(float(right[member].mean()), 6), "low": round(low, 6),
            "high": round(high, 6), "difference": round(float(right[member].mean() - right.mean()), 6),
            "ece": round(reliability(probabilities[member], split.classes[member]).ece, 6),
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["accuracy"], row["by"], row["slice"]))


def _slices(split: Split, progress: Progress) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Yield name and members of each slice that is not the whole split."""
    for by, values in measured(split, progress).items():
        known = np.isfinite(values)
        if 0 < (~known).sum() < len(split):
            yield by, "no face found", ~known
        if not known.any():
            continue
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _PARTS + 1)))
        for k, (low, high) in enumerate(pairwise(edges)):
            inside = (values >= low) & ((values < high) | (k == len(edges) - 2))
            if 0 < inside.sum() < len(split):
                yield by, f"{low:.3g} to {high:.3g}", inside
    if "subject" in split.groups:
        subjects = np.array(split.groups["subject"])
        for name in np.unique(subjects):
            if LEAST <= (subjects == name).sum() < len(split):
                yield "subject", str(name), subjects == name


def measured(split: Split, progress: Progress = silent) -> dict[str, npt.NDArray[np.float64]]:
    """Measure every picture.

    Returns:
        `light` (brightness, 0 to 1), `sharpness` (variance of the Laplacian), `size` (shorter side, px) and `pose`
        (|yaw|: 0 frontal, 1 profile; NaN if no face is found), each float64 (N,).
    """
    found: dict[str, list[float]] = {"light": [], "sharpness": [], "size": [], "pose": []}
    for done, name in enumerate(split.names, start=1):
        data = split.source.get(name)
        gray = decode(data, name, gray=True)[:, :, 0]
        sharpness, light = quality(gray)
        found["light"].append(light)
        found["sharpness"].append(sharpness)
        found["size"].append(float(min(gray.shape)))
        found["pose"].append(abs(yaw_of(decode(data, name, gray=False))))
        if done % 100 == 0 or done == len(split.names):
            progress("measure pictures", done, len(split.names))
    return {key: np.array(values) for key, values in found.items()}


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927).

    >>> [round(v, 3) for v in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not n:
        return 0.0, 1.0
    p, z = right / n, _Z
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))
