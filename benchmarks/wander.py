"""Clips that move in their panels by known transforms: the truth stays exact while tracking becomes hard.

The picture sways, comes nearer, tilts a little, is covered by a cup from time to time, and is absent once. A source
frame's exact box is mapped by the same transform; a tilted face keeps an upright box of its size around its rotated
center, like a detector's box.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rmset.synth.arrays import Box, f32, u8
from rmset.synth.panels import PanelFrame, PanelSource


@dataclass(frozen=True)
class Wander:
    """Periodic motion of one person, with its own phase."""

    phase: float
    sway: float = 0.10
    """share of the panel's sides"""
    zoom: float = 0.12
    """share by which the picture grows and shrinks"""
    lean: float = 5.0
    """degrees"""
    period: float = 4.0
    """seconds"""
    cup_every: float = 11.0
    """seconds; a cup covers the mouth for one second"""
    away_at: float = 27.0
    """seconds; the person is gone for three seconds"""


class Wanderer:
    """Panel source that moves another source."""

    def __init__(self, source: PanelSource, wander: Wander, fps: float) -> None:
        self._source, self._wander, self._fps = source, wander, fps

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the moved picture and box; no box while the person is absent or covered."""
        w, t = self._wander, index / self._fps
        angle = 2 * np.pi * t / w.period + w.phase
        shown = self._source.frame(index, size)
        scale = 1 + w.zoom * np.sin(angle * 0.7)
        dx, dy = w.sway * size[0] * np.sin(angle), w.sway * 0.6 * size[1] * np.sin(angle * 1.3)
        matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), w.lean * np.sin(angle * 0.5), scale)
        matrix[:, 2] += (dx, dy)
        image = u8(cv2.warpAffine(shown.image, f32(matrix), size, flags=cv2.INTER_LINEAR))
        if w.away_at <= t < w.away_at + 3:
            return PanelFrame(np.full_like(image, 60))
        box = None if shown.box is None else _moved(shown.box, matrix, scale)
        if box is not None and (t + w.phase) % w.cup_every < 1:
            x, y = (box[0] + box[2]) / 2, box[1] + 0.78 * (box[3] - box[1])
            axes = (int((box[2] - box[0]) * 0.34), int((box[3] - box[1]) * 0.26))
            cv2.ellipse(image, (int(x), int(y)), axes, 0, 0, 360, (40, 70, 160), -1, cv2.LINE_AA)
        return PanelFrame(image, box)

    def loop_points(self, frames: int) -> tuple[int, ...]:
        """Return the loop points of the source."""
        return self._source.loop_points(frames)


def _moved(box: Box, matrix: np.ndarray, scale: float) -> Box:
    x, y = matrix @ np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1.0])
    half_w, half_h = (box[2] - box[0]) * scale / 2, (box[3] - box[1]) * scale / 2
    return (float(x - half_w), float(y - half_h), float(x + half_w), float(y + half_h))
