"""`fertrain export`: a run as an ONNX or OpenVINO file, checked against torch before it appears."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.outputs import written_folder
from rmset.progress import Progress, Say, quiet, silent

from ..datasets.base import Split
from ..datasets.registry import images_of, open_split, open_target
from ..errors import FertrainError
from ..files import whole
from ..labels import permutation
from ..run_folder import RunFolder
from ..training.data import held_out_part
from .check import IMAGES, TOLERANCE, Loss, Pictures, difference, loss, made_pictures
from .formats import Runner, onnx_runner, openvino_runner, require, to_onnx, torch_runner, write_onnx, write_openvino
from .graph import Deployed, deployed, metadata
from .int8 import quantize

To = Literal["onnx", "openvino"]
_RANGES, _MEASURED = 256, 4096
"""Most images that set the ranges of int8, and most that measure its loss."""


@dataclass(frozen=True)
class Exported:
    """A written file."""

    path: Path
    """The ONNX file, or the folder with `model.xml` and `model.bin`."""
    metadata: dict[str, str]
    """As in the file."""
    differences: dict[str, float]
    """Largest difference from torch, by runtime; of the float form."""
    checked_on: str
    """Images of that comparison."""
    loss: Loss | None
    """What int8 costs; None for float."""

    def row(self) -> dict[str, Any]:
        """One line for tables."""
        found = {f"{name}_difference": value for name, value in self.differences.items()}
        lost = self.loss
        return {
            "file": str(self.path), "size_mb": round(_size(self.path) / 1e6, 3), **found, "checked_on": self.checked_on,
            "agreement": lost and lost.agreement, "accuracy": lost and lost.accuracy,
            "accuracy_int8": lost and lost.accuracy_int8,
        }  # fmt: skip


def export(
    run: Path, to: To = "onnx", out: Path | None = None, *, int8: bool = False, on: str | None = None,
    rule: str = "majority", progress: Progress = silent, say: Say = quiet,
) -> Exported:  # fmt: skip
    """Export a finished run.

    The file takes uint8 images of any number and gives logits and calibrated probabilities; preparation and
    temperature are inside. It appears only if its outputs equal torch's within 1e-4 on 100 images.

    Args:
        run: a run folder.
        to: `onnx`, or `openvino`.
        out: the file, or for OpenVINO the folder; default: in the run folder.
        int8: quantize; half of the images (256 at most) set the ranges, the others measure the loss.
        on: `NAME[:SPLIT]` of the images; default: for int8 the run's held-out part, else 100 made pictures.
        rule: rule that selects images by votes.
        progress: progress callback.
        say: callback for one-line messages.

    Raises:
        UsageError: a package of the extra `onnx` is missing, or there is no such run or data set.
        FertrainError: ONNX cannot express the network, or the file's outputs differ from torch's.
    """
    if to not in ("onnx", "openvino"):
        raise UsageError(f"expected `to` onnx or openvino, found '{to}'")
    require()
    graph, labels = deployed(run)
    ending = "" if not int8 else ".int8"
    path = out or run / (f"model{ending}.onnx" if to == "onnx" else f"openvino{ending}")
    meta = metadata(graph, labels)
    images, classes, source = _images(run, graph, labels, int8=int8, on=on, rule=rule, progress=progress)
    if graph.temperature == 1.0:
        say(f"{run} has fitted no temperature; probabilities are softmax(logits)")
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "model.onnx"
        model = to_onnx(graph)
        write_onnx(model, plain, meta)
        found = _equal(graph, plain, to, images[:IMAGES])
        checked_on = f"{min(IMAGES, len(images))} images of {source}"
        meta["equal_to_torch"] = json.dumps({**found, "on": checked_on})
        lost = None
        if int8:
            small = Path(name) / "small.onnx"
            ranges = min(len(images) // 2, _RANGES)
            quantize(plain, small, images[:ranges], skip_matmul=graph.spec.preprocess == "ferplus")
            runner = onnx_runner if to == "onnx" else openvino_runner
            rest = slice(ranges, ranges + _MEASURED)
            lost = loss(runner(plain), runner(small), images[rest], classes[rest], source)
            meta["int8"] = json.dumps(lost.to_json())
            plain = small
        _publish(plain, path, to, meta)
    return Exported(path, meta, found, checked_on, lost)


def _equal(graph: Deployed, file: Path, to: To, images: Pictures) -> dict[str, float]:
    """Differences from torch by runtime.

    Raises:
        FertrainError: one is too large.
    """
    runners: dict[str, Any] = {"onnxruntime": onnx_runner, "openvino": openvino_runner}
    names = list(runners) if to == "onnx" else ["openvino"]
    mine = torch_runner(graph)
    found = {name: float(f"{difference(mine, runners[name](file), images):.2g}") for name in names}
    for name, value in found.items():
        if not value <= TOLERANCE:
            raise FertrainError(
                f"expected outputs of {name} that equal torch's within {TOLERANCE:g}, found a difference of "
                f"{value:.2g}; the network {graph.model.name} cannot be exported with these versions"
            )
    return found


def _images(
    run: Path, graph: Deployed, labels: tuple[str, ...], *, int8: bool, on: str | None, rule: str, progress: Progress
) -> tuple[Pictures, npt.NDArray[np.int64], str]:
    """Images, their classes in the order of the outputs (-1 where unknown), and their name."""
    if on is None and not int8:
        made = made_pictures(graph.spec)
        return made, np.full(len(made), -1), "made pictures"
    split: Split
    if on is not None:
        split = open_split(*open_target(on), rule)
    else:
        split = held_out_part(RunFolder.open(run).config(), progress)
    source = on or f"the held-out part ({split.dataset}:{split.split})"
    if len(split) < 2:
        raise UsageError(f"expected two images or more in {source}, found {len(split)}; give others with `on`")
    # labels of a set that lacks some classes keep their place in the outputs
    place = np.asarray(permutation(labels, split.order.classes))
    order = np.random.default_rng([0, 32]).permutation(len(split))[: _RANGES + _MEASURED if int8 else IMAGES]
    chosen = split.take(order)
    pixels = images_of(chosen, graph.spec).read(range(len(chosen))).numpy()
    return pixels, place[chosen.classes], source


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    if path.exists() and not (path.is_dir() and all(p.name.startswith("model.") for p in path.iterdir())):
        raise UsageError(f"expected a new folder, or one of an earlier export, found {path}; name another `out`")
    with written_folder(path) as folder:
        yield folder
        for old in path.iterdir() if path.is_dir() else ():
            old.unlink()


def _publish(source: Path, path: Path, to: To, meta: dict[str, str]) -> None:
    """Write the file with its final metadata."""
    import onnx

    if to == "openvino":
        with _new_folder(path) as folder:
            write_openvino(source, folder, meta)
        return
    if path.is_dir():
        raise UsageError(f"expected an ONNX file to write, found the folder {path}; name a file with `out`")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        write_onnx(onnx.load(str(source)), part, meta)


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else path.stat().st_size


__all__ = ["Exported", "Runner", "export"]
