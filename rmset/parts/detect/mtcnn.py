"""MTCNN (Zhang et al., 2016) as facenet-pytorch 2.5.3 ships it, exact, one image at a time.

Its batch paths return object arrays, wrap at 32,767 candidates and raise on faceless frames, so they are not used.
"""

from __future__ import annotations

import numpy as np

from rmset.parts.detect import Detections
from rmset.parts.frames import Image

# The cascade's first net sees 12 px; a smaller image has no window at all.
_MIN_SIDE = 20


class MtcnnDetector:
    """facenet-pytorch's MTCNN with its own thresholds (0.6, 0.7, 0.7) and pyramid factor 0.709, on one thread.

    One thread, so that results do not depend on how many processes share the machine.
    """

    def __init__(self) -> None:
        import torch
        from facenet_pytorch import MTCNN

        torch.set_num_threads(1)
        self._net = MTCNN(keep_all=True, post_process=False, device="cpu")

    def detect(self, image: Image, min_face: float = 40) -> Detections:
        """Faces of at least `min_face` px in an image uint8 (H, W, 3) RGB, largest score first."""
        if min(image.shape[:2]) < max(_MIN_SIDE, min_face):
            return Detections.none()
        self._net.min_face_size = max(float(min_face), 12.0)
        boxes, scores, landmarks = self._net.detect(image, landmarks=True)
        if boxes is None or boxes[0] is None:
            return Detections.none()
        boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        scores = np.asarray(scores, dtype=np.float32).reshape(-1)
        landmarks = np.asarray(landmarks, dtype=np.float32).reshape(-1, 5, 2)
        # A stable order: the same faces in the same places, whatever the net's own order.
        order = np.lexsort((boxes[:, 0], boxes[:, 1], -scores))
        return Detections(boxes[order], scores[order], landmarks[order])
