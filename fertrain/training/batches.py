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

from rmset.errors import UsageError

from .. import ranks
from ..config import OptimConfig
from ..datasets.base import Split
from ..datasets.images import Images, batches
from ..devices import to_device
from ..losses.supervised import Scheme, draw, smoothed
from ..methods import AnchorBatch, Batch, Phase, Unlabeled, Views
from ..transforms.augment import Augmentation
from ..transforms.draws import seeded
from ..transforms.input_spec import InputSpec
from ..transforms.mixup import Mix
from ..unlabeled.candidates import Anchors
from ..unlabeled.loader import shuffled


@dataclass(frozen=True)
class EpochContext:
    """Seed, epoch, steps and device for one pass over a stream."""

    seed: int
    """Seed of the run."""
    epoch: int
    """Epoch of the whole run, so that no two phases share draws."""
    steps: range
    """Steps of that epoch to produce."""
    workers: int
    """Processes that decode images that are not in memory."""
    device: torch.device
    """Device of the batches."""
    layout: torch.memory_format
    """Memory format of their images."""
    threads: bool = False
    """Whether threads decode instead of processes."""
    block: int = 1
    """Neighboring unlabeled images that are drawn together."""

    def generator(self, stream: int, step: int, total: int) -> Generator:
        """Seed for the draws of one stream in one step, for this process's share of `total` images."""
        return seeded(seed_of(self.seed, stream, self.epoch, step), ranks.share(total), total)


def seed_of(seed: int, stream: int, epoch: int, step: int) -> int:
    """Combine four numbers into one seed."""
    return int(np.random.SeedSequence([seed, stream, epoch, step]).generate_state(1)[0])


@dataclass(frozen=True)
class LabeledStream:
    """The labeled images that a run learns from."""

    split: Split
    """Names and targets."""
    images: Images
    """Pixels, in the same order."""
    spec: InputSpec
    """Input spec with this stream's mean and std."""
    scheme: Scheme
    """Voting scheme; PLD draws targets again in every epoch."""
    augment: Augmentation
    """On the batch, before normalization."""
    balanced: bool = False
    """Whether to draw every class equally often."""
    smoothing: float = 0.0
    """Label smoothing: share of each target spread evenly over the classes."""
    mix: Mix | None = None
    """Function that blends images and targets in pairs."""

    def batches(self, context: EpochContext, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images (B, C, S, S), targets (B, K) and rows (B,) of each step."""
        rows = labeled_rows(self.split.classes, batch_size, context, balanced=self.balanced)
        read = batches(self.images, map(_shared, rows), context.workers, threads=context.threads)
        for step, chosen, pixels in zip(context.steps, rows, read, strict=True):
            index = np.asarray(chosen, dtype=np.int64)
            targets = self.split.targets[index]
            if self.scheme.draws:
                targets = draw(targets, index, context.epoch, context.seed)
            y = to_device(smoothed(torch.from_numpy(targets), self.smoothing), context.device)
            generator = context.generator(5, step, len(index))
            x = self.augment(self.spec.to_float(to_device(pixels, context.device), spread=False), generator)
            if self.mix is not None:
                # every image may be blended with any other of the whole batch
                (whole,) = ranks.gathered([x])
                mixed, y = self.mix(whole, y, generator)
                x = ranks.mine(mixed)
            normal = self.spec.normalize(x).contiguous(memory_format=context.layout)
            yield normal, y, to_device(torch.from_numpy(index), context.device)

    def nothing(self, context: EpochContext) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Return empty images, targets and rows, for steps without labels."""
        size, channels = self.spec.size, self.spec.channels
        for _ in context.steps:
            x = torch.empty(0, channels, size, size, device=context.device)
            y = torch.empty(0, self.split.targets.shape[1], device=context.device)
            yield x, y, torch.empty(0, dtype=torch.int64, device=context.device)


@dataclass(frozen=True)
class AnchorStream:
    """Anchors with their candidates, for RMFER's contrast."""

    anchors: Anchors
    """Rows of anchors and candidates."""
    images: Images
    """Images of all anchors and candidates."""
    spec: InputSpec
    """With this stream's own mean and std."""
    augment: Augmentation
    """On the batch, before normalization."""

    def images_per_anchor(self) -> float:
        """Mean number of images per anchor, itself included, over a draw of 64."""
        drawn = self.anchors.draw(0, 0, 64)
        return sum(len(rows) for rows, _ in drawn) / len(drawn)

    def batches(self, context: EpochContext, n: int) -> Iterator[tuple[AnchorBatch, ...]]:
        """Yield the `n` anchors of each step."""
        # drawn lazily; the workers' queue runs a few steps ahead of the network
        ahead, drawn = itertools.tee(self.anchors.draw(context.epoch, step, n) for step in context.steps)
        rows = (_shared([row for anchor, _ in step for row in anchor]) for step in ahead)
        read = batches(self.images, rows, context.workers, threads=context.threads)
        for step, pixels, anchors in zip(context.steps, read, drawn, strict=True):
            sizes = [len(anchor) for anchor, _ in anchors]
            x = _seen(pixels, self.spec, self.augment, context.generator(12, step, sum(sizes)), context)
            own = ranks.share(sum(sizes))
            ends = np.clip(np.cumsum(sizes), own.start, own.stop)
            parts = torch.split(x, np.diff(ends, prepend=own.start).tolist())
            yield tuple(AnchorBatch(part, p, len(all_)) for part, (all_, p) in zip(parts, anchors, strict=True))


@dataclass(frozen=True)
class UnlabeledStream:
    """Unlabeled images, each in weak and strong views."""

    images: Images
    """Their pixels."""
    spec: InputSpec
    """With this stream's own mean and std."""
    weak: Augmentation
    """Augmentation of labeled images."""
    strong: Augmentation
    """Strong augmentation."""

    def batch_size(self, views: Views, labeled: int) -> int:
        """Count the unlabeled images for a labeled batch: μ times as many, at most all."""
        return min(views.ratio * labeled, len(self.images))

    def batches(self, context: EpochContext, views: Views, n: int) -> Iterator[Unlabeled]:
        """Yield the `n` images of each step, in all their views; each image is decoded once."""
        total = len(self.images)
        # drawn twice, because the workers' queue runs ahead of the network
        drawn, ahead = (
            (unlabeled_rows(total, n, context.seed, context.epoch, step, context.block) for step in context.steps)
            for _ in range(2)
        )
        rows_of = (_shared(rows.tolist()) for rows in ahead)
        pixels_of = batches(self.images, rows_of, context.workers, threads=context.threads)
        for step, rows, pixels in zip(context.steps, drawn, pixels_of, strict=True):
            generator = context.generator(10, step, len(rows))
            there = to_device(pixels, context.device)
            weak, strong = (
                tuple(_seen(there, self.spec, augment, generator, context) for _ in range(count))
                for augment, count in ((self.weak, views.weak), (self.strong, views.strong))
            )
            yield Unlabeled(weak, strong, to_device(torch.from_numpy(rows), context.device))


def _shared(rows: list[int]) -> list[int]:
    """Return this process's share of the rows of a step."""
    return rows[ranks.share(len(rows))]


def labeled_rows(
    classes: npt.NDArray[np.int64], batch_size: int, context: EpochContext, *, balanced: bool
) -> list[list[int]]:
    """Rows of each step: a pass has every image once in random order, or as many draws with equally likely classes.

    An epoch longer than a pass continues with a new order.
    """
    a_pass = max(1, len(classes) // batch_size)
    orders: dict[int, npt.NDArray[np.int64]] = {}
    rows = []
    for step in context.steps:
        turn, k = divmod(step, a_pass)
        if turn not in orders:
            orders[turn] = _order(classes, [context.seed, 4, context.epoch, turn], balanced=balanced)
        rows.append(orders[turn][k * batch_size : (k + 1) * batch_size].tolist())
    return rows


def _order(classes: npt.NDArray[np.int64], key: Sequence[int], *, balanced: bool) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(key)
    if not balanced:
        return rng.permutation(len(classes))
    weight = 1.0 / np.bincount(classes)[classes]
    return rng.choice(len(classes), size=len(classes), p=weight / weight.sum())


def unlabeled_rows(total: int, n: int, seed: int, epoch: int, step: int, block: int = 1) -> npt.NDArray[np.int64]:
    """Rows (n,) of one step, without repetition within a pass; every pass has its own order."""
    turn, k = divmod(step, total // n)
    # key of a pass: epoch · 2¹⁶ + pass; no epoch has that many passes
    return shuffled(np.arange(k * n, (k + 1) * n), total, seed, (epoch << 16) + turn, block)


def _seen(
    pixels: Tensor, spec: InputSpec, augment: Augmentation, generator: Generator, context: EpochContext
) -> Tensor:
    """uint8 (n, C, S, S) -> the network's input, augmented."""
    x = augment(spec.to_float(to_device(pixels, context.device), spread=False), generator)
    return spec.normalize(x).contiguous(memory_format=context.layout)


class TrainLoader:
    """The batches of a run."""

    def __init__(
        self,
        labeled: LabeledStream,
        anchors: AnchorStream | None = None,
        unlabeled: UnlabeledStream | None = None,
        *,
        batch_size: int,
        seed: int,
        workers: int,
        device: torch.device,
        channels_last: bool = True,
        threads: bool = False,
        block: int = 1,
    ) -> None:
        self.labeled, self.anchors, self.unlabeled = labeled, anchors, unlabeled
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.batch_size, self.seed, self.workers, self.device = batch_size, seed, workers, device
        self.threads, self.block = threads, block

    def steps(self, phase: Phase) -> int:
        """Count the batches of an epoch; an incomplete last batch is dropped, unless it is the only one."""
        if phase.steps is not None:
            return phase.steps
        if not phase.labeled and phase.views and self.unlabeled:
            return len(self.unlabeled.images) // self.unlabeled.batch_size(phase.views, self.batch_size)
        return max(1, len(self.labeled.split) // self.batch_size)

    def images_per_step(self, phase: Phase) -> float:
        """Network inputs per step: all views, plus candidates of anchors on average."""
        total = float(min(self.batch_size, len(self.labeled.split)) * phase.labeled_passes) if phase.labeled else 0.0
        if phase.views and self.unlabeled:
            total += phase.views.passes(self.unlabeled.batch_size(phase.views, self.batch_size))
        if phase.anchors and self.anchors:
            total += phase.anchors * self.anchors.images_per_anchor()
        return total

    def check_shares(self, phases: Sequence[Phase]) -> None:
        """Check that the processes have equal shares of every batch.

        Raises:
            UsageError: they have not.
        """
        for phase in (p for p in phases if p.epochs):
            labeled = min(self.batch_size, len(self.labeled.split)) if phase.labeled else 0
            beside = self.unlabeled.batch_size(phase.views, self.batch_size) if phase.views and self.unlabeled else 0
            for n, what in ((labeled, "labeled"), (beside, "unlabeled")):
                if n % ranks.count():
                    raise UsageError(
                        f"expected {what} images in a step that {ranks.count()} processes share evenly, found {n}; "
                        "take another `optim.batch_size`, or another number of processes"
                    )

    def counted(self, phase: Phase) -> Phase:
        """Return the phase with the images it draws from."""
        unlabeled = len(self.unlabeled.images) if self.unlabeled and phase.views else 0
        return replace(phase, labeled_names=self.labeled.split.names, unlabeled_images=unlabeled)

    def epoch(self, epoch: int, phase: Phase, in_phase: int = 0, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            epoch: epoch of the whole run, so that no two phases share draws.
            phase: determines the unlabeled streams.
            in_phase: epoch of the phase, from 0.
            start: first batch to yield; an interrupted run has already used those before it.
        """
        steps = self.steps(phase)
        context = EpochContext(
            self.seed, epoch, range(start, steps), self.workers, self.device, self.layout, self.threads, self.block
        )  # fmt: skip
        beside = zip(self._unlabeled(context, phase), self._anchors(context, phase), strict=False)
        stream = self.labeled
        labeled = stream.batches(context, self.batch_size) if phase.labeled else stream.nothing(context)
        for step, (x, y, rows), (unlabeled, anchors) in zip(context.steps, labeled, beside, strict=False):
            before = in_phase * steps + step
            done = before / (max(1, phase.epochs) * steps)
            n = len(y) * phase.labeled_passes + sum(anchor.size for anchor in anchors)
            if unlabeled is not None and phase.views is not None:
                n += phase.views.passes(unlabeled.size)
            seed = seed_of(self.seed, 11, epoch, step)
            yield Batch(x, y, anchors, unlabeled, seed, in_phase, before, done, n, rows)

    def _unlabeled(self, context: EpochContext, phase: Phase) -> Iterator[Unlabeled | None]:
        if phase.views is None or self.unlabeled is None:
            return iter([None] * len(context.steps))
        n = self.unlabeled.batch_size(phase.views, self.batch_size)
        return self.unlabeled.batches(context, phase.views, n)

    def _anchors(self, context: EpochContext, phase: Phase) -> Iterator[tuple[AnchorBatch, ...]]:
        if phase.anchors == 0 or self.anchors is None:
            return iter([()] * len(context.steps))
        return self.anchors.batches(context, phase.anchors)


def as_set(phases: Sequence[Phase], optim: OptimConfig) -> tuple[Phase, ...]:
    """Apply the settings of epochs that hold for every method: their steps, and which of them goes on."""
    found = (replace(p, steps=optim.epoch_steps) if optim.epoch_steps and p.labeled else p for p in phases)
    return tuple(replace(p, judged=p.judged and optim.keep == "best") for p in found)


def within(phases: Sequence[Phase], images: int | None, per_step: Callable[[Phase], float]) -> tuple[Phase, ...]:
    """Set the steps of each phase's epochs from the budget; without one the phases are unchanged.

    Args:
        phases: phases of the method.
        images: network inputs of the whole run, every view counted.
        per_step: network inputs of a step.
    """
    epochs = sum(phase.epochs for phase in phases)
    if images is None or epochs == 0:
        return tuple(phases)
    share = images / epochs
    return tuple(
        replace(phase, steps=max(1, round(share / per_step(phase)))) if phase.epochs else phase for phase in phases
    )
