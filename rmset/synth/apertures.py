"""Openings of a face: lips over the teeth, lids over the eyes.

These are occlusions: closing lips cover the teeth instead of squeezing them. In each column of pixels the margin of a
lip or lid is moved, and the skin beyond it is stretched along, fading out with distance. This is done in the photo's
own geometry, where the margins are parabolas between known corners; smooth moves are applied later.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rmset.synth.arrays import Field, Image, f32, look_up, u8
from rmset.synth.photo import ORIGIN, SCALE

_DARK = f32([46, 16, 18])
_TONGUE = f32([150, 72, 72])


@dataclass(frozen=True)
class _Window:
    """A rectangle of the canvas with the photo coordinates of its pixels: x (1, w), y (h, 1)."""

    rows: slice
    columns: slice
    x: Field
    y: Field

    @classmethod
    def around(cls, x0: int, y0: int, x1: int, y1: int) -> _Window:
        """Return the window of canvas pixels that show a rectangle of the photo."""
        rows = slice(int((y0 - ORIGIN[1]) * SCALE), int((y1 - ORIGIN[1]) * SCALE))
        columns = slice(int((x0 - ORIGIN[0]) * SCALE), int((x1 - ORIGIN[0]) * SCALE))
        x = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5) / SCALE + ORIGIN[0] - 0.5
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) / SCALE + ORIGIN[1] - 0.5
        return cls(rows, columns, x[None, :].astype(np.float32), y[:, None].astype(np.float32))

    def look_up(self, canvas: Image, source_y: Field) -> Image:
        """Return the window's pixels, each taken from another height of the same column of the canvas."""
        at = np.empty((*source_y.shape, 2), np.float32)
        at[..., 0] = np.arange(self.columns.start, self.columns.stop)
        at[..., 1] = (source_y - ORIGIN[1] + 0.5) * SCALE - 0.5
        return u8(look_up(canvas, at, cv2.BORDER_REPLICATE))


@dataclass(frozen=True)
class _Eye:
    """An eye between its corners; the margins of the lids are parabolas over the line between them."""

    x0: float
    x1: float
    corner_y: tuple[float, float]
    upper: float
    """height of the upper lid's margin over that line, photo pixels"""
    lower: float

    def margins(self, x: Field) -> tuple[Field, Field]:
        """Vertical positions (1, w) of upper and lower margin; equal outside the corners."""
        t = (x - self.x0) / (self.x1 - self.x0)
        line = self.corner_y[0] + np.clip(t, 0, 1) * (self.corner_y[1] - self.corner_y[0])
        arc = np.clip(4 * t * (1 - t), 0, 1) ** 0.8
        return line - self.upper * arc, line + self.lower * arc


_EYES = (_Eye(191.0, 212.5, (101.0, 102.5), 4.6, 3.0), _Eye(235.8, 259.0, (104.5, 103.5), 5.0, 4.0))
_EYE_WINDOWS = (_Window.around(184, 82, 220, 118), _Window.around(228, 84, 266, 120))
_MOUTH_WINDOW = _Window.around(194, 124, 256, 178)
_MOUTH = (225.0, 22.0)
"""middle and half width of the mouth, photo pixels"""


def open_eyes(canvas: Image, out: Image, lids: float, widen: float) -> None:
    """Draw both eyes of `canvas` into `out`, (H, W, 4) uint8 each.

    Args:
        canvas: texture with the eyes as photographed.
        out: texture to draw into.
        lids: 0 as photographed, 1 closed.
        widen: 0 as photographed, 1 wide open.
    """
    for eye, window in zip(_EYES, _EYE_WINDOWS, strict=True):
        upper, lower = eye.margins(window.x)
        height = lower - upper
        # lids meet below the middle, and the lower one comes up a little
        margin = upper + np.clip(lids, 0, 1) * 0.96 * height - widen * 0.24 * height
        bottom = lower + widen * 0.07 * height
        skin = window.y + (upper - margin) * _fade((margin - window.y) / 11.0)
        below = window.y + (lower - bottom) * _fade((window.y - bottom) / 8.0)
        # a widened eye shows more of the eyeball, so it is stretched; a closing eye covers it, so it stays
        ball = upper + (window.y - margin) * height / np.maximum(bottom - margin, 1e-3) if widen > 0 else window.y
        source = np.where(window.y < margin, skin, np.where(window.y > bottom, below, ball))
        out[window.rows, window.columns] = window.look_up(canvas, source)


def open_mouth(canvas: Image, out: Image, smile: float, jaw: float, parted: float = 0.0) -> None:
    """Draw the mouth of `canvas` into `out`, (H, W, 4) uint8 each.

    Args:
        canvas: texture with the mouth as photographed, smiling.
        out: texture to draw into.
        smile: 0 lips closed, 1 teeth as photographed.
        jaw: 0 as it is, 1 wide open and dark inside.
        parted: 0 to 1, lips apart over the teeth without a smile.
    """
    window, (middle, half) = _MOUTH_WINDOW, _MOUTH
    t = (window.x - middle) / half
    arc = np.clip(1 - t * t, 0, 1)
    upper, lower = 140.2 + 3.5 * arc, 140.5 + 9.0 * arc
    shown = float(np.clip(smile + parted, 0, 1))
    round_arc = np.sqrt(np.clip(1 - (t / 0.92) ** 2, 0, 1))
    seam = upper + 0.42 * (lower - upper)
    top = seam - shown * (seam - upper) - jaw * 2.6 * round_arc
    bottom = seam + shown * (lower - seam) + jaw * 12.5 * round_arc
    above = window.y + (upper - top) * _fade((top - window.y) / 9.0)
    below = window.y + (lower - bottom) * _fade((window.y - bottom) / (14.0 + 14.0 * jaw))
    # an open jaw leaves the upper lip hanging over half of the teeth
    hidden = min(1.0, 2 * jaw) * (1 - smile) * 0.45 * (lower - upper)
    inside = np.minimum(np.maximum(window.y, upper + 0.2) + hidden, lower)
    source = np.where(window.y < top, above, np.where(window.y > bottom, below, inside))
    patch = window.look_up(canvas, source).astype(np.float32)
    gap = np.clip((window.y - top) * 1.2, 0, 1) * np.clip((bottom - window.y) * 1.2, 0, 1)
    teeth_end = np.clip((window.y + hidden - lower + 1.0) / 1.6, 0, 1)
    dark = (gap * np.maximum(teeth_end, np.clip(1.0 - 12.0 * arc, 0, 1)) * min(1.0, 3.0 * jaw))[..., None]
    tongue = np.clip((window.y - (bottom - 6.0 * jaw)) / 6.0, 0, 1)[..., None] * 0.75
    patch[..., :3] = patch[..., :3] * (1 - dark) + (_DARK * (1 - tongue) + _TONGUE * tongue) * dark
    # closed lips meet in a dark line
    line = np.exp(-(((window.y - seam) / 0.75) ** 2)) * (1 - shown) * (1 - min(1.0, 3 * jaw)) * np.sqrt(arc)
    patch[..., :3] *= 1 - 0.5 * line[..., None]
    out[window.rows, window.columns] = u8(patch)


def _fade(distance: Field) -> Field:
    """1 at the margin, 0 from distance 1 on, smooth in between."""
    d = np.clip(distance, 0, 1)
    return np.asarray((1 - d) ** 2 * (1 + 2 * d), np.float32)
