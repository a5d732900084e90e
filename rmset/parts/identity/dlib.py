"""dlib's face recognition ResNet, on one thread; its files come with `face-recognition-models`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rmset.errors import UsageError
from rmset.geometry import Boxes
from rmset.parts.frames import Image
from rmset.parts.identity import Vectors

# The 68-point predictor beside it forbids commercial use, so it is never read.
_POINTS, _NET = "shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"
# Input square relative to MTCNN's box, tuned to separate seven people's clips.
_SIDE = 0.85


def model_files() -> tuple[Path, Path]:
    """Return the predictor and the network, found without importing the package, which needs `pkg_resources`.

    Raises:
        UsageError: the package is not installed, or lacks a file.
    """
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise UsageError("--embedder dlib: needs face-recognition-models; `pip install 'rmset[identity]'`")
    folder = Path(spec.origin).parent / "models"
    points, net = folder / _POINTS, folder / _NET
    for file in (points, net):
        if not file.is_file():
            raise UsageError(f"--embedder dlib: expected {file}, found none; install face-recognition-models again")
    return points, net


class DlibEmbedder:
    """dlib's embedder: 128 numbers per face; about 100 ms per face on one thread."""

    name = "dlib"
    license = "dlib_face_recognition_resnet_model_v1 and the 5-point predictor: public domain (CC0)"
    # dlib's own threshold is 0.6. Measured: one face in two moods up to 0.55, similar people down to 0.47.
    same, other = 0.45, 0.6

    def __init__(self) -> None:
        import dlib

        points, net = model_files()
        library: Any = dlib
        self._rectangle = library.rectangle
        self._points = library.shape_predictor(str(points))
        self._net = library.face_recognition_model_v1(str(net))

    def embed(self, image: Image, boxes: Boxes) -> Vectors:
        """Vectors (N, 128) of the faces in boxes (N, 4) of an RGB frame (H, W, 3)."""
        whole = np.ascontiguousarray(image)
        made = [self._net.compute_face_descriptor(whole, self._points(whole, self._square(box))) for box in boxes]
        return np.asarray([list(v) for v in made], np.float32).reshape(-1, 128)

    def _square(self, box: np.ndarray) -> Any:
        """Return the square that dlib's own detector would give: about the box's middle, a little lower."""
        x0, y0, x1, y1 = (float(v) for v in box)
        side = _SIDE * 0.5 * ((x1 - x0) + (y1 - y0))
        x, y = (x0 + x1) / 2, (y0 + y1) / 2 + 0.04 * side
        return self._rectangle(round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2))
