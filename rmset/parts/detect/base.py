"""Interface of face detectors: frame uint8 (H, W, 3) RGB -> boxes, scores, landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rmset.geometry import Boxes
from rmset.parts.frames import Image


@dataclass(frozen=True)
class Detections:
    """Faces of one image, best first.

    Raises:
        ValueError: inconsistent shapes.
    """

    boxes: Boxes
    """float32 (N, 4), xyxy px"""
    scores: npt.NDArray[np.float32]
    """float32 (N,), 0 to 1"""
    landmarks: npt.NDArray[np.float32]
    """float32 (N, 5, 2), px: left eye, right eye, nose, left and right corner of the mouth, as seen by the viewer"""

    def __post_init__(self) -> None:
        """Check the shapes of the arrays."""
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.landmarks.shape != (n, 5, 2):
            raise ValueError(
                f"expected boxes ({n}, 4) and landmarks ({n}, 5, 2), found {self.boxes.shape}, {self.landmarks.shape}"
            )

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    @classmethod
    def none(cls) -> Detections:
        """Return an empty result."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))

    def where(self, keep: npt.NDArray[np.bool_]) -> Detections:
        """Return the faces selected by a mask (N,)."""
        return Detections(self.boxes[keep], self.scores[keep], self.landmarks[keep])

    def moved(self, dx: float, dy: float) -> Detections:
        """Return the faces in coordinates of a larger image, in which this one begins at (dx, dy)."""
        shift = np.array([dx, dy], np.float32)
        return Detections(self.boxes + np.tile(shift, 2), self.scores, self.landmarks + shift)


class Detector(Protocol):
    """Interface of a face detector."""

    def detect(self, image: Image, min_face: float = 40) -> Detections:
        """Faces of at least `min_face` px in an image uint8 (H, W, 3) RGB."""
