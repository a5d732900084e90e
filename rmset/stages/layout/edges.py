"""Edges between pictures, from a few frames of one layout.

Inside a picture neighboring pixels change together; across the edge of a panel they change independently. So a line
between two pixels is evidence *for* an edge where the two change independently (or differ by a lasting step),
*against* it where they change together, and neither where nothing is visible (black beside black, a plain wall). A
film grows darker together with its blur behind the panels. Only a *crisp* lasting step separates the two: drawn
edges end from one pixel to the next. Pictures have crisp steps too, so these count only along a line of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.frames import Gray
from rmset.threads import at_once

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, half-open"""
_Sums = npt.NDArray[np.floating]

# Smallest standard deviation over time of a moving pixel, gray levels.
MOVES = 6.0
# Share of two neighbors' variance that is left in their difference: 0 if they move as one, 1 if independently.
_APART, _TOGETHER = 0.55, 0.3
# Least step between two still pixels, gray levels.
_STEP = 6.0
# Least ratio of a crisp step to the steps beside it.
_CRISP = 4.0
# Frames added at once, and rows of a band that one thread adds; neither changes the sums, which are of whole numbers.
_AT_ONCE, _BAND = 8, 64


class FrameSums:
    """Running sums over frames: six float images for any number of frames."""

    def __init__(self, height: int, width: int) -> None:
        self.count = 0
        self.value, self.square = (np.zeros((height, width), np.float32) for _ in range(2))
        self.step_v, self.step_v2 = (np.zeros((height, width - 1), np.float32) for _ in range(2))
        self.step_h, self.step_h2 = (np.zeros((height - 1, width), np.float32) for _ in range(2))

    @classmethod
    def of(cls, grays: Iterator[Gray]) -> FrameSums | None:
        """Return the sums over frames uint8 (H, W); None without a frame."""
        sums: FrameSums | None = None
        while few := list(islice(grays, _AT_ONCE)):
            sums = sums or cls(*few[0].shape)
            sums.add(few)
        return sums

    def add(self, grays: Sequence[Gray]) -> None:
        """Add frames uint8 (H, W)."""
        self.count += len(grays)
        at_once(partial(self._add, grays, top) for top in range(0, len(self.value), _BAND))

    def _add(self, grays: Sequence[Gray], top: int) -> None:
        """Add a band of rows of all frames."""
        end = top + _BAND
        for gray in grays:
            band, below = gray[top:end], gray[top : end + 1]
            across, down = cv2.absdiff(band[:, 1:], band[:, :-1]), cv2.absdiff(below[1:], below[:-1])
            for part, sums, squares in (
                (band, self.value, self.square),
                (across, self.step_v, self.step_v2),
                (down, self.step_h, self.step_h2),
            ):
                # The last band may have no row below it.
                if part.size:
                    cv2.accumulate(part, sums[top:end])
                    cv2.accumulateSquare(part, squares[top:end])

    @property
    def spread(self) -> npt.NDArray[np.float32]:
        """Standard deviation (H, W) over time, gray levels."""
        n = max(1, self.count)
        return np.asarray(np.sqrt(np.maximum(self.square / n - (self.value / n) ** 2, 0)), np.float32)

    def merged(self, other: FrameSums) -> FrameSums:
        """Return the sums over the frames of both."""
        both = FrameSums(*self.value.shape)
        both.count = self.count + other.count
        for name in ("value", "square", "step_v", "step_v2", "step_h", "step_h2"):
            getattr(both, name)[:] = getattr(self, name) + getattr(other, name)
        return both


@dataclass(frozen=True)
class LineMap:
    """Evidence about lines of one direction, laid out so that a line runs down a column.

    For horizontal lines everything is transposed: `length` is then x and `at` is y.
    """

    speaks_for: npt.NDArray[np.bool_]
    """bool (length, lines): line `i` lies between pixels i and i + 1"""
    against: npt.NDArray[np.bool_]
    """bool (length, lines)"""
    apart: npt.NDArray[np.bool_]
    """bool (length, lines): the part of `speaks_for` that is due to independent motion, not to a lasting step"""
    crisp: npt.NDArray[np.bool_]
    """bool (length, lines): a crisp lasting step, though both sides move together"""
    step: npt.NDArray[np.float32]
    """float32 (length, lines): mean gray difference; it is largest exactly at an edge"""


@dataclass(frozen=True)
class Evidence:
    """Evidence of some frames about every pixel and every line between pixels."""

    vertical: LineMap
    horizontal: LineMap
    mean: npt.NDArray[np.float32]
    """float32 (H, W), gray"""
    spread: npt.NDArray[np.float32]
    """float32 (H, W): standard deviation over time, gray levels"""

    @classmethod
    def of(cls, sums: FrameSums) -> Evidence:
        """Compute the evidence from the sums of two frames or more.

        A single frame has no motion, so it gives only lasting steps.
        """
        n = max(1, sums.count)
        mean = sums.value / n
        variance = np.maximum(sums.square / n - mean**2, 0)
        vertical, horizontal = at_once(
            [
                lambda: _lines(sums.step_v / n, sums.step_v2 / n, mean, variance),
                lambda: _lines((sums.step_h / n).T, (sums.step_h2 / n).T, mean.T, variance.T),
            ]
        )
        return cls(vertical, horizontal, np.asarray(mean, np.float32), np.sqrt(variance))

    @property
    def moving(self) -> npt.NDArray[np.bool_]:
        """Flags of moving pixels, bool (H, W)."""
        return self.spread >= MOVES


def _lines(step: _Sums, square: _Sums, mean: _Sums, variance: _Sums) -> LineMap:
    """Evidence for lines between columns."""
    jump = mean[:, 1:] - mean[:, :-1]
    own = variance[:, 1:] + variance[:, :-1]
    moves = np.maximum(variance[:, 1:], variance[:, :-1]) >= MOVES**2
    share = np.divide(np.maximum(square - jump**2, 0), own, out=np.zeros_like(own), where=own > 1e-6)
    apart = moves & (share >= _APART)
    held = np.abs(jump) >= _STEP
    together = moves & (share <= _TOGETHER)
    beside = np.maximum(np.pad(step, ((0, 0), (1, 0)))[:, :-1], np.pad(step, ((0, 0), (0, 1)))[:, 1:])
    crisp = held & together & (step >= _CRISP * beside)
    return LineMap(apart | (held & ~together), together & ~held, apart, crisp, np.ascontiguousarray(step, np.float32))
