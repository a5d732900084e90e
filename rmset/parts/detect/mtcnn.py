"""MTCNN, exact: facenet-pytorch 2.5.3 with its weights, thresholds and arithmetic, in less than half its time.

facenet-pytorch's own `detect` returns object arrays from batches, overflows at 32,767 candidates (int16 in its last
suppression) and raises on some batches without faces; running its weights in our cascade avoids all three. One thing
differs on purpose: dark pictures are lightened first.
"""

from __future__ import annotations

from rmset.parts.detect import cascade
from rmset.parts.detect.base import Detections
from rmset.parts.detect.nets import Nets
from rmset.parts.frames import Image
from rmset.parts.pixels import IntegralPixels


class MtcnnDetector:
    """facenet-pytorch's MTCNN with its own thresholds (0.6, 0.7, 0.7) and pyramid factor 0.709.

    Args:
        lane: detectors of different lanes search at the same time, in a thread each.
    """

    def __init__(self, lane: int = 0) -> None:
        self.nets = Nets(lane=lane)

    def detect(self, image: Image, min_face: float = 40) -> Detections:
        """Faces of at least `min_face` px in an image uint8 (H, W, 3) RGB, best first."""
        pixels = IntegralPixels(image)
        return cascade.search(self.nets, pixels, (0, 0, pixels.width, pixels.height), min_face)
