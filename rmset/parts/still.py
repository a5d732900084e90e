"""Motion test: faces in unchanged pixels keep their last answer."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.pixels import Pixels, Rect

# Largest mean change of brightness, 0 to 255, explained by compression noise; tuned on composed clips.
_STILL = 2.0


class Stillness:
    """Stores, for each of `count` people, the pixels of the last answer."""

    def __init__(self, count: int) -> None:
        self._where: list[Rect | None] = [None] * count
        self._seen: list[npt.NDArray[np.uint8] | None] = [None] * count

    def asked(self, person: int, picture: Pixels, rect: Rect) -> None:
        """Store the pixels of an answer's rectangle."""
        self._where[person], self._seen[person] = rect, picture.glance(rect)

    def forget(self, person: int) -> None:
        """Forget the person's rectangle, because the box has another source."""
        self._where[person] = None

    def moved(self, person: int, picture: Pixels) -> bool:
        """Whether the pixels have changed since, or nothing is stored."""
        rect, before = self._where[person], self._seen[person]
        if rect is None or before is None:
            return True
        return cv2.norm(picture.glance(rect), before, cv2.NORM_L1) > _STILL * before.size
