"""Whether two panels show the same place, and with it the same person: by what lies behind the face.

A room does not change while somebody sits in it, so the middle of a panel's picture is found again in another picture
of the same room, larger or smaller where the editor came closer. Another person has another room. Names are given by
this where panels change places; the audit asks the faces themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Portrait = npt.NDArray[np.uint8]
"""uint8 (64, W, 3) RGB: a panel's picture"""
_TALL, _WIDEST = 64, 160
OTHER_ROOM, SAME_ROOM = 0.42, 0.6
"""what is less alike shows another room, what is more alike the same; tuned on composed mashups"""
# The middle that is sought in the other picture, and the sizes that are tried.
_MIDDLE = 0.62
_SIZES = tuple(1.1**k for k in range(-6, 7))
_NEAR = 28
"""gray levels within which a pixel is the same"""
_LEAST = 18
"""px: a smaller middle is found anywhere"""


def portrait(picture: npt.NDArray[np.uint8]) -> Portrait:
    """Return the picture (H, W, 3) of a panel, made small."""
    height, width = picture.shape[:2]
    wide = min(_WIDEST, max(8, round(width * _TALL / height)))
    return np.asarray(cv2.resize(picture, (wide, _TALL), interpolation=cv2.INTER_AREA), np.uint8)


def usual(portraits: Sequence[Portrait]) -> Portrait:
    """Return the median of some pictures of one panel."""
    return np.asarray(np.median(np.stack(portraits), axis=0), np.uint8)


def likeness(one: Portrait, other: Portrait) -> float:
    """How much of the middle of one picture is found again in the other, 0 to 1, at the best place and size."""
    return max(_sought(one, other), _sought(other, one))


def _sought(one: Portrait, other: Portrait) -> float:
    height, width = one.shape[:2]
    dy, dx = round(height * (1 - _MIDDLE) / 2), round(width * (1 - _MIDDLE) / 2)
    middle = one[dy : height - dy, dx : width - dx]
    best = 0.0
    for size in _SIZES:
        w, h = round(middle.shape[1] * size), round(middle.shape[0] * size)
        if w > other.shape[1] or h > other.shape[0] or min(w, h) < _LEAST:
            continue
        small = cv2.resize(middle, (w, h), interpolation=cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR)
        alike = cv2.matchTemplate(other, small, cv2.TM_CCOEFF_NORMED)
        row, column = np.unravel_index(int(alike.argmax()), alike.shape)
        there = other[row : row + h, column : column + w]
        # People sit alike before their cameras; their walls have different colors.
        apart = cv2.absdiff(there, small).max(axis=2)
        best = max(best, float((apart < _NEAR).mean()))
    return best
