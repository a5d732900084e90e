"""Checkpoint files of other programs: find and read their state dicts, without running code from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import WeightsError

CONTAINERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "ema_model", "eval_model", "ema",
    "ema_state_dict", "model_ema", "teacher", "student", "train_model", "encoder", "backbone", "params", "weights",
)  # fmt: skip
"""Keys of a network in checkpoints of training programs, preferred first: plain ones, then the networks that TorchSSL
(`ema_model`, `eval_model`) and DINO (`teacher`) evaluate, then those they train."""
_DEEP = 3


@dataclass(frozen=True)
class Checkpoint:
    """The state dicts of a file."""

    parts: dict[str, dict[str, Tensor]]
    """State dicts by key, "model.state_dict" for nested ones; "" if the file itself is a state dict."""
    meta: dict[str, str] = field(default_factory=dict)
    """Metadata of a safetensors file."""


def read_checkpoint(path: Path) -> Checkpoint:
    """Read every state dict of a file.

    Raises:
        WeightsError: the file cannot be read, or holds no tensors by name.
    """
    if not path.is_file():
        raise WeightsError(f"expected a weights file, found none at {path}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(str(path), framework="pt") as file:
                tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
                return Checkpoint({"": tensors}, dict(file.metadata() or {}))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"expected a readable weights file at {path}, found: {_first_line(error)}") from None
    content = read_plain(path)
    if not isinstance(content, Mapping):
        raise WeightsError(f"expected a state dict in {path}, found {type(content).__name__}")
    parts = state_dicts(content)
    if not parts:
        raise WeightsError(f"expected tensors by name in {path}, found none")
    return Checkpoint(parts)


def read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a safetensors file or a state dict, and the metadata (empty for the latter)."""
    found = read_checkpoint(path)
    return next(iter(found.parts.values())), found.meta


def state_dicts(content: Mapping[object, object], deep: int = _DEEP) -> dict[str, dict[str, Tensor]]:
    """State dicts in a checkpoint by key, in the order of `CONTAINERS`."""
    found: dict[str, dict[str, Tensor]] = {}
    known = {name: k for k, name in enumerate(CONTAINERS)}
    for key in sorted((k for k in content if k in known), key=lambda k: known[str(k)]):
        inner = content[key]
        if isinstance(inner, Mapping) and deep:
            found |= {f"{key}.{name}".rstrip("."): part for name, part in state_dicts(inner, deep - 1).items()}
    own = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    return found or ({"": own} if own else {})


def read_plain(path: Path) -> object:
    """Read tensors and plain values from a `torch.save` file, on the CPU, without running code from the file.

    Raises:
        WeightsError: the file cannot be read, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise WeightsError(
            f"expected plain tensors in {path}, found pickled code or something else, which is not run; if it is a "
            "model whose maker you trust, `fertrain convert` makes safetensors of it"
        ) from None
    except Exception as error:
        # on arbitrary bytes the unpickler fails in many ways: KeyError and IndexError besides its own errors
        found = f"{type(error).__name__} {_first_line(error)}"
        raise WeightsError(
            f"expected a readable weights file at {path}, found none that torch reads: {found}"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
