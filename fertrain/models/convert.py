"""Convert pickled whole-module files (`torch.save(model, "x.pt")`) to safetensors. Runs code from the file.

Such a file is a program: loading it executes its content. Classes that are not installed get stand-ins (see
`unpickle`) and are listed; all other code in the file runs. Convert only files that you would also execute.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rmset.errors import UsageError

from ..errors import WeightsError
from ..labels import order_of
from .checkpoint_file import CONTAINERS
from .transfer import HEAD
from .unpickle import load_trusted, mapping_of, named_tensors
from .weights import write_tensors


@dataclass(frozen=True)
class Converted:
    """Result of a conversion."""

    tensors: int
    """Number of tensors written."""
    part: str = ""
    """The part of the file they come from: `model`, `state_dict` …; empty for the file itself."""
    others: tuple[str, ...] = ()
    """Other parts with tensors."""
    stood_in: tuple[str, ...] = ()
    """Classes that are not installed; their objects' tensors were kept, their code was not run."""
    head: str = ""
    """The layer that got the labels."""


def convert(source: Path, target: Path, *, trusted: bool, labels: Sequence[str] = (), part: str = "") -> Converted:
    """Write the tensors of a pickled file as safetensors.

    Args:
        source: the pickled file.
        target: the safetensors file.
        trusted: whether the file's code may run; required.
        labels: class of each output of the head, if known; the layer is then renamed to `head`, as `load_into` expects.
        part: key of one of several state dicts in the file; the first of `CONTAINERS` if empty.

    Raises:
        UsageError: the file was not declared trusted, or the head has more or fewer outputs than labels.
        LabelError: a label occurs twice.
        WeightsError: the file cannot be read, holds no tensors, or no head that fits the labels.
    """
    if not trusted:
        raise UsageError(
            f"expected `trusted`, as reading {source} runs the code inside; convert only files that you would execute"
        )
    if not source.is_file():
        raise WeightsError(f"expected a pickled file, found none at {source}")
    content, stood_in = load_trusted(source)
    parts = _parts(content)
    if not parts:
        raise WeightsError(f"expected a module or a state dict in {source}, found {type(content).__name__}")
    if part and part not in parts:
        raise UsageError(f"expected a part of {source} ({', '.join(parts)}) for `part`, found '{part}'")
    taken = part or next(iter(parts))
    tensors, meta, head = parts[taken], {"format": "pt"}, ""
    if labels:
        tensors, head = _with_head(tensors, labels, source)
        meta["labels"] = json.dumps(order_of(labels).classes)
    write_tensors(tensors, target, meta)
    return Converted(len(tensors), taken, tuple(name for name in parts if name != taken), tuple(stood_in), head)


def _parts(content: object) -> dict[str, dict[str, Tensor]]:
    """Return the state dicts of a checkpoint by key; "" if it is one itself."""
    found = mapping_of(content)
    if found is not None:
        known = {name: k for k, name in enumerate(CONTAINERS)}
        keys = sorted((k for k in found if k in known), key=lambda k: known[str(k)])
        parts = {f"{key}.{name}".rstrip("."): tensors for key in keys for name, tensors in _parts(found[key]).items()}
        if parts:
            return parts
    tensors = named_tensors(content)
    return {"": tensors} if tensors else {}


def _with_head(tensors: dict[str, Tensor], labels: Sequence[str], source: Path) -> tuple[dict[str, Tensor], str]:
    """Rename the output layer to `head`; also returns its former name."""
    found = {name: len(t) for name, t in tensors.items() if HEAD.fullmatch(name) and _gives_answers(t)}
    if not found:
        raise WeightsError(
            f"expected a linear layer or 1×1 convolution called head, fc, classifier, last_linear, fc2, linear or "
            f"logits in {source} for the labels, found none; convert it without `labels`"
        )
    weight = next((name for name in reversed(found) if found[name] == len(labels)), list(found)[-1])
    outputs = found[weight]
    if outputs != len(labels):
        raise UsageError(
            f"expected {outputs} labels, one for each output of {weight} in {source}, found {len(labels)}: "
            f"{', '.join(labels)}"
        )
    bias = weight.removesuffix("weight") + "bias"
    matrix = tensors[weight].flatten(1)
    head = {"head.weight": matrix, "head.bias": tensors.get(bias, matrix.new_zeros(outputs))}
    return {name: tensor for name, tensor in tensors.items() if name not in (weight, bias)} | head, weight


def _gives_answers(tensor: Tensor) -> bool:
    """Whether a tensor is the weight of a head: a linear layer's (K, D), or a 1×1 convolution's (K, D, 1, 1)."""
    return tensor.ndim == 2 or (tensor.ndim == 4 and tuple(tensor.shape[2:]) == (1, 1))
