"""Face detectors behind one Protocol, and one dict from name to class.

frame uint8 (H, W, 3) RGB  ->  Detections: boxes, scores, landmarks
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rmset.errors import DetectorError
from rmset.geometry import Boxes
from rmset.parts.frames import Image


@dataclass(frozen=True)
class Detections:
    """Faces of one image, best first.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    boxes: Boxes
    """float32 (N, 4), xyxy px"""
    scores: npt.NDArray[np.float32]
    """float32 (N,), 0 to 1"""
    landmarks: npt.NDArray[np.float32]
    """float32 (N, 5, 2), px: left eye, right eye, nose, left and right corner of the mouth, as seen by the viewer"""

    def __post_init__(self) -> None:
        """Hold the arrays to their shapes."""
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.landmarks.shape != (n, 5, 2):
            raise ValueError(
                f"expected boxes ({n}, 4) and landmarks ({n}, 5, 2), found {self.boxes.shape}, {self.landmarks.shape}"
            )

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.scores)

    @classmethod
    def none(cls) -> Detections:
        """No face."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))

    def where(self, keep: npt.NDArray[np.bool_]) -> Detections:
        """The faces that the mask (N,) keeps."""
        return Detections(self.boxes[keep], self.scores[keep], self.landmarks[keep])

    def moved(self, dx: float, dy: float) -> Detections:
        """The same faces in an image of which this one is a part that begins at (dx, dy)."""
        shift = np.array([dx, dy], np.float32)
        return Detections(self.boxes + np.tile(shift, 2), self.scores, self.landmarks + shift)


class Detector(Protocol):
    """Finds faces in an image."""

    def detect(self, image: Image, min_face: float = 40) -> Detections:
        """Faces of at least `min_face` px in an image uint8 (H, W, 3) RGB."""


def _mtcnn(weights: Path | None) -> Detector:
    if weights is not None:
        raise DetectorError("detector mtcnn: its weights come with facenet-pytorch; leave --weights out")
    from rmset.parts.detect.mtcnn import MtcnnDetector

    return MtcnnDetector()


def _yunet(weights: Path | None) -> Detector:
    from rmset.parts.detect.yunet import YuNetDetector

    return YuNetDetector(weights)


DETECTORS: dict[str, Callable[[Path | None], Detector]] = {"mtcnn": _mtcnn, "yunet": _yunet}


def load(name: str, weights: Path | str | None = None) -> Detector:
    """Make the detector of this name.

    Raises:
        DetectorError: unknown name, or weights that are missing or not the detector's.
    """
    if name not in DETECTORS:
        near = get_close_matches(name, DETECTORS)
        raise DetectorError(
            f"detector {name!r}: unknown; expected one of {', '.join(DETECTORS)}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    return DETECTORS[name](None if weights is None else Path(weights))
