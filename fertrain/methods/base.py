"""Interface between the training loop and a method: steps, losses, phases."""

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
    """(1 + p + q, C, S, S), normalized: the anchor, p positives, q negatives. With several processes, those of them
    that are in this process's share of all anchors' images, which lie one after another."""
    positives: int
    """Number of positives p."""
    total: int | None = None
    """1 + p + q, for several processes; None: as many as `images`."""

    @property
    def size(self) -> int:
        """1 + p + q."""
        return len(self.images) if self.total is None else self.total


@dataclass(frozen=True)
class Views:
    """Number of unlabeled images per labeled one, and of views of each."""

    ratio: int
    """μ: unlabeled images per labeled one of a batch; also sets the batch in phases without labels."""
    weak: int = 0
    """Views with the augmentation of labeled images."""
    strong: int = 0
    """Views with strong augmentation."""
    again: int = 0
    """Extra passes of the U images, beyond one per view; used only by an image budget."""

    def __post_init__(self) -> None:
        if self.ratio < 1 or min(self.weak, self.strong) < 0 or self.weak + self.strong == 0:
            raise UsageError(
                f"expected one unlabeled image or more for each labeled one and one view or more of it, found "
                f"{self.ratio} with {self.weak} weak and {self.strong} strong views"
            )

    def passes(self, images: int) -> int:
        """Count the network inputs for that many images in all their views."""
        return images * (self.weak + self.strong + self.again)


@dataclass(frozen=True)
class Unlabeled:
    """Views of the same U unlabeled images, in the same order, normalized by their own stream's mean and std."""

    weak: tuple[Tensor, ...] = ()
    """Each (U, C, S, S); with several processes this one's share of them."""
    strong: tuple[Tensor, ...] = ()
    """Each (U, C, S, S), or a share of them."""
    rows: Tensor | None = None
    """Position of each image among all unlabeled ones, int64 (U,), for methods that remember images."""

    @property
    def size(self) -> int:
        """U."""
        return len((self.weak + self.strong)[0]) if self.rows is None else len(self.rows)


@dataclass(frozen=True)
class Batch:
    """Input of one step, on the device.

    With several processes images are this process's share (`ranks.share`), all else is of the whole batch: `joint`
    passes the share and returns the features of the whole.
    """

    images: Tensor
    """(B, C, S, S), augmented and normalized; B = 0 in phases without labels; with several processes a share."""
    targets: Tensor
    """(B, K), rows sum to 1."""
    anchors: tuple[AnchorBatch, ...] = ()
    """Anchors; empty in phases without them."""
    unlabeled: Unlabeled | None = None
    """Views of unlabeled images; None in phases without them."""
    seed: int = 0
    """Seed of the method's own draws for this batch, a function of the run's seed, epoch and step."""
    epoch: int = 0
    """Epoch of the phase, from 0."""
    step: int = 0
    """Number of earlier batches of the phase."""
    done: float = 0.0
    """Share of the phase done before this batch, in [0, 1)."""
    passes: int = 0
    """Number of network inputs of its step: all views, with candidates of anchors."""
    rows: Tensor | None = None
    """Position of each labeled image among all to learn from, int64 (B,), for methods that remember images."""


@dataclass(frozen=True)
class StepOutput:
    """A differentiable loss, and numbers for the history, which stay on the device until they are written."""

    loss: Tensor
    """Scalar."""
    logs: Mapping[str, float | Tensor] = field(default_factory=dict)
    """Parts of the loss."""
    shares: Mapping[str, float | Tensor] = field(default_factory=dict)
    """Other values to plot, each from 0 to 1: share of accepted guesses, a margin."""


@dataclass(frozen=True)
class Phase:
    """Consecutive epochs with one objective and one optimizer."""

    name: str
    """Name in the history."""
    epochs: int
    """Passes over the labeled images, or over the unlabeled ones in phases without labels."""
    lr: float
    """Highest learning rate."""
    optimizer: str
    """`adamw`, `adam`, `sgd` or `sam`."""
    anchors: int = 0
    """Anchors in each step, each with its candidates."""
    views: Views | None = None
    """Unlabeled images in each step; None: no unlabeled images."""
    labeled: bool = True
    """Whether it uses labeled images; if not, an epoch is a pass over the unlabeled ones."""
    judged: bool = True
    """Whether held-out accuracy chooses its best epoch; if not (the head does not learn yet), the last is used."""
    steps: int | None = None
    """Steps in an epoch; None: one pass. Set by an image budget."""
    labeled_passes: int = 1
    """Network inputs per labeled image: 2 with a mirrored view."""
    labeled_names: tuple[str, ...] = ()
    """Names of the labeled images to learn from. Set by the loader, for methods that remember images."""
    unlabeled_images: int = 0
    """Number of unlabeled images. Set by the loader."""

    @property
    def labeled_images(self) -> int:
        """Number of labeled images to learn from."""
        return len(self.labeled_names)

    @property
    def needs_unlabeled(self) -> bool:
        """Whether the phase uses unlabeled images."""
        return self.epochs > 0 and (self.anchors > 0 or self.views is not None)


class Method(Protocol):
    """A training method. The loop uses only this interface."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases in order; a phase of 0 epochs is skipped."""

    @property
    def module(self) -> nn.Module:
        """All trained parameters."""

    @property
    def model(self) -> Classifier:
        """The network used at test time: a part of `module`."""

    def begin(self, phase: Phase) -> None:
        """Prepare for a phase; called before its first step."""

    def loss(self, batch: Batch) -> StepOutput:
        """Compute the objective of the current phase. May be called twice on one batch (SAM does)."""

    def after_step(self) -> None:
        """Update moving averages and queues; called after the weights have moved."""


Found = TypeVar("Found")


class StepCache(Generic[Found]):
    """Per-step cache, so SAM's second pass reuses the same targets.

    SAM passes every batch of a step twice. Targets (guessed labels, chosen candidates, a teacher's features) must be
    the same in both passes, and queues or means must be updated only once.
    """

    def __init__(self) -> None:
        # keep the batch too, so that its id is not reused
        self._found: dict[int, tuple[Batch, Found]] = {}

    def get(self, batch: Batch, find: Callable[[], Found]) -> Found:
        """Return the value of this batch; compute it on the first call."""
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
    """Epochs by phase: one number for all phases, or one per phase."""
    if len(epochs) == 1:
        return epochs * len(names)
    if len(epochs) != len(names):
        raise UsageError(
            f"expected one number of epochs, or {len(names)} for the phases {', '.join(names)}; found {len(epochs)}"
        )
    return epochs
