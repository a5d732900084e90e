"""Same room, same person: compare two panels by the background behind the face.

A person's room does not change, so the middle of a panel's picture matches another picture of the same room, at
another size where the editor zoomed in. Another person has another room. Ids are assigned by rooms where panels change
places; the audit compares the faces themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rmset.stages.layout.median import median

Portrait = npt.NDArray[np.uint8]
"""uint8 (64, W, 3) RGB: a panel's picture"""
_TALL, _WIDEST = 64, 160
OTHER_ROOM, SAME_ROOM = 0.42, 0.6
"""likeness below which pictures show different rooms, and from which they show the same; tuned on composed mashups"""
# Share of the picture that is searched for in the other, and the sizes tried.
_MIDDLE = 0.62
_SIZES = tuple(1.1**k for k in sorted(range(-6, 7), key=abs))
_NEAR = 28
"""largest difference of two equal pixels, gray levels"""
_LEAST = 18
"""least side of the middle, px: a smaller one matches anywhere"""


def portrait(picture: npt.NDArray[np.uint8]) -> Portrait:
    """Shrink the picture (H, W, 3) of a panel."""
    height, width = picture.shape[:2]
    wide = min(_WIDEST, max(8, round(width * _TALL / height)))
    return np.asarray(cv2.resize(picture, (wide, _TALL), interpolation=cv2.INTER_AREA), np.uint8)


def usual(portraits: Sequence[Portrait]) -> Portrait:
    """Return the median of some pictures of one panel."""
    return median(portraits).astype(np.uint8)


def likeness(one: Portrait, other: Portrait, enough: float = 1.0) -> float:
    """Share of the middle of one picture that matches the other at the best place and size, 0 to 1.

    The search ends at the first match of at least `enough`, so equal rooms cost little.
    """
    found = _sought(one, other, enough)
    return found if found >= enough else max(found, _sought(other, one, enough))


def _sought(one: Portrait, other: Portrait, enough: float) -> float:
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
        # Gray structure is not enough: people sit alike before their cameras, but their walls differ in color.
        apart = cv2.absdiff(there, small).max(axis=2)
        best = max(best, float((apart < _NEAR).mean()))
        if best >= enough:
            break
    return best
