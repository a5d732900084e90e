"""From rows to batches: order, decode, augment, normalise. Every draw is a function of (seed, epoch, step)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .contract import InputContract
from .datasets.images import Images, batches
from .datasets.labelled import Split
from .datasets.rmset import Anchors
from .losses.votes import Scheme, draw
from .methods import AnchorBatch, Batch
from .transforms import Augmentation


@dataclass(frozen=True)
class LabelledStream:
    """The labelled images that a run learns from."""

    split: Split
    """Names and targets."""
    images: Images
    """Their pixels, in the same order."""
    contract: InputContract
    """With this stream's mean and std."""
    scheme: Scheme
    """Says whether targets are drawn anew in every epoch (PLD)."""
    augment: Augmentation
    """On the batch, before normalisation."""
    balanced: bool = False
    """Every class equally often."""


@dataclass(frozen=True)
class AnchorStream:
    """The unlabelled images beside them."""

    anchors: Anchors
    """Rows of anchors and candidates."""
    images: Images
    """Every crop of the root."""
    contract: InputContract
    """With this stream's own mean and std."""
    augment: Augmentation
    """On the batch, before normalisation."""


def epoch_order(classes: npt.NDArray[np.int64], epoch: int, seed: int, *, balanced: bool) -> npt.NDArray[np.int64]:
    """Rows of an epoch: each once in random order, or as many draws with every class equally likely."""
    rng = np.random.default_rng([seed, 4, epoch])
    if not balanced:
        return rng.permutation(len(classes))
    weight = 1.0 / np.bincount(classes)[classes]
    return rng.choice(len(classes), size=len(classes), p=weight / weight.sum())


class Feed:
    """The batches of a run."""

    def __init__(
        self,
        labelled: LabelledStream,
        unlabelled: AnchorStream | None,
        *,
        batch_size: int,
        seed: int,
        workers: int,
        device: torch.device,
    ) -> None:
        self.labelled, self.unlabelled = labelled, unlabelled
        self.batch_size, self.seed, self.workers, self.device = batch_size, seed, workers, device

    @property
    def steps(self) -> int:
        """Batches in an epoch; a last one that is not full is left out, unless it is the only one."""
        return max(1, len(self.labelled.split) // self.batch_size)

    def epoch(self, epoch: int, anchors: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, with `anchors` anchors beside each.

        Args:
            epoch: counted over the whole run, so that no two phases see the same draws.
            anchors: 0 leaves the unlabelled stream alone.
        """
        stream = self.labelled
        order = epoch_order(stream.split.classes, epoch, self.seed, balanced=stream.balanced)
        rows = [order[k * self.batch_size : (k + 1) * self.batch_size].tolist() for k in range(self.steps)]
        beside = self._anchors(epoch, anchors)
        for step, pixels in enumerate(batches(stream.images, rows, self.workers)):
            index = np.asarray(rows[step], dtype=np.int64)
            targets = stream.split.targets[index]
            if stream.scheme.draws:
                targets = draw(targets, index, epoch, self.seed)
            generator = torch.Generator().manual_seed(_mix(self.seed, epoch, step))
            x = stream.augment(stream.contract.to_float(pixels.to(self.device)), generator)
            yield Batch(stream.contract.normalise(x), torch.from_numpy(targets).to(self.device), next(beside))

    def _anchors(self, epoch: int, n: int) -> Iterator[tuple[AnchorBatch, ...]]:
        if n == 0 or self.unlabelled is None:
            while True:
                yield ()
        stream = self.unlabelled
        drawn = [stream.anchors.draw(epoch, step, n) for step in range(self.steps)]
        rows = [[row for anchor, _ in step for row in anchor] for step in drawn]
        for step, pixels in enumerate(batches(stream.images, rows, self.workers)):
            generator = torch.Generator().manual_seed(_mix(self.seed, epoch, step) + 1)
            x = stream.augment(stream.contract.to_float(pixels.to(self.device)), generator)
            parts = torch.split(stream.contract.normalise(x), [len(anchor) for anchor, _ in drawn[step]])
            yield tuple(AnchorBatch(part, p) for part, (_, p) in zip(parts, drawn[step], strict=True))


def _mix(seed: int, epoch: int, step: int) -> int:
    """One seed out of three numbers, even, so that the one after it is free for the other stream."""
    return int(np.random.SeedSequence([seed, 5, epoch, step]).generate_state(1)[0]) * 2
