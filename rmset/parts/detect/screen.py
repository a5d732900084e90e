"""Faces anywhere on a screen, at a size that costs little whatever the resolution."""

from __future__ import annotations

import cv2
import numpy as np

from rmset.parts.detect import Detections, Detector, cascade
from rmset.parts.detect.mtcnn import MtcnnDetector
from rmset.parts.frames import Frame
from rmset.parts.pixels import pixels_of

# Height of the screen at which faces are sought, px, and of the smallest face there.
_TALL, _SMALLEST = 540, 28


def faces_on(frame: Frame, detector: Detector) -> Detections:
    """Faces of a twentieth of the screen's height or more, in pixels of the frame; MTCNN searches its planes."""
    if isinstance(detector, MtcnnDetector):
        pixels = pixels_of(frame)
        least = _SMALLEST * max(1.0, pixels.height / _TALL)
        return cascade.search(detector.nets, pixels, (0, 0, pixels.width, pixels.height), least, padded=True)
    image = frame.rgb
    shrink = min(1.0, _TALL / image.shape[0])
    small = image if shrink == 1 else cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found = detector.detect(np.asarray(small, np.uint8), _SMALLEST)
    return Detections(found.boxes / np.float32(shrink), found.scores, found.landmarks / np.float32(shrink))
