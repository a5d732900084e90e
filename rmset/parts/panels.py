"""Panels of a mashup: rectangles whose edges stay put while their insides change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box

Grey = npt.NDArray[np.uint8]
"""uint8 (H, W)"""

# A step of so many grey levels that lasts through half of the samples counts as an edge.
_STEP = 6
# A line cuts a rectangle when so much of its length is an edge.
_LASTING = 0.72
# Rectangles thinner than this share of the frame's shorter side are borders, not panels.
_THIN = 0.1


@dataclass(frozen=True)
class Edges:
    """How strongly the picture steps at every line between pixels, for as long as it was watched."""

    vertical: npt.NDArray[np.bool_]
    """bool (H, W-1): a lasting step between columns x and x + 1"""
    horizontal: npt.NDArray[np.bool_]
    """bool (H-1, W)"""

    @classmethod
    def of(cls, samples: Sequence[Grey]) -> Edges:
        """Steps that are there in at least half of the samples, all uint8 (H, W)."""
        count_v = np.zeros((samples[0].shape[0], samples[0].shape[1] - 1), np.uint16)
        count_h = np.zeros((samples[0].shape[0] - 1, samples[0].shape[1]), np.uint16)
        for sample in samples:
            grey = sample.astype(np.int16)
            count_v += np.abs(np.diff(grey, axis=1)) >= _STEP
            count_h += np.abs(np.diff(grey, axis=0)) >= _STEP
        least = len(samples) / 2
        return cls(count_v >= least, count_h >= least)


def find(samples: Sequence[Grey]) -> list[Box]:
    """Cut the frame along lasting lines until no rectangle has one; reading order, borders left out.

    Args:
        samples: frames of one layout, uint8 (H, W) grey, some seconds apart.
    """
    edges = Edges.of(samples)
    height, width = samples[0].shape
    thin = _THIN * min(width, height)
    leaves: list[tuple[int, int, int, int]] = []
    todo = [(0, 0, width, height)]
    while todo:
        rect = todo.pop()
        cut = _best_cut(edges, rect)
        if cut is None:
            leaves.append(rect)
            continue
        axis, at = cut
        x0, y0, x1, y1 = rect
        todo += [(x0, y0, at, y1), (at, y0, x1, y1)] if axis == 0 else [(x0, y0, x1, at), (x0, at, x1, y1)]
    kept = [r for r in leaves if min(r[2] - r[0], r[3] - r[1]) >= thin]
    return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in sorted(kept, key=lambda r: (r[1], r[0]))]


def _best_cut(edges: Edges, rect: tuple[int, int, int, int]) -> tuple[int, int] | None:
    """(axis, position) of the line along which most of the rectangle's length is an edge."""
    x0, y0, x1, y1 = rect
    best: tuple[float, int, int] | None = None
    for axis, steps, low, high in (
        (0, edges.vertical[y0:y1, x0 : x1 - 1], x0, x1),
        (1, edges.horizontal[y0 : y1 - 1, x0:x1].T, y0, y1),
    ):
        if steps.shape[1] < 3:
            continue
        # Compression smears a line over two columns; either will do.
        lasting = (steps[:, :-1] | steps[:, 1:]).mean(axis=0)
        at = int(lasting.argmax())
        # Of the two columns, the one with more of the line.
        at += int(steps[:, at + 1].mean() > steps[:, at].mean())
        share = float(lasting.max())
        position = low + at + 1
        if share >= _LASTING and low < position < high and (best is None or share > best[0]):
            best = (share, axis, position)
    return None if best is None else (best[1], best[2])
