"""Faces cut out for networks that take a picture of one face."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rmset.geometry import Boxes
from rmset.parts.frames import Image


def cut(image: Image, boxes: Boxes, side: int, margin: float) -> npt.NDArray[np.float32]:
    """Squares (N, side, side, 3) about the faces in boxes (N, 4), 0 to 255; replicated beyond the frame.

    Args:
        image: RGB (H, W, 3).
        boxes: px.
        side: px of the result.
        margin: by which a square is larger than the longer side of its box, as a share of it.
    """
    squares = []
    for x0, y0, x1, y1 in boxes.tolist():
        half = max(x1 - x0, y1 - y0) * (1 + margin) / 2
        scale = side / (2 * half)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        matrix = np.array([[scale, 0, side / 2 - scale * x], [0, scale, side / 2 - scale * y]], np.float32)
        flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        squares.append(cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE))
    return np.asarray(squares, np.float32).reshape(-1, side, side, 3)


def unit(vectors: npt.NDArray) -> npt.NDArray[np.float32]:
    """Vectors (N, D) of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)
