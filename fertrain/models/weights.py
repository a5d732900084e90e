"""The project's weights files: save and load.

A weights file is safetensors; its metadata describes the network:

    model       name, as for `models.build`
    labels      JSON list: class of each output
    input       the `InputSpec`
    head        "linear", or "embedding D": word vectors of length D, which are among the tensors
    flip_test   "true" if features at test are averaged over an image and its flip
    test_scales JSON list: shares of the image's side over which they are averaged; empty: as it is
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from rmset.bounded import parse_json

from ..config.fields import MOST_SCALES, SCALES
from ..errors import WeightsError
from ..files import whole
from ..transforms.input_spec import InputSpec
from .checkpoint_file import read_file
from .classifier import Classifier
from .factory import build
from .label_embedding import EmbeddingHead


def save(model: Classifier, labels: tuple[str, ...], spec: InputSpec, path: Path) -> None:
    """Write a network with its labels and input spec, atomically."""
    meta = {
        "model": model.name,
        "image_size": str(spec.size),
        "labels": json.dumps(labels),
        "input": spec.to_json(),
        "head": f"embedding {model.head.words.shape[1]}" if isinstance(model.head, EmbeddingHead) else "linear",
        "flip_test": json.dumps(model.flip_test),
        "test_scales": json.dumps(model.test_scales),
        "format": "pt",
    }
    write_tensors(model.state_dict(), path, meta)


def write_tensors(tensors: dict[str, Tensor], path: Path, meta: dict[str, str]) -> None:
    """Write tensors as safetensors."""
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with whole(path) as part:
        part.write_bytes(_in_order(to_bytes(plain, metadata=meta)))


def _in_order(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file by name: the library's order varies, so equal files would differ."""
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


_LARGEST = 4096
"""Largest image size that a file may request, px."""


def load(path: Path) -> tuple[Classifier, tuple[str, ...], InputSpec]:
    """Load a network that `save` wrote, with its label order and input spec."""
    tensors, meta = read_file(path)
    if not {"model", "labels", "input"} <= meta.keys():
        raise WeightsError(
            f"expected model, labels and input in the metadata of {path}, found {sorted(meta) or 'none'}"
        )
    labels = labels_in(meta["labels"], path)
    spec = InputSpec.from_json(meta["input"])
    if not 1 <= spec.size <= _LARGEST:
        raise WeightsError(f"expected an image size up to {_LARGEST} px in {path}, found {spec.size}")
    head = re.fullmatch(r"linear|embedding ([1-9]\d{0,6})", meta.get("head", "linear"))
    if head is None:
        raise WeightsError(f"expected a head 'linear' or 'embedding D' in {path}, found {meta['head']!r}")

    def built() -> Classifier:
        network = build(meta["model"], len(labels), spec.size)
        if head[1]:
            network.speak(torch.ones(len(labels), int(head[1])))
        return network

    # Check shapes before allocating: a file of a few bytes may name a network of gigabytes.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        wanted = sum(tensor.numel() for tensor in built().state_dict().values())
    given = sum(tensor.numel() for tensor in tensors.values())
    if wanted > given:
        raise WeightsError(
            f"expected {wanted:,} numbers of {meta['model']} in {path}, found {given:,}; the file is another network's"
        )
    model = built()
    model.flip_test = meta.get("flip_test") == "true"
    model.test_scales = _test_scales(meta.get("test_scales", "[]"), path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        found = " ".join(str(error).split())[:300]
        raise WeightsError(f"expected the tensors of {meta['model']} in {path}, found others: {found}") from None
    return model, labels, spec


def _test_scales(text: str, path: Path) -> tuple[float, ...]:
    try:
        found = parse_json(text, "test_scales")
    except ValueError:
        found = None
    if (
        not isinstance(found, list)
        or len(found) > MOST_SCALES
        or not all(type(scale) in (int, float) and SCALES[0] <= scale <= SCALES[1] for scale in found)
    ):
        raise WeightsError(
            f"expected test_scales as a JSON list of up to {MOST_SCALES} numbers from {SCALES[0]:g} to {SCALES[1]:g} "
            f"in the metadata of {path}, found {text[:200]!r}"
        )
    return tuple(float(scale) for scale in found)


def labels_in(text: str, path: Path) -> tuple[str, ...]:
    """Read the metadata's label order."""
    try:
        found = parse_json(text, "labels")
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise WeightsError(f"expected labels as a JSON list of names in the metadata of {path}, found {text[:200]!r}")
    return tuple(found)
