"""Masks of layers and overlays, and the label map of a screen."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box
from rmset.synth.layouts import IntBox

NOTHING, FILM_LABEL, COVER_LABEL = -1, -2, -3
"""labels of pixels that show the background, the film, or an overlay"""


@lru_cache(maxsize=256)
def mask(size: tuple[int, int], shape: str, radius: int) -> npt.NDArray[np.float32]:
    """Coverage (H, W), 0 to 1, of a shape that fills `size` (width, height)."""
    width, height = size
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    if shape == "round":
        rx, ry = width / 2, height / 2
        off = np.hypot((x - rx) / rx, (y - ry) / ry)
        return np.asarray(np.clip((1 - off) * min(rx, ry) + 0.5, 0, 1), np.float32)
    if shape == "rounded" and radius:
        dx = np.maximum(radius - np.minimum(x, width - x), 0)
        dy = np.maximum(radius - np.minimum(y, height - y), 0)
        return np.asarray(np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1), np.float32)
    return np.ones((height, width), np.float32)


def label_map(
    frame_size: tuple[int, int], layers: Iterable[tuple[int, IntBox, str, int]], covers: Iterable[IntBox] = ()
) -> npt.NDArray[np.int16]:
    """Label each pixel, int16 (H, W): a person's number, or one of the labels of this module.

    Args:
        frame_size: (width, height).
        layers: (label, box, shape, radius of the corners), later ones over earlier ones.
        covers: boxes of overlays.
    """
    width, height = frame_size
    labels = np.full((height, width), NOTHING, np.int16)
    for label, (x0, y0, x1, y1), shape, radius in layers:
        inside = mask((x1 - x0, y1 - y0), shape, radius) >= 0.5
        labels[y0:y1, x0:x1][inside] = label
    for x0, y0, x1, y1 in covers:
        labels[max(0, y0) : y1, max(0, x0) : x1] = COVER_LABEL
    return labels


def share_shown(labels: npt.NDArray[np.int16], label: int, box: Box) -> float:
    """Share of a box, 0 to 1, whose pixels have a label; pixels beyond the frame have none."""
    height, width = labels.shape
    x0, y0, x1, y1 = (round(v) for v in box)
    whole = (x1 - x0) * (y1 - y0)
    inside = labels[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
    return float((inside == label).sum()) / whole if whole > 0 else 0.0
