"""The three nets of MTCNN with facenet-pytorch's weights, run by OpenVINO on one thread.

OpenVINO returns what torch returns to six digits and takes an eighth of the time for the last net. One thread, so that
results do not depend on how many processes share the machine.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import DetectorError
from rmset.parts.pixels import Patch

F32 = npt.NDArray[np.float32]

# Batches are padded to one of these sizes: OpenVINO prepares each shape once.
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class _Net:
    request: Any
    outputs: int

    def __call__(self, batch: F32) -> list[F32]:
        """Outputs, in the net's own order, for a batch (N, 3, H, W)."""
        self.request.infer({0: np.ascontiguousarray(batch)}, share_inputs=True)
        return [np.array(self.request.get_output_tensor(i).data, dtype=np.float32) for i in range(self.outputs)]


class Nets:
    """P-Net, R-Net and O-Net.

    Pictures go in as (N, H, W, 3) RGB, 0 to 255, uint8 or float32.

    Raises:
        DetectorError: torch, facenet-pytorch or OpenVINO is missing.
    """

    def __init__(self) -> None:
        try:
            import openvino
            import torch
            from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
        except ImportError as error:
            raise DetectorError(
                f"detector mtcnn: needs {error.name}, found none; reinstall with `pip install rmset`"
            ) from error
        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}

        def ready(net: Any, outputs: int, height: int, width: int) -> _Net:
            # Tracing is deprecated in torch, but it is what OpenVINO's converter does; users need not hear of it.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                example = torch.zeros(1, 3, max(height, 24), max(width, 24))
                model = openvino.convert_model(net.eval(), example_input=example)
            model.reshape([-1, 3, height, width])
            return _Net(core.compile_model(model, "CPU", settings).create_infer_request(), outputs)

        self._p = ready(PNet(), 2, -1, -1)
        self._r = ready(RNet(), 2, 24, 24)
        self._o = ready(ONet(), 3, 48, 48)

    def propose(self, image: Patch) -> tuple[F32, F32]:
        """P-Net over a whole picture (H, W, 3): offsets (4, h, w) and face probabilities (h, w)."""
        offsets, probabilities = self._p(_normalised(image[None]))
        return offsets[0], probabilities[0, 1]

    def refine(self, patches: Patch) -> tuple[F32, F32]:
        """R-Net on patches (N, 24, 24, 3): offsets (N, 4) and face probabilities (N,)."""
        offsets, probabilities = self._batched(self._r, patches)
        return offsets, probabilities[:, 1]

    def output(self, patches: Patch) -> tuple[F32, F32, F32]:
        """O-Net on patches (N, 48, 48, 3): offsets (N, 4), points (N, 10) x then y, face probabilities (N,)."""
        offsets, points, probabilities = self._batched(self._o, patches)
        return offsets, points, probabilities[:, 1]

    @staticmethod
    def _batched(net: _Net, patches: Patch) -> list[F32]:
        parts = [_padded(net, patches[i : i + _BATCHES[-1]]) for i in range(0, len(patches), _BATCHES[-1])]
        return [np.concatenate([part[k] for part in parts]) for k in range(net.outputs)]


def _padded(net: _Net, patches: Patch) -> list[F32]:
    count = len(patches)
    size = next(b for b in _BATCHES if b >= count)
    batch = np.zeros((size, *patches.shape[1:]), patches.dtype)
    batch[:count] = patches
    return [out[:count] for out in net(_normalised(batch))]


def _normalised(images: Patch) -> F32:
    """(N, H, W, 3) 0..255 to (N, 3, H, W) about -1..1, as the nets were trained."""
    return np.asarray((images.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) * 0.0078125, dtype=np.float32)
