"""Base of the methods that learn from labels alone, in one phase: EAC, VAC, RUL, SCN."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, Phase, StepOutput, epochs_of


class LabelsOnly(ABC):
    """One phase named after the method."""

    def __init__(self, name: str, model: Classifier, config: RunConfig, scheme: Scheme, passes: int = 1) -> None:
        self.model = model
        self.module: nn.Module = model
        self.scheme = scheme
        o = config.optim
        (epochs,) = epochs_of((name,), o.epochs)
        self.phases = (Phase(name, epochs, o.lr, o.optimizer, labeled_passes=passes),)

    def begin(self, phase: Phase) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare for the phase."""

    @abstractmethod
    def loss(self, batch: Batch) -> StepOutput:
        """Compute the method's objective."""

    def after_step(self) -> None:  # noqa: B027 - most have no memory
        """Update what the method remembers."""


def output(ce: Tensor, weight: float, name: str, beside: Tensor) -> StepOutput:
    """Cross-entropy plus one weighted term, both logged."""
    return StepOutput(ce + weight * beside, {"ce": ce.detach(), name: beside.detach()})
