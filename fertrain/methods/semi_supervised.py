"""Base of the methods that train on labeled and unlabeled images together, in one phase."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic

from torch import Tensor, nn

from rmset.errors import UsageError

from ..config.run import RunConfig
from ..losses.precision import full
from ..losses.supervised import Scheme, ml
from ..models.classifier import Classifier
from ..models.inference import eval_mode, frozen_statistics
from .base import Batch, Found, Phase, StepCache, StepOutput, Unlabeled, Views, epochs_of
from .joint import joint_features


class SemiSupervised(ABC, Generic[Found]):
    """One phase; without unlabeled images (a fraction of 0) it is supervised-only.

    `Found` is what a method computes once per batch, such as guesses.
    """

    def __init__(self, name: str, model: Classifier, config: RunConfig, scheme: Scheme, views: Views) -> None:
        self.model = model
        self.module: nn.Module = model
        self.scheme = scheme
        (epochs,) = epochs_of((name,), config.optim.epochs)
        self.phases = (Phase(name, epochs, config.optim.lr, config.optim.optimizer, views=views),)
        self.kept: StepCache[Found] = StepCache()

    def begin(self, phase: Phase) -> None:  # noqa: ARG002 - there is one
        """Start with an empty cache."""
        self.kept.clear()

    def loss(self, batch: Batch) -> StepOutput:
        """Compute the method's objective, or the scheme's loss alone."""
        if batch.unlabeled is None:
            ce = self.scheme.loss(self.model.head(*joint_features(self.model, batch.images)), batch.targets)
            return StepOutput(ce, {"ce": ce.detach()})
        return self.both(batch, batch.unlabeled)

    @abstractmethod
    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Compute the objective on labeled and unlabeled images."""

    def after_step(self) -> None:
        """Forget the guesses of the step."""
        self.kept.clear()


def predict_with_batch_stats(model: Classifier, images: Tensor) -> Tensor:
    """Logits (U, K), float32, without gradients and dropout; batch normalization uses the images' own statistics.

    The authors also guess in training mode, FixMatch's and UDA's in the training pass itself. Running statistics lag
    behind the weights, so guesses made with them would be wrong early on. They are not updated here: only trained
    images should set the statistics used at test.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    with eval_mode(model), frozen_statistics(model):
        for layer in layers:
            layer.train()
        logits: Tensor = model.head(*joint_features(model, images))
    return full(logits)


def refuse_multi_label(name: str, scheme: Scheme) -> None:
    """Raise for the scheme ml: mixed targets give every class a share, and ml counts any positive share as correct."""
    if scheme.loss is ml:
        raise UsageError(f"expected the scheme mv, pld or cel for {name}, which mixes targets, found ml")
