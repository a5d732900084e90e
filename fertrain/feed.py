"""From rows to batches: order, decode, augment, normalise. Every draw is a function of (seed, epoch, step)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .contract import InputContract
from .datasets.candidates import Anchors
from .datasets.images import Images, batches
from .datasets.labelled import Split
from .losses.votes import Scheme, draw, smoothed
from .methods import AnchorBatch, Batch
from .mixing import Mix
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
    smoothing: float = 0.0
    """Share of each target that is spread evenly over the classes."""
    mix: Mix | None = None
    """Blends images and targets in pairs."""


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
        channels_last: bool = True,
    ) -> None:
        self.labelled, self.unlabelled = labelled, unlabelled
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.batch_size, self.seed, self.workers, self.device = batch_size, seed, workers, device

    @property
    def steps(self) -> int:
        """Batches in an epoch; a last one that is not full is left out, unless it is the only one."""
        return max(1, len(self.labelled.split) // self.batch_size)

    def epoch(self, epoch: int, anchors: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, with `anchors` anchors beside each.

        Args:
            epoch: counted over the whole run, so that no two phases see the same draws.
            anchors: 0 leaves the unlabelled stream alone.
            start: the first batch wanted; those before it were seen by a run that was broken off.
        """
        stream = self.labelled
        order = epoch_order(stream.split.classes, epoch, self.seed, balanced=stream.balanced)
        rows = [order[k * self.batch_size : (k + 1) * self.batch_size].tolist() for k in range(self.steps)]
        beside = self._anchors(epoch, anchors, start)
        for step, pixels in enumerate(batches(stream.images, rows[start:], self.workers), start):
            index = np.asarray(rows[step], dtype=np.int64)
            targets = stream.split.targets[index]
            if stream.scheme.draws:
                targets = draw(targets, index, epoch, self.seed)
            y = smoothed(torch.from_numpy(targets), stream.smoothing).to(self.device)
            generator = torch.Generator().manual_seed(_seed_of(self.seed, epoch, step))
            x = stream.augment(stream.contract.to_float(pixels.to(self.device), spread=False), generator)
            if stream.mix is not None:
                x, y = stream.mix(x, y, generator)
            x = stream.contract.normalise(x).contiguous(memory_format=self.memory_format)
            yield Batch(x, y, next(beside))

    def _anchors(self, epoch: int, n: int, start: int) -> Iterator[tuple[AnchorBatch, ...]]:
        if n == 0 or self.unlabelled is None:
            while True:
                yield ()
        stream = self.unlabelled
        drawn = [stream.anchors.draw(epoch, step, n) for step in range(start, self.steps)]
        rows = [[row for anchor, _ in step for row in anchor] for step in drawn]
        for step, pixels in enumerate(batches(stream.images, rows, self.workers)):
            generator = torch.Generator().manual_seed(_seed_of(self.seed, epoch, start + step) + 1)
            x = stream.augment(stream.contract.to_float(pixels.to(self.device), spread=False), generator)
            x = stream.contract.normalise(x).contiguous(memory_format=self.memory_format)
            parts = torch.split(x, [len(anchor) for anchor, _ in drawn[step]])
            yield tuple(AnchorBatch(part, p) for part, (_, p) in zip(parts, drawn[step], strict=True))


def _seed_of(seed: int, epoch: int, step: int) -> int:
    """One seed out of three numbers, even, so that the one after it is free for the other stream."""
    return int(np.random.SeedSequence([seed, 5, epoch, step]).generate_state(1)[0]) * 2
