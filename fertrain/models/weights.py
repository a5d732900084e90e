"""Weights in and out of files, without running anything that a file contains.

A weights file of ours is safetensors; its metadata holds what the numbers mean:

    model       name, as for `models.build`
    labels      JSON list: class of each output
    input       the `InputSpec`
    head        "linear", or "embedding D": word vectors of length D, which are among the tensors
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import LabelError, WeightsError
from ..files import whole
from ..labels import permutation
from ..transforms.input_spec import InputSpec
from .classifier import Classifier
from .factory import build
from .label_embedding import EmbeddingHead


@dataclass(frozen=True)
class Loaded:
    """What became of the tensors of a file."""

    used: int
    """Tensors of the network that came out of the file."""
    left: int
    """Tensors of the network that keep their start."""
    head: bool
    """The head was among them."""


def save(model: Classifier, labels: tuple[str, ...], spec: InputSpec, path: Path) -> None:
    """Write a network with what it expects and means; the file is there whole or not at all."""
    meta = {
        "model": model.name,
        "image_size": str(spec.size),
        "labels": json.dumps(labels),
        "input": spec.to_json(),
        "head": f"embedding {model.head.words.shape[1]}" if isinstance(model.head, EmbeddingHead) else "linear",
        "format": "pt",
    }
    write_tensors(model.state_dict(), path, meta)


def write_tensors(tensors: dict[str, Tensor], path: Path, meta: dict[str, str]) -> None:
    """Write tensors as safetensors."""
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with whole(path) as part:
        part.write_bytes(_in_order(to_bytes(plain, metadata=meta)))


def _in_order(data: bytes) -> bytes:
    """A safetensors file whose metadata stand by name: the library writes them in any order, and files would differ."""
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def load(path: Path) -> tuple[Classifier, tuple[str, ...], InputSpec]:
    """A network that `save` wrote, with its label order and input spec."""
    tensors, meta = read_file(path)
    if not {"model", "labels", "input"} <= meta.keys():
        raise WeightsError(
            f"expected model, labels and input in the metadata of {path}, found {sorted(meta) or 'none'}"
        )
    labels = _labels(meta["labels"], path)
    spec = InputSpec.from_json(meta["input"])
    model = build(meta["model"], len(labels), spec.size)
    head = re.fullmatch(r"linear|embedding ([1-9]\d*)", meta.get("head", "linear"))
    if head is None:
        raise WeightsError(f"expected a head 'linear' or 'embedding D' in {path}, found {meta['head']!r}")
    if head[1]:
        model.speak(torch.ones(len(labels), int(head[1])))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        found = " ".join(str(error).split())[:300]
        raise WeightsError(f"expected the tensors of {meta['model']} in {path}, found others: {found}") from None
    return model, labels, spec


def read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file or of a state dict, and the metadata (empty for the latter)."""
    if not path.is_file():
        raise WeightsError(f"expected a weights file, found none at {path}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(str(path), framework="pt") as file:
                return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"expected a readable weights file at {path}, found: {_first_line(error)}") from None
    return _state_dict(read_plain(path), path), {}


def read_plain(path: Path) -> object:
    """What `torch.save` wrote of tensors and plain values, on the CPU; no code in the file is run.

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
        # bytes that are no pickle make the unpickler fail in any way: KeyError and IndexError as well as its own
        found = f"{type(error).__name__} {_first_line(error)}"
        raise WeightsError(
            f"expected a readable weights file at {path}, found none that torch reads: {found}"
        ) from None


def load_into(model: Classifier, path: Path, labels: tuple[str, ...]) -> Loaded:
    """Start a network from a file: tensors that fit by name and shape are taken.

    A head is taken only if the file says what its outputs mean; it is permuted to `labels` by name.

    Raises:
        WeightsError: no tensor of the file fits.
    """
    tensors, meta = read_file(path)
    own = model.state_dict()
    fitting: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix("module.")
        for target in (plain, f"features.{plain}"):
            if target in own and own[target].shape == tensor.shape and not target.startswith("head."):
                fitting[target] = tensor
    head = _head(tensors, meta, labels, path)
    if head is not None and "head.weight" in own and head["head.weight"].shape == own["head.weight"].shape:
        fitting |= head
    if not any(key.startswith("features.") for key in fitting):
        raise WeightsError(
            f"expected tensors of {model.name} in {path}, found {len(tensors)} that fit none of its {len(own)}; "
            "name the model they belong to with --model"
        )
    model.load_state_dict(fitting, strict=False)
    return Loaded(len(fitting), len(own) - len(fitting), "head.weight" in fitting)


def _labels(text: str, path: Path) -> tuple[str, ...]:
    """The metadata's label order."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise WeightsError(f"expected labels as a JSON list of names in the metadata of {path}, found {text!r}")
    return tuple(found)


def _head(
    tensors: dict[str, Tensor], meta: dict[str, str], labels: tuple[str, ...], path: Path
) -> dict[str, Tensor] | None:
    if "labels" not in meta or "head.weight" not in tensors:
        return None
    try:
        rows = permutation(_labels(meta["labels"], path), labels)
    except (LabelError, WeightsError):
        return None  # other classes, or nobody knows which: the head starts anew
    return {"head.weight": tensors["head.weight"][rows], "head.bias": tensors["head.bias"][rows]}


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, found under the usual keys."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(f"expected a state dict in {path}, found {type(content).__name__}")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise WeightsError(f"expected tensors by name in {path}, found none")
    return tensors


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
