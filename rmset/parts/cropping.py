"""The paper's transform (RMFER, section 3): keep the face's height, widen its width, resize to a square.

A crop that would reach beyond its bounds is padded by replication: never shifted, squeezed, or filled with a
neighbour's pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rmset.geometry import Box
from rmset.parts.frames import Image


def widened(box: Box, widen: float = 0.31) -> Box:
    """The box with w = w_f + widen · w_f about its centre, height kept.

    >>> widened((100, 50, 200, 181), 0.31)
    (84.5, 50, 215.5, 181)
    """
    extra = (box[2] - box[0]) * widen / 2
    return (box[0] - extra, box[1], box[2] + extra, box[3])


@dataclass(frozen=True)
class Crop:
    """One aspect-normalised face."""

    image: Image
    """uint8 (size, size, 3) RGB"""
    padding: float
    """share of the crop, 0 to 1, that lay beyond its bounds and was replicated"""


def cut(image: Image, box: Box, bounds: Box, size: int, widen: float = 0.31) -> Crop:
    """Cut a face out of a frame and bring it to `size` × `size`.

    Args:
        image: the frame, uint8 (H, W, 3) RGB.
        box: the face, xyxy px; it may reach beyond `bounds`, but must share at least a pixel with it.
        bounds: the person's panel, or the whole frame.
        size: side of the result, px.
        widen: Δw / w_f.

    Raises:
        ValueError: box and bounds share no pixel.
    """
    x0, y0, x1, y1 = (round(v) for v in widened(box, widen))
    left, top = max(0, round(bounds[0])), max(0, round(bounds[1]))
    right, bottom = min(image.shape[1], round(bounds[2])), min(image.shape[0], round(bounds[3]))
    inside_x0, inside_y0, inside_x1, inside_y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    if inside_x0 >= inside_x1 or inside_y0 >= inside_y1:
        raise ValueError(f"expected a face that shares a pixel with its bounds {bounds}, found {box}")
    part = image[inside_y0:inside_y1, inside_x0:inside_x1]
    borders = (inside_y0 - y0, y1 - inside_y1, inside_x0 - x0, x1 - inside_x1)
    if any(borders):
        part = np.asarray(cv2.copyMakeBorder(part, *borders, cv2.BORDER_REPLICATE), dtype=np.uint8)
    shrinks = part.shape[0] > size or part.shape[1] > size
    # Area averaging is the antialiased way down; it would be blocky on the way up.
    resized = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    kept = (inside_x1 - inside_x0) * (inside_y1 - inside_y0) / ((x1 - x0) * (y1 - y0))
    return Crop(np.asarray(resized, dtype=np.uint8), 1 - kept)


def sharpness(image: Image) -> float:
    """Variance of the Laplacian of the grey image; higher is sharper."""
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def brightness(image: Image) -> float:
    """Mean grey value, 0 (black) to 1 (white)."""
    return float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()) / 255


def yaw(landmarks: np.ndarray) -> float:
    """How far the head is turned, from landmarks (5, 2): 0 frontal, about ±1 profile, positive towards the right.

    The nose's distance from the middle of the eyes along the line between them, in eye distances, doubled.
    """
    eyes = landmarks[1] - landmarks[0]
    length = float(np.hypot(*eyes))
    if length < 1e-6:
        return 0.0
    offset = landmarks[2] - (landmarks[0] + landmarks[1]) / 2
    return float(np.clip(2 * np.dot(offset, eyes) / length**2, -1, 1))
