"""Post-training quantization to int8, by onnxruntime: ranges of activations come from sample images.

Weights are int8 per output channel, activations uint8 per tensor (QDQ); the preparation of the images and the
softmax stay in float.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FertrainError
from .formats import first_line, quiet_exporters
from .graph import INPUT

_KINDS = ["Conv", "Gemm", "MatMul"]
_BATCH = 32


def quantize(source: Path, target: Path, images: npt.NDArray[np.uint8], *, skip_matmul: bool) -> None:
    """Write the int8 form of an ONNX file.

    Args:
        source: the ONNX file.
        target: the result.
        images: (N, C, S, S) uint8, from which the ranges are measured.
        skip_matmul: leave matrix products alone: the preparation `ferplus` has some.

    Raises:
        FertrainError: onnxruntime cannot quantize the network.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = self._each()

        def _each(self) -> Iterator[dict[str, Any]]:
            for start in range(0, len(images), _BATCH):
                yield {INPUT: np.ascontiguousarray(images[start : start + _BATCH])}

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    prepared = target.with_name(f"{target.name}.prepared")
    try:
        with quiet_exporters():
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=_KINDS[: 2 if skip_matmul else 3],
            )  # fmt: skip
    except Exception as error:
        # errors of many kinds, by operation
        raise FertrainError(
            f"expected a network that onnxruntime can quantize, found: {first_line(error)}; export it without `int8`"
        ) from error
    finally:
        prepared.unlink(missing_ok=True)
