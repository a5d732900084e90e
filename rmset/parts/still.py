"""Whose face has not moved since it was last asked about, so that the same answer holds."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.pixels import Pixels, Rect

# Mean change of brightness, 0 to 255, up to which the noise of compression is all there is; tuned on composed clips.
_STILL = 2.0


class Stillness:
    """Remembers, for each of `count` people, the piece of the picture that the last answer came from."""

    def __init__(self, count: int) -> None:
        self._where: list[Rect | None] = [None] * count
        self._seen: list[npt.NDArray[np.uint8] | None] = [None] * count

    def asked(self, person: int, picture: Pixels, rect: Rect) -> None:
        """Note that an answer is taken from this rectangle."""
        self._where[person], self._seen[person] = rect, picture.glance(rect)

    def forget(self, person: int) -> None:
        """Forget the person's rectangle: the box came about in another way."""
        self._where[person] = None

    def moved(self, person: int, picture: Pixels) -> bool:
        """Whether the picture there has changed since, or nothing is remembered."""
        rect, before = self._where[person], self._seen[person]
        if rect is None or before is None:
            return True
        return cv2.norm(picture.glance(rect), before, cv2.NORM_L1) > _STILL * before.size
