"""Pickled whole-module files (`torch.save(model, "x.pt")`) to safetensors, knowingly.

Such a file is a program: loading it runs whatever its maker put into it. Classes that this machine does not have are
replaced by empty modules, which still hold their tensors; everything else in the file is run as it stands. Convert
only what you would also execute.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..errors import WeightsError
from .weights import write_tensors


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
        labels: what the head's outputs mean, in their order, if known.

    Raises:
        UsageError: nobody said that the file is trusted.
        WeightsError: the file cannot be read, or holds no tensors.
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
    meta = {"format": "pt", **({"labels": _json(labels)} if labels else {})}
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


def _json(labels: Sequence[str]) -> str:
    import json

    return json.dumps(list(labels))
