"""The three nets of MTCNN with facenet-pytorch's weights, built for OpenVINO and run on one thread.

OpenVINO matches torch to six digits and takes an eighth of the time for the last net. The nets are built layer by
layer without torch, in a tenth of a second; importing torch and converting its modules takes four. One thread keeps
results independent of the number of processes. A process builds them once for all its stages and videos; two threads
that search at once take a lane each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rmset.errors import DetectorError
from rmset.parts.detect.weights import state_dict
from rmset.parts.pixels import Patch

F32 = npt.NDArray[np.float32]

# With pinning, the default, OpenVINO runs the nets of all threads and processes on the first core.
ONE_THREAD = {"INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
"""settings of OpenVINO for nets that run on one thread, on any core"""
_LACKS = "detector mtcnn: needs {}, found none; reinstall with `pip install rmset`"
# Batches are padded to one of these sizes: OpenVINO prepares each shape once, in about 5 ms.
_BATCHES = (*range(1, 17), 20, 24, 28, 32, 40, 48, 56, 64, 96, 128, 256)

# Layers in order, by the names of their weights: `conv*` and `dense*` are each followed by their PReLU; `pool k` has a
# window of k and steps of two. Then the heads, each a layer of its own over what comes before; one is a softmax.
_P_NET = (["conv1", "pool 2", "conv2", "conv3"], ["conv4_2", "conv4_1"])
_R_NET = (["conv1", "pool 3", "conv2", "pool 3", "conv3", "dense4"], ["dense5_2", "dense5_1"])
_O_NET = (
    ["conv1", "pool 3", "conv2", "pool 3", "conv3", "pool 2", "conv4", "dense5"],
    ["dense6_2", "dense6_3", "dense6_1"],
)


@dataclass(frozen=True)
class _Net:
    request: Any
    outputs: int

    def __call__(self, batch: F32) -> list[F32]:
        """Run a batch (N, H, W, 3), 0 to 255; returns outputs in the order of the heads."""
        self.request.infer({0: batch}, share_inputs=True)
        return [np.array(self.request.get_output_tensor(i).data, dtype=np.float32) for i in range(self.outputs)]


class Nets:
    """P-Net, R-Net and O-Net.

    Pictures go in as (N, H, W, 3) RGB, 0 to 255, uint8 or float32.

    Args:
        precision: `f32`, or `auto`: bf16 if the processor has instructions for it, which takes two thirds of the time
            and changes a face's box by a few thousandths of its size.
        lane: nets of one lane wait for each other; those of different lanes run at the same time.

    Raises:
        DetectorError: facenet-pytorch (its weights) or OpenVINO is missing.
    """

    def __init__(self, precision: Literal["f32", "auto"] = "f32", lane: int = 0) -> None:
        self._p, self._r, self._o = (
            _Net(compiled.create_infer_request(), outputs)
            for compiled, outputs in _compiled("bf16" if precision == "auto" and _has_bf16() else "f32", lane)
        )

    def propose(self, image: Patch) -> tuple[F32, F32]:
        """P-Net over a whole picture (H, W, 3): offsets (4, h, w) and face probabilities (h, w)."""
        offsets, probabilities = self._p(np.ascontiguousarray(image[None], np.float32))
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


@cache
def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise DetectorError(_LACKS.format("openvino")) from error
    return openvino.Core()


def _has_bf16() -> bool:
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _compiled(hint: str, lane: int) -> tuple[tuple[Any, int], ...]:  # noqa: ARG001 - each lane has its own
    """Return the three nets, each with the number of its outputs."""
    # Located without importing: only its files are needed.
    package = find_spec("facenet_pytorch")
    if package is None or package.origin is None:
        raise DetectorError(_LACKS.format("facenet-pytorch"))
    folder = Path(package.origin).parent / "data"
    settings = ONE_THREAD | {"NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}

    def ready(name: str, layers: tuple[list[str], list[str]], height: int, width: int) -> tuple[Any, int]:
        model = _built(*layers, state_dict(folder / f"{name}.pt"), height, width)
        return _core().compile_model(model, "CPU", settings), len(layers[1])

    return ready("pnet", _P_NET, -1, -1), ready("rnet", _R_NET, 24, 24), ready("onet", _O_NET, 48, 48)


def _padded(net: _Net, patches: Patch) -> list[F32]:
    count = len(patches)
    size = next(b for b in _BATCHES if b >= count)
    batch = np.zeros((size, *patches.shape[1:]), np.float32)
    batch[:count] = patches
    return [out[:count] for out in net(batch)]


def _built(body: list[str], heads: list[str], weights: dict[str, npt.NDArray], height: int, width: int) -> Any:
    """Return an OpenVINO model (N, height, width, 3), 0 to 255 -> one output a head; -1 for any size.

    The last head is the face's probability (softmax over two).
    """
    import openvino
    from openvino import opset13 as op

    picture = op.parameter([-1, height, width, 3], np.float32)
    # Scale to about -1 to 1, as in training.
    centered = op.multiply(op.subtract(picture, op.constant(np.float32(127.5))), op.constant(np.float32(0.0078125)))

    def layer(name: str, x: Any) -> Any:
        if name.startswith("conv"):
            x = op.convolution(x, op.constant(weights[f"{name}.weight"]), [1, 1], [0, 0], [0, 0], [1, 1])
            return op.add(x, op.constant(weights[f"{name}.bias"].reshape(1, -1, 1, 1)))
        return op.add(
            op.matmul(x, op.constant(weights[f"{name}.weight"]), False, True), op.constant(weights[f"{name}.bias"])
        )

    x: Any = op.transpose(centered, op.constant([0, 3, 1, 2]))
    for name in body:
        if name.startswith("pool"):
            side = int(name.split()[1])
            x = op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [side, side], rounding_type="ceil").output(0)
            continue
        if name.startswith("dense"):
            # The weights come from Caffe, which orders columns before rows.
            x = op.reshape(op.transpose(x, op.constant([0, 3, 2, 1])), op.constant([0, -1]), True)
        number = name.removeprefix("conv").removeprefix("dense")
        x = op.prelu(layer(name, x), op.constant(weights[f"prelu{number}.weight"]))
    outputs = [layer(name, x) for name in heads]
    outputs[-1] = op.softmax(outputs[-1], 1)
    return openvino.Model(outputs, [picture])
