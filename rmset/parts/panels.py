"""Panels of a mashup: rectangles whose edges stay put while their insides change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box

Grey = npt.NDArray[np.uint8]
"""uint8 (H, W)"""
_Rect = tuple[int, int, int, int]

# A step of so many grey levels that lasts through half of the samples counts as an edge.
_STEP = 6
# A line cuts a rectangle when so much of its length is an edge.
_LASTING = 0.72
# Rectangles thinner than this share of the frame's shorter side are borders, not panels.
_THIN = 0.1
# A pixel moves when its grey values over time spread by so much; a place is alive when so much of it moves.
_MOVES, _ALIVE = 6.0, 0.02
# A place whose grey values spread by less is a plain border or an empty cell.
_FLAT = 3.0


@dataclass(frozen=True)
class Evidence:
    """What a handful of frames says about every pixel and every line between pixels."""

    vertical: npt.NDArray[np.bool_]
    """bool (H, W-1): a lasting step between columns x and x + 1"""
    horizontal: npt.NDArray[np.bool_]
    """bool (H-1, W)"""
    moving: npt.NDArray[np.bool_]
    """bool (H, W)"""
    mean: npt.NDArray[np.float32]
    """float32 (H, W), grey"""

    @classmethod
    def of(cls, samples: Sequence[Grey]) -> Evidence:
        """Gather it from frames uint8 (H, W) that lie some seconds apart."""
        height, width = samples[0].shape
        steps_v, steps_h = np.zeros((height, width - 1), np.uint16), np.zeros((height - 1, width), np.uint16)
        first, second = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
        for sample in samples:
            grey = sample.astype(np.int16)
            steps_v += np.abs(np.diff(grey, axis=1)) >= _STEP
            steps_h += np.abs(np.diff(grey, axis=0)) >= _STEP
            first += grey
            second += grey.astype(np.float32) ** 2
        mean = first / len(samples)
        spread = np.sqrt(np.maximum(second / len(samples) - mean**2, 0))
        half = len(samples) / 2
        return cls(steps_v >= half, steps_h >= half, spread >= _MOVES, mean)

    def is_place_of_its_own(self, rect: _Rect) -> bool:
        """Whether something moves in the rectangle, or it is plain; a static wall beside a person is neither."""
        x0, y0, x1, y1 = rect
        inside = self.mean[y0:y1, x0:x1]
        return bool(self.moving[y0:y1, x0:x1].mean() >= _ALIVE or inside.std() < _FLAT)


def find(samples: Sequence[Grey]) -> list[Box]:
    """Cut the frame along lasting lines until no rectangle has one; reading order, borders left out.

    Args:
        samples: frames of one layout, uint8 (H, W) grey, some seconds apart.
    """
    evidence = Evidence.of(samples)
    height, width = samples[0].shape
    thin = _THIN * min(width, height)
    leaves: list[_Rect] = []
    todo: list[_Rect] = [(0, 0, width, height)]
    while todo:
        rect = todo.pop()
        halves = _best_cut(evidence, rect)
        if halves is None:
            leaves.append(rect)
        else:
            todo += halves
    kept = [r for r in leaves if min(r[2] - r[0], r[3] - r[1]) >= thin]
    return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in sorted(kept, key=lambda r: (r[1], r[0]))]


def _best_cut(evidence: Evidence, rect: _Rect) -> tuple[_Rect, _Rect] | None:
    """The two parts on either side of the line along which most of the rectangle's length is an edge."""
    x0, y0, x1, y1 = rect
    candidates: list[tuple[float, _Rect, _Rect]] = []
    for axis, steps in (
        (0, evidence.vertical[y0:y1, x0 : x1 - 1]),
        (1, evidence.horizontal[y0 : y1 - 1, x0:x1].T),
    ):
        if steps.shape[1] < 3:
            continue
        single = steps.mean(axis=0)
        # Compression smears a line over two columns; either will do.
        lasting = (steps[:, :-1] | steps[:, 1:]).mean(axis=0)
        for at in np.flatnonzero(lasting >= _LASTING):
            cut = int(at) + int(single[at + 1] > single[at]) + 1
            if axis == 0:
                halves = (x0, y0, x0 + cut, y1), (x0 + cut, y0, x1, y1)
            else:
                halves = (x0, y0, x1, y0 + cut), (x0, y0 + cut, x1, y1)
            candidates.append((float(lasting[at]), *halves))
    for _, one, other in sorted(candidates, key=lambda c: -c[0]):
        if evidence.is_place_of_its_own(one) and evidence.is_place_of_its_own(other):
            return one, other
    return None
