"""Pickled whole-module files (`torch.save(model, "x.pt")`) to safetensors, knowingly.

Such a file is a program: loading it runs whatever its maker put into it. Classes that this machine does not have are
replaced by empty modules, which still hold their tensors; everything else in the file is run as it stands. Convert
only what you would also execute.
"""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..errors import WeightsError
from ..labels import order_of
from .weights import write_tensors

# as timm, torchvision and the authors of FER models call it, alone or as the last layer of a sequence
_HEAD = re.compile(r"(?:module\.)?(?:head|fc|classifier|last_linear)(?:\.fc|\.\d+)?\.weight")


class _Stub(nn.Module):
    """Stands for a class that is not here; has its tensors, cannot run."""


class _Unpickler(pickle.Unpickler):
    """Finds the classes that are here, and makes up those that are not."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (_Stub,), {"__module__": module})


def _pickle_module() -> ModuleType:
    """What torch.load wants: a module with Unpickler and load."""
    made = ModuleType("fertrain_knowing_pickle")
    made.Unpickler = _Unpickler  # type: ignore[attr-defined]
    made.load = lambda file, **options: _Unpickler(file, **options).load()  # type: ignore[attr-defined]
    return made


def convert(source: Path, target: Path, *, trusted: bool, labels: Sequence[str] = ()) -> int:
    """Write the tensors of a pickled file as safetensors; returns how many there are.

    Args:
        source: the pickled file.
        target: the safetensors file.
        trusted: the user said that the file's code may run.
        labels: what the head's outputs mean, in their order, if known; the head is then called `head`, where
            `load_into` looks for it.

    Raises:
        UsageError: nobody said that the file is trusted, or the head has more or fewer outputs than labels.
        LabelError: a label stands twice.
        WeightsError: the file cannot be read, holds no tensors, or no head that the labels could be of.
    """
    if not trusted:
        raise UsageError(
            f"expected --trust, as reading {source} runs the code inside; convert only files that you would execute"
        )
    if not source.is_file():
        raise WeightsError(f"expected a pickled file, found none at {source}")
    try:
        content = torch.load(
            io.BytesIO(source.read_bytes()), map_location="cpu", weights_only=False, pickle_module=_pickle_module()
        )
    except Exception as error:
        # code of strangers raises whatever it likes
        raise WeightsError(
            f"expected a file of torch.save at {source}, found: {type(error).__name__}: {error}"
        ) from error
    tensors = _tensors(content)
    if not tensors:
        raise WeightsError(f"expected a module or a state dict in {source}, found {type(content).__name__}")
    meta = {"format": "pt"}
    if labels:
        tensors = _with_head(tensors, labels, source)
        meta["labels"] = json.dumps(order_of(labels).classes)
    write_tensors(tensors, target, meta)
    return len(tensors)


def _tensors(content: object) -> dict[str, Tensor]:
    if isinstance(content, nn.Module):
        return dict(content.state_dict())
    if isinstance(content, dict):
        for key in ("state_dict", "model_state_dict", "model", "net"):
            if key in content and (inner := _tensors(content[key])):
                return inner
        return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    return {}


def _with_head(tensors: dict[str, Tensor], labels: Sequence[str], source: Path) -> dict[str, Tensor]:
    """The same tensors, with the layer that gives the answers called `head`."""
    found = [name for name, tensor in tensors.items() if _HEAD.fullmatch(name) and tensor.ndim == 2]
    if not found:
        raise WeightsError(
            f"expected a linear layer called head, fc, classifier or last_linear in {source} for the labels, found "
            "none; convert it without --labels"
        )
    weight = found[-1]
    bias = weight.removesuffix("weight") + "bias"
    outputs = len(tensors[weight])
    if outputs != len(labels):
        raise UsageError(
            f"expected {outputs} labels, one for each output of {weight} in {source}, found {len(labels)}: "
            f"{', '.join(labels)}"
        )
    head = {"head.weight": tensors[weight], "head.bias": tensors.get(bias, tensors[weight].new_zeros(outputs))}
    return {name: tensor for name, tensor in tensors.items() if name not in (weight, bias)} | head
