"""YuNet (Wu et al., 2023) through OpenCV's FaceDetectorYN: light, five landmarks, separate weights file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rmset.errors import DetectorError
from rmset.parts.detect.base import Detections
from rmset.parts.frames import Image

# The file of OpenCV's model zoo, the default; fetched once and checked.
_URL = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# The net is trained on faces up to about 300 px; larger pictures are shrunk to this range.
_LONGEST = 640


class YuNetDetector:
    """OpenCV's FaceDetectorYN on one thread.

    Args:
        weights: the ONNX file; fetched once into the user's cache and checked if omitted.

    Raises:
        DetectorError: the file is missing, cannot be fetched, or is not YuNet.
    """

    def __init__(self, weights: Path | None = None, least_score: float = 0.7) -> None:
        path = weights if weights is not None else _fetched()
        if not path.is_file():
            raise DetectorError(f"detector yunet: expected weights at {path}, found none; give --weights FILE")
        cv2.setNumThreads(1)
        # OpenCV 5 warns about unused targets; errors are still raised.
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), least_score, 0.3, 5000)
        except cv2.error as error:
            cause = str(error).strip().splitlines()[0]
            raise DetectorError(f"detector yunet: {path} is no YuNet ({cause}); give another --weights FILE") from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def detect(self, image: Image, min_face: float = 40) -> Detections:
        """Faces of at least `min_face` px in an image uint8 (H, W, 3) RGB, best first."""
        shrink = min(1.0, _LONGEST / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else image
        self._net.setInputSize((small.shape[1], small.shape[0]))
        found: object = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return Detections.none()
        rows = np.asarray(found, dtype=np.float32)
        boxes = (np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]]) / shrink).astype(np.float32)
        # YuNet begins with the subject's right eye, which is the viewer's left.
        faces = Detections(boxes, rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2) / shrink)
        faces = faces.where(boxes[:, 3] - boxes[:, 1] >= min_face)
        order = np.lexsort((faces.boxes[:, 0], faces.boxes[:, 1], -faces.scores))
        return Detections(faces.boxes[order], faces.scores[order], faces.landmarks[order])


def _fetched() -> Path:
    """Return the official weights, fetched once."""
    import pooch

    try:
        found = pooch.retrieve(_URL, known_hash=f"sha256:{_SHA256}", path=pooch.os_cache("rmset"), progressbar=False)
    except Exception as error:
        raise DetectorError(
            f"detector yunet: its weights cannot be fetched ({error}); download {_URL} and give --weights FILE"
        ) from error
    return Path(found)
