"""Counting a finished network on a split, and proving that it judges every image alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rmset.progress import Progress, silent

from .contract import InputContract
from .datasets.images import ImageFiles, Images
from .datasets.labelled import GIVEN, LabelledSet, Split, require_split
from .errors import InvarianceError
from .inference import logits
from .labels import permutation
from .metrics import Scores, confusion_matrix

TOLERANCE = 1e-3
"""Largest difference between two logits of one image that rounding may make, relative to the largest logit."""
_SAMPLE = 24


@dataclass(frozen=True)
class Invariance:
    """How far logits moved when nothing but their company changed."""

    images: int
    """Sample size."""
    largest: float
    """Largest difference of a logit, relative to the largest logit."""


def rule_for(data: LabelledSet, rule: str) -> str:
    """The rule asked for, or `given` for a data set that has one label per image and no rules to choose from."""
    return GIVEN if data.rules() == [GIVEN] else rule


def open_split(data: LabelledSet, split: str, rule: str) -> Split:
    """A split under an evaluation rule."""
    require_split(data, split)
    return data.load(split, rule_for(data, rule))


def images_of(split: Split, contract: InputContract) -> ImageFiles:
    """Its images, decoded as the contract says."""
    return ImageFiles(split.source, split.names, contract.size, grey=contract.grey)


def score(
    model: nn.Module,
    labels: tuple[str, ...],
    contract: InputContract,
    split: Split,
    images: Images,
    *,
    part: str = "",
    workers: int = 0,
    progress: Progress = silent,
) -> Scores:
    """Scores of a network on a split, in the split's label order.

    Args:
        model: uint8-prepared images -> logits in the order of `labels`.
        labels: class of each output. Outputs for classes that the split does not have are left out.
        contract: what the model expects.
        split: what is true.
        images: the split's pixels, in its order.
        part: what to call it in reports, if not by its split.
        workers: processes that decode.
        progress: told how many are done.
    """
    columns = permutation(labels, split.order.classes)
    found = logits(model, images, contract, workers=workers, progress=progress)
    k = len(split.order)
    predicted = found[:, columns].argmax(dim=1).numpy() if len(split) else np.zeros(0, dtype=np.int64)
    matrix = confusion_matrix(split.classes, predicted, k)
    return Scores(matrix, split.order.classes, part or f"{split.dataset}:{split.split}", split.rule)


def check_invariance(model: nn.Module, contract: InputContract, images: Images, seed: int = 0) -> Invariance:
    """Judge a sample together, in reverse order by sevens, and one by one; the logits must agree.

    Raises:
        InvarianceError: they do not: something looks at the rest of the batch.
    """
    rng = np.random.default_rng([seed, 6])
    rows = rng.permutation(len(images))[:_SAMPLE].tolist()
    if not rows:
        return Invariance(0, 0.0)
    together = logits(model, images, contract, rows=rows)
    by_seven = logits(model, images, contract, rows=rows[::-1], batch_size=7).flip(0)
    alone = logits(model, images, contract, rows=rows, batch_size=1)
    scale = together.abs().max().clamp_min(1.0)
    largest = float(torch.stack([(together - by_seven).abs(), (together - alone).abs()]).max() / scale)
    if not largest <= TOLERANCE:
        raise InvarianceError(
            f"expected predictions that do not depend on batch size, order or companions, found logits of the same "
            f"image that differ by {largest:.2g} of their size; is a layer still in training mode?"
        )
    return Invariance(len(rows), largest)
