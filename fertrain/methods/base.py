"""What the loop knows of a method, and what a method knows of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from rmset.errors import UsageError

from ..models import Recogniser


@dataclass(frozen=True)
class AnchorBatch:
    """One anchor of RMset and the candidates drawn for it."""

    images: Tensor
    """(1 + p + q, C, S, S), normalised: the anchor, p positives, q negatives."""
    positives: int
    """p."""


@dataclass(frozen=True)
class Batch:
    """What one step sees, on the device."""

    images: Tensor
    """(B, C, S, S), augmented and normalised."""
    targets: Tensor
    """(B, K), rows sum to 1."""
    anchors: tuple[AnchorBatch, ...] = ()
    """Empty in phases that need none."""


@dataclass(frozen=True)
class StepOutput:
    """A loss with its gradient, and numbers for the history."""

    loss: Tensor
    """Scalar."""
    logs: Mapping[str, float] = field(default_factory=dict)
    """Parts of the loss and what else is worth a curve."""


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one objective and one optimiser."""

    name: str
    """As in the history."""
    epochs: int
    """Passes over the labelled images."""
    lr: float
    """Highest learning rate."""
    optimizer: str
    """`adamw`, `adam`, `sgd` or `sam`."""
    anchors: int = 0
    """Anchors of RMset in each step; 0: the phase needs no unlabelled images."""


class Method(Protocol):
    """A way of learning. The loop calls these, and knows nothing else of it."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """In order; a phase of 0 epochs is skipped."""

    @property
    def module(self) -> nn.Module:
        """Everything that learns."""

    @property
    def model(self) -> Recogniser:
        """What runs at test: a part of `module`."""

    def begin(self, phase: Phase) -> None:
        """Called before a phase's first step."""

    def loss(self, batch: Batch) -> StepOutput:
        """The objective of the phase that was begun. May be called twice on one batch (SAM does)."""

    def after_step(self) -> None:
        """Called after the weights have moved: moving averages, queues."""


def epochs_of(names: tuple[str, ...], epochs: tuple[int, ...]) -> tuple[int, ...]:
    """Epochs by phase: one number stands for every phase, otherwise there is one for each."""
    if len(epochs) == 1:
        return epochs * len(names)
    if len(epochs) != len(names):
        raise UsageError(
            f"expected one number of epochs, or {len(names)} for the phases {', '.join(names)}; found {len(epochs)}"
        )
    return epochs
