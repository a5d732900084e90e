"""What the loop knows of a method, and what a method knows of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from torch import Tensor, nn

from rmset.errors import UsageError

from ..models.classifier import Classifier


@dataclass(frozen=True)
class AnchorBatch:
    """One anchor of RMset and the candidates drawn for it."""

    images: Tensor
    """(1 + p + q, C, S, S), normalized: the anchor, p positives, q negatives."""
    positives: int
    """p."""


@dataclass(frozen=True)
class Views:
    """Unlabeled images beside the labeled batch, and in how many ways each is seen."""

    ratio: int
    """Unlabeled images for each labeled one of a batch (μ); also in phases that see no labeled ones."""
    weak: int = 0
    """Views augmented as labeled images are."""
    strong: int = 0
    """Views augmented strongly."""
    again: int = 0
    """Passes of the U images through a network beyond one for each view; only an image budget wants to know."""

    def __post_init__(self) -> None:
        if self.ratio < 1 or min(self.weak, self.strong) < 0 or self.weak + self.strong == 0:
            raise UsageError(
                f"expected one unlabeled image or more for each labeled one and one view or more of it, found "
                f"{self.ratio} with {self.weak} weak and {self.strong} strong views"
            )

    def passes(self, images: int) -> int:
        """Images that pass through the network when it is shown so many in all their views."""
        return images * (self.weak + self.strong + self.again)


@dataclass(frozen=True)
class Unlabeled:
    """Views of the same U unlabeled images, in the same order, normalized by their own stream's mean and std."""

    weak: tuple[Tensor, ...] = ()
    """Each (U, C, S, S)."""
    strong: tuple[Tensor, ...] = ()
    """Each (U, C, S, S)."""

    @property
    def size(self) -> int:
        """U."""
        return len((self.weak + self.strong)[0])


@dataclass(frozen=True)
class Batch:
    """What one step sees, on the device."""

    images: Tensor
    """(B, C, S, S), augmented and normalized; B = 0 in phases without labels."""
    targets: Tensor
    """(B, K), rows sum to 1."""
    anchors: tuple[AnchorBatch, ...] = ()
    """Empty in phases that need none."""
    unlabeled: Unlabeled | None = None
    """None in phases that need none, and in runs without unlabeled images."""
    seed: int = 0
    """Of what the method itself draws for this batch, a function of the run's seed, epoch and step."""
    epoch: int = 0
    """Of the phase, from 0."""
    step: int = 0
    """Batches of the phase before this one."""
    done: float = 0.0
    """Share of the phase that these are, in [0, 1)."""
    passes: int = 0
    """Images that pass through the network in its step, each view of each, candidates of anchors included."""


@dataclass(frozen=True)
class StepOutput:
    """A loss with its gradient, and numbers for the history."""

    loss: Tensor
    """Scalar."""
    logs: Mapping[str, float] = field(default_factory=dict)
    """Parts of the loss."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """What else is worth a curve, each from 0 to 1: how many guesses counted, a margin."""


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one objective and one optimizer."""

    name: str
    """As in the history."""
    epochs: int
    """Passes over the labeled images, or over the unlabeled ones where it sees no others."""
    lr: float
    """Highest learning rate."""
    optimizer: str
    """`adamw`, `adam`, `sgd` or `sam`."""
    anchors: int = 0
    """Anchors in each step, each with its candidates."""
    views: Views | None = None
    """Unlabeled images in each step; None: the phase needs none."""
    labeled: bool = True
    """Whether it sees labeled images; if not, an epoch is a pass over the unlabeled ones."""
    judged: bool = True
    """Whether its best epoch is chosen by held-out accuracy; if not, its last is taken: no head has learned yet."""
    steps: int | None = None
    """Steps in an epoch; None: one pass. Set by an image budget."""

    @property
    def needs_unlabeled(self) -> bool:
        """Whether it will ask for unlabeled images."""
        return self.epochs > 0 and (self.anchors > 0 or self.views is not None)


class Method(Protocol):
    """A way of learning. The loop calls these, and knows nothing else of it."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """In order; a phase of 0 epochs is skipped."""

    @property
    def module(self) -> nn.Module:
        """Everything that learns."""

    @property
    def model(self) -> Classifier:
        """What runs at test: a part of `module`."""

    def begin(self, phase: Phase) -> None:
        """Prepare for a phase; called before its first step."""

    def loss(self, batch: Batch) -> StepOutput:
        """Compute the objective of the current phase. May be called twice on one batch (SAM does)."""

    def after_step(self) -> None:
        """Update moving averages and queues; called after the weights have moved."""


Found = TypeVar("Found")


class StepCache(Generic[Found]):
    """What a method found for each batch of a step, until the step is over.

    SAM looks at every batch of a step twice. What is a target (a guessed label, a choice of candidates, a teacher's
    features) must be the same in both looks, and what moves a queue or a mean must be counted once.
    """

    def __init__(self) -> None:
        # the batch is kept too, so that no other can get its id
        self._found: dict[int, tuple[Batch, Found]] = {}

    def get(self, batch: Batch, find: Callable[[], Found]) -> Found:
        """Return the value of this batch; compute it at the first look."""
        if id(batch) not in self._found:
            self._found[id(batch)] = (batch, find())
        return self._found[id(batch)][1]

    def __iter__(self) -> Iterator[Found]:
        """Iterate over the values, in the order of the batches."""
        return (found for _, found in self._found.values())

    def clear(self) -> None:
        """Forget the values; the step is over."""
        self._found.clear()


def epochs_of(names: tuple[str, ...], epochs: tuple[int, ...]) -> tuple[int, ...]:
    """Epochs by phase: one number stands for every phase, otherwise there is one for each."""
    if len(epochs) == 1:
        return epochs * len(names)
    if len(epochs) != len(names):
        raise UsageError(
            f"expected one number of epochs, or {len(names)} for the phases {', '.join(names)}; found {len(epochs)}"
        )
    return epochs
