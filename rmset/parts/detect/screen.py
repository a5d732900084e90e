"""Face detection on the whole screen, at reduced resolution."""

from __future__ import annotations

import cv2
import numpy as np

from rmset.parts.detect import Detections, Detector
from rmset.parts.frames import Image

# Height of the smallest face beside that at which the screen is looked at.
_SMALLEST = 28 / 540


def faces_on(image: Image, detector: Detector, tall: int = 540) -> Detections:
    """Faces of a twentieth of the screen's height or more, in pixels of the frame (H, W, 3).

    Args:
        image: the frame.
        detector: finds them.
        tall: height of the screen at which they are sought, px; half of it costs a quarter.
    """
    shrink = min(1.0, tall / image.shape[0])
    small = image if shrink == 1 else cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found = detector.detect(np.asarray(small, np.uint8), _SMALLEST * tall)
    return Detections(found.boxes / np.float32(shrink), found.scores, found.landmarks / np.float32(shrink))
