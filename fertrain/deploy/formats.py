"""ONNX and OpenVINO: write a graph with its metadata, and run a written one.

torch -> torch.onnx (dynamo exporter) -> ONNX -> OpenVINO. Both forms come from one graph, so they agree.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rmset.errors import UsageError

from ..errors import FertrainError
from .graph import INPUT, OUTPUTS, Deployed

Runner = Callable[[npt.NDArray[np.uint8]], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
"""uint8 images (N, C, S, S) -> logits, probabilities."""
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_BATCH = 64


def require() -> None:
    """Check that the packages of the extra are installed.

    Raises:
        UsageError: one is missing.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise UsageError(
            f"expected the package {missing[0]} to export a network, found none; `pip install 'rmset[onnx]'` brings it"
        )


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Silence the exporters: they log and warn about their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def to_onnx(graph: Deployed) -> Any:
    """Return the graph as an `onnx.ModelProto`.

    Raises:
        FertrainError: ONNX, or torch's exporter, lacks an operation of the network.
    """
    try:
        with quiet_exporters(), torch.no_grad():
            # constants of the preparation must be real tensors when the graph is traced
            graph(graph.example())
            # OpenVINO 2025.4 cannot run grid_sample of operator set 20
            program = torch.onnx.export(
                graph, (graph.example(),), dynamo=True, opset_version=18, input_names=[INPUT],
                output_names=list(OUTPUTS), verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1 << 16)},),
            )  # fmt: skip
        assert program is not None
        return _plain(program.model_proto)
    except Exception as error:
        # the exporter raises errors of many kinds, some of pages
        raise FertrainError(
            f"expected a network that ONNX can express, found {graph.model.name}: {first_line(error)}; "
            "export a run with another network"
        ) from error


def _plain(model: Any) -> Any:
    """Remove notes of the exporter, which hold paths of this machine."""
    for part in [model.graph, *model.functions]:
        part.doc_string = ""
        del part.metadata_props[:]
        for items in (part.node, part.value_info, getattr(part, "initializer", ())):
            for item in items:
                item.doc_string = ""
                del item.metadata_props[:]
    for item in (*model.graph.input, *model.graph.output):
        del item.metadata_props[:]
    del model.metadata_props[:]
    model.doc_string = ""
    return model


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]


def write_onnx(model: Any, path: Path, meta: Mapping[str, str]) -> None:
    """Write a model with its metadata."""
    import onnx

    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(meta))
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_openvino(onnx_file: Path, folder: Path, meta: Mapping[str, str]) -> None:
    """Convert an ONNX file to `model.xml` and `model.bin` in a folder; the metadata are its `rt_info`."""
    import openvino

    with quiet_exporters(), _refused_in_a_line():
        model = openvino.convert_model(str(onnx_file))
    for name, text in meta.items():
        model.set_rt_info(text, ["fertrain", name])
    openvino.save_model(model, str(folder / "model.xml"), compress_to_fp16=False)


def onnx_runner(path: Path) -> Runner:
    """Run an ONNX file by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return _batched(lambda images: session.run(list(OUTPUTS), {INPUT: images}))


def openvino_runner(path: Path) -> Runner:
    """Run an ONNX file, or `model.xml` of a folder, by OpenVINO in full precision."""
    import openvino

    file = path / "model.xml" if path.is_dir() else path
    # without the hint, processors with bf16 instructions would use them: two digits instead of six
    with _refused_in_a_line():
        compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return _batched(lambda images: [compiled([images])[name] for name in OUTPUTS])


@contextmanager
def _refused_in_a_line() -> Iterator[None]:
    """Turn OpenVINO's pages on an operation that it lacks into one line."""
    try:
        yield
    except RuntimeError as error:
        raise FertrainError(
            f"expected a graph that OpenVINO can run, found: {first_line(error)}; update openvino, or export to onnx"
        ) from error


def torch_runner(graph: Deployed) -> Runner:
    """Run the module itself."""

    def run(images: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        with torch.no_grad():
            return [out.numpy() for out in graph(torch.from_numpy(images))]

    return _batched(run)


def _batched(run: Callable[[npt.NDArray[np.uint8]], list[Any]]) -> Runner:
    def every(images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        parts = [run(np.ascontiguousarray(images[i : i + _BATCH])) for i in range(0, len(images), _BATCH)]
        logits, probabilities = (np.concatenate([np.array(part[k], np.float32) for part in parts]) for k in (0, 1))
        return logits, probabilities

    return every
