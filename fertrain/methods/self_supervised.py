"""Base of SimCLR, MoCo, BYOL and SimSiam: unlabeled images first, labels afterwards, in the same loop.

    pretrain     two strong views of each unlabeled image are compared; no labels, no held-out accuracy
    supervised   then the whole network trains on labels as in supervised-only; the head starts untrained

The last state of the first phase is used: without labels no score can choose among its epochs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, Phase, StepCache, StepOutput, Views, epochs_of
from .joint import joint_features

PHASES = ("pretrain", "supervised")


class SelfSupervised(ABC):
    """Two phases; a subclass defines how two views are compared."""

    def __init__(
        self, model: Classifier, config: RunConfig, scheme: Scheme, parts: Mapping[str, nn.Module], *, ratio: int,
        again: int = 0,
    ) -> None:  # fmt: skip
        self.model, self.scheme = model, scheme
        self.module: nn.Module = nn.ModuleDict({"model": model, **parts})
        o = config.optim
        first, second = epochs_of(PHASES, o.epochs)
        views = Views(ratio, strong=2, again=again)
        self.phases = (
            Phase("pretrain", first, o.lr, o.optimizer, views=views, labeled=False, judged=False),
            Phase("supervised", second, o.lr, o.optimizer),
        )
        self._phase = self.phases[0].name
        self.kept: StepCache[Tensor] = StepCache()

    def begin(self, phase: Phase) -> None:
        """Start with an empty cache."""
        self.kept.clear()
        self._phase = phase.name

    def loss(self, batch: Batch) -> StepOutput:
        """Compare views in the first phase; compute the scheme's loss in the second."""
        if self._phase == "supervised" or batch.unlabeled is None:
            ce = self.scheme.loss(self.model.head(*joint_features(self.model, batch.images)), batch.targets)
            return StepOutput(ce, {"ce": ce.detach()})
        one, two = batch.unlabeled.strong
        loss = self.compare(batch, one, two)
        return StepOutput(loss, {"views": loss.detach()})

    @abstractmethod
    def compare(self, batch: Batch, one: Tensor, two: Tensor) -> Tensor:
        """Compute the objective on two views, each (U, C, S, S), or this process's share of them."""

    def after_step(self) -> None:
        """Forget the targets of the step."""
        self.kept.clear()


def perceptron(*widths: int, normalized: bool, ends: bool = False) -> nn.Sequential:
    """Linear layers with ReLU between them.

    Args:
        widths: of input, hidden layers and output.
        normalized: batch normalization before each ReLU.
        ends: batch normalization after the last layer too (SimSiam).
    """
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(pairwise(widths)):
        last = k == len(widths) - 2
        layers.append(nn.Linear(a, b))
        if (normalized and not last) or (ends and last):
            layers.append(nn.BatchNorm1d(b))
        if not last:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def frozen(module: nn.Module) -> nn.Module:
    """Turn off gradients of a module, for momentum networks."""
    return module.requires_grad_(requires_grad=False)


@torch.no_grad()
def update_momentum(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """θ' ← m θ' + (1 − m) θ for every weight; the target keeps its own running statistics."""
    for own, other in zip(target.parameters(), source.parameters(), strict=True):
        own.lerp_(other, 1 - momentum)
