"""Faces anywhere on a screen, at a size that costs little whatever the resolution."""

from __future__ import annotations

import cv2
import numpy as np

from rmset.parts.detect import Detections, Detector
from rmset.parts.frames import Image

# Height of the screen at which faces are sought, px, and of the smallest face there.
_TALL, _SMALLEST = 540, 28


def faces_on(image: Image, detector: Detector) -> Detections:
    """Faces of a twentieth of the screen's height or more, in pixels of the frame (H, W, 3)."""
    shrink = min(1.0, _TALL / image.shape[0])
    small = image if shrink == 1 else cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found = detector.detect(np.asarray(small, np.uint8), _SMALLEST)
    return Detections(found.boxes / np.float32(shrink), found.scores, found.landmarks / np.float32(shrink))
