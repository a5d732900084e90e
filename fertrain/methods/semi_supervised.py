"""What the methods share that learn from labeled and unlabeled images side by side, in one phase."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..config.run import RunConfig
from ..losses.supervised import Scheme, ml
from ..models.classifier import Classifier
from ..models.inference import eval_mode, frozen_statistics
from .base import Batch, Found, Phase, StepCache, StepOutput, Unlabeled, Views, epochs_of


class SemiSupervised(ABC, Generic[Found]):
    """One phase. Where there are no unlabeled images (a fraction of 0) it is supervised-only.

    What a method finds once for a batch, such as its guesses, is `Found`.
    """

    def __init__(self, name: str, model: Classifier, config: RunConfig, scheme: Scheme, views: Views) -> None:
        self.model = model
        self.module: nn.Module = model
        self.scheme = scheme
        (epochs,) = epochs_of((name,), config.optim.epochs)
        self.phases = (Phase(name, epochs, config.optim.lr, config.optim.optimizer, views=views),)
        self.kept: StepCache[Found] = StepCache()

    def begin(self, phase: Phase) -> None:  # noqa: ARG002 - there is one
        """Nothing was found yet."""
        self.kept.clear()

    def loss(self, batch: Batch) -> StepOutput:
        """Compute the method's objective, or the scheme's loss alone."""
        if batch.unlabeled is None:
            ce = self.scheme.loss(self.model(batch.images), batch.targets)
            return StepOutput(ce, {"ce": ce.item()})
        return self.both(batch, batch.unlabeled)

    @abstractmethod
    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Compute the objective on labeled and unlabeled images."""

    def after_step(self) -> None:
        """Forget the guesses of the step."""
        self.kept.clear()


def joint_features(model: Classifier, *parts: Tensor) -> tuple[Tensor, ...]:
    """Features of several sets of images, found in one pass, so that batch normalization sees one batch of them all.

    Passed one by one, each set would be normalized by its own statistics, and those of whichever came last would
    weigh most at test. Most authors of these methods mix them, by interleaving or by concatenation; Ada-CM's pass them
    one by one.
    """
    return torch.split(model.features(torch.cat(parts)), [len(part) for part in parts])


def predict_with_batch_stats(model: Classifier, images: Tensor) -> Tensor:
    """Logits (U, K), float32, without gradients and dropout; batch normalization uses the images' own statistics.

    The authors guess in training mode, too, FixMatch's and UDA's in the pass that learns. Running statistics lag
    behind the weights, so early guesses made with them are wrong or unsure, and would be learned. They are not moved
    here: only images that the network learns from decide what it will know at test.
    """
    with eval_mode(model), frozen_statistics(model):
        for layer in model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.train()
        logits: Tensor = model(images)
    return logits.float()


def refuse_multi_label(name: str, scheme: Scheme) -> None:
    """Mixed targets give every class a share, and the scheme ml counts any positive share as right."""
    if scheme.loss is ml:
        raise UsageError(f"expected the scheme mv, pld or cel for {name}, which mixes targets, found ml")
