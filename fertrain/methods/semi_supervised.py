"""What the methods share that learn from labelled and unlabelled images side by side, in one phase."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..config.run import RunConfig
from ..losses.supervised import Scheme, ml
from ..models.classifier import Recogniser
from ..models.inference import at_test
from .base import Batch, Found, Kept, Phase, StepOutput, Unlabelled, Views, epochs_of


class Beside(ABC, Generic[Found]):
    """One phase. Where there are no unlabelled images (a fraction of 0) it is supervised-only.

    What a method finds once for a batch, such as its guesses, is `Found`.
    """

    def __init__(self, name: str, model: Recogniser, config: RunConfig, scheme: Scheme, views: Views) -> None:
        self.model = model
        self.module: nn.Module = model
        self.scheme = scheme
        (epochs,) = epochs_of((name,), config.optim.epochs)
        self.phases = (Phase(name, epochs, config.optim.lr, config.optim.optimizer, views=views),)
        self.kept: Kept[Found] = Kept()

    def begin(self, phase: Phase) -> None:  # noqa: ARG002 - there is one
        """Nothing was found yet."""
        self.kept.clear()

    def loss(self, batch: Batch) -> StepOutput:
        """The method's objective, or the scheme's loss alone."""
        if batch.unlabelled is None:
            ce = self.scheme.loss(self.model(batch.images), batch.targets)
            return StepOutput(ce, {"ce": ce.item()})
        return self.both(batch, batch.unlabelled)

    @abstractmethod
    def both(self, batch: Batch, unlabelled: Unlabelled) -> StepOutput:
        """The objective on labelled and unlabelled images."""

    def after_step(self) -> None:
        """The next batches are guessed anew."""
        self.kept.clear()


def together(model: Recogniser, *parts: Tensor) -> tuple[Tensor, ...]:
    """Features of several sets of images, found in one pass, so that batch normalisation sees one batch of them all.

    Passed one by one, each set would be normalised by its own statistics, and those of whichever came last would
    weigh most at test. Most authors of these methods mix them, by interleaving or by concatenation; Ada-CM's pass them
    one by one.
    """
    return torch.split(model.features(torch.cat(parts)), [len(part) for part in parts])


def said_of(model: Recogniser, images: Tensor) -> Tensor:
    """Logits (U, K), float32, without gradients and dropout; batch normalisation uses the images' own statistics.

    The authors guess in training mode, too, FixMatch's and UDA's in the pass that learns. Running statistics lag
    behind the weights, so early guesses made with them are wrong or unsure, and would be learnt. They are not moved
    here: only images that the network learns from decide what it will know at test.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    with at_test(model):
        for layer in layers:
            layer.train()
            layer.momentum = 0.0
        try:
            logits: Tensor = model(images)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
    return logits.float()


def refuse_multi_label(name: str, scheme: Scheme) -> None:
    """Mixed targets give every class a share, and the scheme ml counts any positive share as right."""
    if scheme.loss is ml:
        raise UsageError(f"expected the scheme mv, pld or cel for {name}, which mixes targets, found ml")
