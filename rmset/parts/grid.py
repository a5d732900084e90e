"""The pixels of a released frame, found again in the frames of another encoding of the video.

A crop's window is rounded to whole pixels. Rounded to the pixels of another encoding it is another window, off by up to
half a pixel on each side, which costs 1 to 2 dB. So a rebuilt crop takes the window in whole pixels of the released
frame, and samples the other encoding between its pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.geometry import Box

Samples = npt.NDArray[np.uint8]
"""uint8 (H, W) or (H, W, 3)"""
Window = tuple[int, int, int, int]
# Shrinking by less than this needs no averaging.
_ALIKE = 1.05


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a released frame lie in a frame of this encoding."""

    width: int
    """of the released frame, px"""
    height: int
    left: float
    """position of the released frame's left edge here, px"""
    top: float
    scale_x: float
    """px here by px of the released frame"""
    scale_y: float

    def __post_init__(self) -> None:
        """Check the values."""
        values = (self.width, self.height, self.left, self.top, self.scale_x, self.scale_y)
        if not all(map(math.isfinite, values)) or min(self.width, self.height, self.scale_x, self.scale_y) <= 0:
            raise UsageError(f"export: expected a grid of finite numbers, its sizes and scales above 0, found {self}")

    def box(self, box: Box) -> Box:
        """Map a box from this encoding to the grid."""
        x0, y0, x1, y1 = box
        return (
            (x0 - self.left) / self.scale_x, (y0 - self.top) / self.scale_y,
            (x1 - self.left) / self.scale_x, (y1 - self.top) / self.scale_y,
        )  # fmt: skip

    def here(self, window: Window) -> Box:
        """Map a window of the grid to this encoding."""
        x0, y0, x1, y1 = window
        return (
            self.left + x0 * self.scale_x, self.top + y0 * self.scale_y,
            self.left + x1 * self.scale_x, self.top + y1 * self.scale_y,
        )  # fmt: skip

    def within(self, grid: Grid) -> Grid:
        """Return this grid of a frame that itself is found again by another."""
        return Grid(
            self.width, self.height, grid.left + self.left * grid.scale_x, grid.top + self.top * grid.scale_y,
            self.scale_x * grid.scale_x, self.scale_y * grid.scale_y,
        )  # fmt: skip

    def sample(self, samples: Samples, window: Window) -> Samples:
        """Return a window of the grid, sampled from a frame of this encoding.

        Args:
            samples: the frame, or its luma.
            window: whole pixels of the grid, half-open.

        Returns:
            uint8 (h, w) or (h, w, 3), of the window's size.
        """
        x0, y0, x1, y1 = window
        size = (x1 - x0, y1 - y0)
        # Where several pixels become one, they are sampled more finely, then averaged.
        finer = [1 if scale < _ALIKE else math.ceil(scale) for scale in (self.scale_x, self.scale_y)]
        sx, sy = self.scale_x / finer[0], self.scale_y / finer[1]
        left, top, _, _ = self.here(window)
        at = np.array([[sx, 0, left + sx / 2 - 0.5], [0, sy, top + sy / 2 - 0.5]])
        fine = (size[0] * finer[0], size[1] * finer[1])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        taken = cv2.warpAffine(samples, at, fine, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        if fine != size:
            taken = cv2.resize(taken, size, interpolation=cv2.INTER_AREA)
        return np.asarray(taken, dtype=np.uint8)
