"""Array types of this package, and typed wrappers of a few OpenCV calls."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(H, W, 3) RGB or (H, W, 4) RGB times alpha, and alpha"""
Field = npt.NDArray[np.float32]
"""any array of floats: masks (H, W) 0 to 1, pictures (H, W, 3) 0 to 255, coordinates (…, 2)"""
Numbers = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""either"""
Box = tuple[float, float, float, float]
"""xyxy, pixels, half-open"""


def f32(values: npt.ArrayLike) -> Field:
    """Values as a float32 array."""
    return np.asarray(values, np.float32)


def u8(values: npt.ArrayLike) -> Image:
    """Values as pixels: clipped to 0 to 255, fractions dropped."""
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def fixed_point(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Coordinates in sixteenths of a pixel, for OpenCV's drawing with `shift=4`."""
    return np.asarray(np.round(np.asarray(points) * 16), np.int32)


def look_up(picture: Numbers, at: Field, border: int) -> npt.NDArray[np.integer | np.floating]:
    """Return the picture's values at coordinates (h, w, 2), bilinear; `border` is one of OpenCV's."""
    # OpenCV takes None for the second map, but its stubs do not
    return np.asarray(cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=border))  # type: ignore[call-overload]
