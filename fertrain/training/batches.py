"""Batches of a run: labeled images, views of unlabeled ones, and anchors with candidates, step by step.

Rows, order and augmentation are functions of (seed, epoch, step) alone. So a run resumes at any step, and the number
of processes that decode changes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from ..datasets.base import Split
from ..datasets.images import Images, batches
from ..losses.supervised import Scheme, draw, smoothed
from ..methods import AnchorBatch, Batch, Phase, Unlabelled, Views
from ..transforms.augment import Augmentation
from ..transforms.input_spec import InputContract
from ..transforms.mixup import Mix
from ..unlabeled.candidates import Anchors
from ..unlabeled.loader import shuffled


@dataclass(frozen=True)
class Place:
    """Which steps of which epoch, on what device: all that a stream has to be told."""

    seed: int
    """Of the run."""
    epoch: int
    """Counted over the whole run, so that no two phases see the same draws."""
    steps: range
    """Steps of that epoch that are wanted."""
    workers: int
    """Processes that decode what is not in memory."""
    device: torch.device
    """Where batches go."""
    layout: torch.memory_format
    """How their images lie in memory."""

    def generator(self, stream: int, step: int) -> Generator:
        """For the draws of one stream in one step."""
        return torch.Generator().manual_seed(seed_of(self.seed, stream, self.epoch, step))


def seed_of(seed: int, stream: int, epoch: int, step: int) -> int:
    """One seed out of four numbers."""
    return int(np.random.SeedSequence([seed, stream, epoch, step]).generate_state(1)[0])


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

    def batches(self, place: Place, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (B, C, S, S) and targets (B, K) of each step."""
        rows = labelled_rows(self.split.classes, batch_size, place, balanced=self.balanced)
        for step, chosen, pixels in zip(place.steps, rows, batches(self.images, rows, place.workers), strict=True):
            index = np.asarray(chosen, dtype=np.int64)
            targets = self.split.targets[index]
            if self.scheme.draws:
                targets = draw(targets, index, place.epoch, place.seed)
            y = smoothed(torch.from_numpy(targets), self.smoothing).to(place.device)
            generator = place.generator(5, step)
            x = self.augment(self.contract.to_float(pixels.to(place.device), spread=False), generator)
            if self.mix is not None:
                x, y = self.mix(x, y, generator)
            yield self.contract.normalise(x).contiguous(memory_format=place.layout), y

    def nothing(self, place: Place) -> Iterator[tuple[Tensor, Tensor]]:
        """No images and no targets, for steps that see none."""
        size, channels = self.contract.size, self.contract.channels
        for _ in place.steps:
            x = torch.empty(0, channels, size, size, device=place.device)
            yield x, torch.empty(0, self.split.targets.shape[1], device=place.device)


@dataclass(frozen=True)
class AnchorStream:
    """Anchors with their candidates, for RMFER's contrast."""

    anchors: Anchors
    """Rows of anchors and candidates."""
    images: Images
    """All that can be an anchor or a candidate."""
    contract: InputContract
    """With this stream's own mean and std."""
    augment: Augmentation
    """On the batch, before normalisation."""

    def images_per_anchor(self) -> float:
        """Mean number of images that come with an anchor, itself included, over a draw of 64."""
        drawn = self.anchors.draw(0, 0, 64)
        return sum(len(rows) for rows, _ in drawn) / len(drawn)

    def batches(self, place: Place, n: int) -> Iterator[tuple[AnchorBatch, ...]]:
        """The `n` anchors of each step."""
        # drawn as they are needed, by the workers' queue a few steps ahead of the network
        ahead, drawn = itertools.tee(self.anchors.draw(place.epoch, step, n) for step in place.steps)
        rows = ([row for anchor, _ in step for row in anchor] for step in ahead)
        for step, pixels, anchors in zip(place.steps, batches(self.images, rows, place.workers), drawn, strict=True):
            x = _seen(pixels, self.contract, self.augment, place.generator(12, step), place)
            parts = torch.split(x, [len(anchor) for anchor, _ in anchors])
            yield tuple(AnchorBatch(part, p) for part, (_, p) in zip(parts, anchors, strict=True))


@dataclass(frozen=True)
class UnlabelledStream:
    """Images without labels, each seen in weak and strong views."""

    images: Images
    """Their pixels."""
    contract: InputContract
    """With this stream's own mean and std."""
    weak: Augmentation
    """That of labelled images."""
    strong: Augmentation
    """The other one."""

    def batch_size(self, views: Views, labelled: int) -> int:
        """Images in a step beside a batch of so many labelled ones: μ times as many, or all there are."""
        return min(views.ratio * labelled, len(self.images))

    def batches(self, place: Place, views: Views, n: int) -> Iterator[Unlabelled]:
        """The `n` images of each step, in all their views; each image is decoded once."""
        total = len(self.images)
        rows = (unlabelled_rows(total, n, place.seed, place.epoch, step).tolist() for step in place.steps)
        for step, pixels in zip(place.steps, batches(self.images, rows, place.workers), strict=True):
            generator = place.generator(10, step)
            weak, strong = (
                tuple(_seen(pixels, self.contract, augment, generator, place) for _ in range(count))
                for augment, count in ((self.weak, views.weak), (self.strong, views.strong))
            )
            yield Unlabelled(weak, strong)


def labelled_rows(classes: npt.NDArray[np.int64], batch_size: int, place: Place, *, balanced: bool) -> list[list[int]]:
    """Rows of each step: a pass has every image once in random order, or as many draws with equally likely classes.

    An epoch that is longer than a pass goes on with another order.
    """
    a_pass = max(1, len(classes) // batch_size)
    orders: dict[int, npt.NDArray[np.int64]] = {}
    rows = []
    for step in place.steps:
        turn, k = divmod(step, a_pass)
        if turn not in orders:
            orders[turn] = _order(classes, [place.seed, 4, place.epoch, turn], balanced=balanced)
        rows.append(orders[turn][k * batch_size : (k + 1) * batch_size].tolist())
    return rows


def _order(classes: npt.NDArray[np.int64], key: Sequence[int], *, balanced: bool) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(key)
    if not balanced:
        return rng.permutation(len(classes))
    weight = 1.0 / np.bincount(classes)[classes]
    return rng.choice(len(classes), size=len(classes), p=weight / weight.sum())


def unlabelled_rows(total: int, n: int, seed: int, epoch: int, step: int) -> npt.NDArray[np.int64]:
    """Rows (n,) of one step: none twice in a step, nor in the steps of a pass; every pass has its own order."""
    turn, place = divmod(step, total // n)
    # passes of an epoch are numbered on from it: 2¹⁶ of them are more than an epoch has
    return shuffled(np.arange(place * n, (place + 1) * n), total, seed, (epoch << 16) + turn)


def _seen(pixels: Tensor, contract: InputContract, augment: Augmentation, generator: Generator, place: Place) -> Tensor:
    """uint8 (n, C, S, S) -> the network's input, augmented."""
    x = augment(contract.to_float(pixels.to(place.device), spread=False), generator)
    return contract.normalise(x).contiguous(memory_format=place.layout)


class Feed:
    """The batches of a run."""

    def __init__(
        self,
        labelled: LabelledStream,
        anchors: AnchorStream | None = None,
        unlabelled: UnlabelledStream | None = None,
        *,
        batch_size: int,
        seed: int,
        workers: int,
        device: torch.device,
        channels_last: bool = True,
    ) -> None:
        self.labelled, self.anchors, self.unlabelled = labelled, anchors, unlabelled
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.batch_size, self.seed, self.workers, self.device = batch_size, seed, workers, device

    def steps(self, phase: Phase) -> int:
        """Batches in an epoch; a last one that is not full is left out, unless it is the only one."""
        if phase.steps is not None:
            return phase.steps
        if not phase.labelled and phase.views and self.unlabelled:
            return len(self.unlabelled.images) // self.unlabelled.batch_size(phase.views, self.batch_size)
        return max(1, len(self.labelled.split) // self.batch_size)

    def images_per_step(self, phase: Phase) -> float:
        """Images that pass through the network in a step, each view of each; candidates of anchors on average."""
        total = float(min(self.batch_size, len(self.labelled.split))) if phase.labelled else 0.0
        if phase.views and self.unlabelled:
            total += phase.views.passes(self.unlabelled.batch_size(phase.views, self.batch_size))
        if phase.anchors and self.anchors:
            total += phase.anchors * self.anchors.images_per_anchor()
        return total

    def epoch(self, epoch: int, phase: Phase, in_phase: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: counted over the whole run, so that no two phases see the same draws.
            phase: says what stands beside the labelled images.
            in_phase: the epoch's number in its phase, from 0.
            start: the first batch wanted; those before it were seen by a run that was broken off.
        """
        steps = self.steps(phase)
        place = Place(self.seed, epoch, range(start, steps), self.workers, self.device, self.layout)
        beside = zip(self._unlabelled(place, phase), self._anchors(place, phase), strict=False)
        stream = self.labelled
        labelled = stream.batches(place, self.batch_size) if phase.labelled else stream.nothing(place)
        for step, (x, y), (unlabelled, anchors) in zip(place.steps, labelled, beside, strict=False):
            before = in_phase * steps + step
            done = before / (max(1, phase.epochs) * steps)
            n = len(x) + sum(len(anchor.images) for anchor in anchors)
            if unlabelled is not None and phase.views is not None:
                n += phase.views.passes(unlabelled.size)
            yield Batch(x, y, anchors, unlabelled, seed_of(self.seed, 11, epoch, step), in_phase, before, done, n)

    def _unlabelled(self, place: Place, phase: Phase) -> Iterator[Unlabelled | None]:
        if phase.views is None or self.unlabelled is None:
            return iter([None] * len(place.steps))
        n = self.unlabelled.batch_size(phase.views, self.batch_size)
        return self.unlabelled.batches(place, phase.views, n)

    def _anchors(self, place: Place, phase: Phase) -> Iterator[tuple[AnchorBatch, ...]]:
        if phase.anchors == 0 or self.anchors is None:
            return iter([()] * len(place.steps))
        return self.anchors.batches(place, phase.anchors)


def within(phases: Sequence[Phase], images: int | None, per_step: Callable[[Phase], float]) -> tuple[Phase, ...]:
    """The phases with as many steps in an epoch as the budget gives them; unchanged without a budget.

    Args:
        phases: of the method.
        images: that go through the network in the whole run, each view of each counted.
        per_step: images of a step.
    """
    epochs = sum(phase.epochs for phase in phases)
    if images is None or epochs == 0:
        return tuple(phases)
    share = images / epochs
    return tuple(
        replace(phase, steps=max(1, round(share / per_step(phase)))) if phase.epochs else phase for phase in phases
    )
