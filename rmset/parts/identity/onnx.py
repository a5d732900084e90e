"""Any network in an ONNX file that takes one picture of a face and gives one vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.geometry import Boxes
from rmset.parts.detect.nets import ONE_THREAD
from rmset.parts.frames import Image
from rmset.parts.identity import Vectors
from rmset.parts.identity.crops import cut, unit


class OnnxEmbedder:
    """Runs through OpenVINO, which the detector needs anyway."""

    license = "the user's file"
    # Distances of vectors of length 1, as networks trained with angular margins have them.
    same, other = 1.0, 1.15

    def __init__(self, file: Path) -> None:
        import openvino

        try:
            model = openvino.Core().read_model(str(file))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            raise UsageError(f"--embedder {file}: expected an ONNX network, found none ({reason})") from error
        shape = model.inputs[0].partial_shape
        if len(model.inputs) != 1 or len(shape) != 4 or shape[1].is_dynamic or shape[1].get_length() != 3:
            raise UsageError(f"--embedder {file}: expected one input (N, 3, H, W), found {shape}; export it so")
        self._side = 112 if shape[2].is_dynamic else int(shape[2].get_length())
        model.reshape([1, 3, self._side, self._side])
        self._run = openvino.compile_model(model, "CPU", ONE_THREAD)
        self.name = file.name

    def embed(self, image: Image, boxes: Boxes) -> Vectors:
        """Vectors (N, D) of the faces in boxes (N, 4) of an RGB frame (H, W, 3)."""
        faces = (cut(image, boxes, self._side, 0.1) - 127.5) / 128
        made = [self._run(np.ascontiguousarray(f.transpose(2, 0, 1)[None]))[0].reshape(-1) for f in faces]
        return unit(np.asarray(made, np.float32)) if made else np.empty((0, 1), np.float32)
