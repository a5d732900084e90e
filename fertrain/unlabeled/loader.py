"""Batches of crops for your own training loop, in the same order for any number of workers.

CropBatches (rows of each step) ── processes that decode ──> CropLoader (pixels, people, frames)

for batch in CropLoader(CropDataset(root, image_size=112), batch_size=256, seed=0, workers=4, augment="one-of"):
    ...
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Sampler

from rmset.errors import UsageError

from ..datasets.images import batches
from ..splitmix import mixed
from ..transforms.augment import augmentation
from .crops import CropBatch, CropDataset

_TOGETHER = 32
"""Steps whose rows are drawn at once."""


@dataclass(frozen=True)
class Step:
    """Rows of one step, and the numbers that seed its augmentation."""

    epoch: int
    step: int
    rows: npt.NDArray[np.int64]
    """(n,) indices of a `CropDataset`"""


class CropBatches(Sampler[Step]):
    """Every row of an epoch once, in an order that depends only on (seed, epoch); can start at any step.

    The order is a permutation computed element by element (a Feistel network), so that shuffling 45 million rows needs
    no memory and starting at step k no time.

    Args:
        total: number of rows.
        batch: rows per step; an incomplete last step is dropped, unless it is the only one.
        seed: seed of the run.
        block: neighboring rows that stay together, see `shuffled`.
    """

    def __init__(self, total: int, *, batch: int, seed: int = 0, block: int = 1) -> None:
        if total < 1 or batch < 1:
            raise UsageError(f"expected at least one row and one row in a batch, found {total} and {batch}")
        if block < 1:
            raise UsageError(f"expected a block of one row or more, found {block}")
        self.total, self.batch, self.seed, self.block = total, batch, seed, block
        self.epoch = self.first = 0

    @property
    def steps(self) -> int:
        """Steps in a whole epoch."""
        return max(1, self.total // self.batch)

    def resume(self, epoch: int, step: int = 0) -> None:
        """Set epoch and first step of the next iteration; the loop counts, because a loader's workers run ahead."""
        self.epoch, self.first = epoch, step

    def __len__(self) -> int:
        """Return the number of steps of the next iteration."""
        return max(0, self.steps - self.first)

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps of an epoch; the following iteration is the next epoch."""
        epoch, first = self.epoch, self.first
        self.epoch, self.first = epoch + 1, 0
        for begin in range(first, self.steps, _TOGETHER):
            # Shuffled together: for the few rows of one step NumPy's calls would cost more than the arithmetic.
            end = min(begin + _TOGETHER, self.steps)
            places = np.arange(begin * self.batch, min(end * self.batch, self.total))
            rows = shuffled(places, self.total, self.seed, epoch, self.block)
            for step in range(begin, end):
                low = (step - begin) * self.batch
                yield Step(epoch, step, rows[low : low + self.batch])


def shuffled(places: npt.NDArray[np.int64], total: int, seed: int, epoch: int, block: int = 1) -> npt.NDArray[np.int64]:
    """Row at each position (n,) of a shuffled order of `total` rows; a bijection for each (seed, epoch).

    Four rounds of a balanced Feistel network over the next power of four, walked until the number falls below `total`
    (Black and Rogaway, 2002).

    With a block of b rows whole blocks of neighboring rows are shuffled, which a disk reads at once. Where they begin
    is drawn anew for each epoch, so an image has other companions; the rows beyond the last whole block, fewer than b
    and others in every epoch, come last in their own order.
    """
    if block > 1:
        blocks = total // block
        first = int(np.random.SeedSequence([seed, 15, epoch]).generate_state(1, np.uint64)[0] % np.uint64(total))
        number, within = np.divmod(np.asarray(places, dtype=np.int64), block)
        inside = number < blocks
        found = np.asarray(places, dtype=np.int64).copy()
        if inside.any():
            found[inside] = shuffled(number[inside], blocks, seed, epoch) * block + within[inside]
        return np.asarray((found + first) % total)
    half = np.uint64(max(1, ((total - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    keys = np.random.SeedSequence([seed, 6, epoch]).generate_state(4, np.uint64)
    number = np.asarray(places, dtype=np.uint64)
    outside = np.ones(len(number), np.bool_)
    while outside.any():
        left, right = number[outside] >> half, number[outside] & mask
        for key in keys:
            left, right = right, left ^ (mixed(right ^ key) & mask)
        number[outside] = (left << half) | right
        outside = number >= total
    return number.astype(np.int64)


class CropLoader:
    """Shuffled batches of crops for your own training loop, read as in `fertrain`'s training.

    Every iteration is one epoch. The same seed gives the same batches, whatever the number of workers.

    Args:
        dataset: the crops.
        batch_size: crops per step.
        seed: seed of order and augmentation.
        workers: decoding processes; 0 decodes in this process.
        threads: take threads instead of processes.
        block: neighboring crops that stay together in the order, so that a disk reads them at once; 1 shuffles all.
        augment: a value of `--augment`, such as `one-of` (RMFER's), or several joined by +. Pixels are then
            float32 in [0, 1], augmented in this process as in training; without it they are uint8.

    Raises:
        UsageError: no crops, an empty batch, or an unknown augmentation.

    >>> ds = fertrain.CropDataset("data/rmset", image_size=48)
    >>> loader = fertrain.CropLoader(ds, batch_size=16, seed=0, augment="one-of")
    >>> for batch in loader:
    ...     assert batch.pixels.shape == (16, 3, 48, 48)
    """

    def __init__(
        self,
        dataset: CropDataset,
        batch_size: int = 256,
        *,
        seed: int = 0,
        workers: int = 0,
        threads: bool = False,
        block: int = 1,
        augment: str | None = None,
    ) -> None:
        if workers < 0:
            raise UsageError(f"expected 0 workers or more, found {workers}")
        self.dataset, self.workers, self.threads = dataset, workers, threads
        self.order = CropBatches(len(dataset), batch=batch_size, seed=seed, block=block)
        self._augment = None if augment is None else augmentation(augment)

    def resume(self, epoch: int, step: int = 0) -> None:
        """Set epoch and first step of the next iteration."""
        self.order.resume(epoch, step)

    def __len__(self) -> int:
        """Batches of the next iteration."""
        return len(self.order)

    def __iter__(self) -> Iterator[CropBatch]:
        # the workers' queue runs a few steps ahead
        ahead, steps = itertools.tee(self.order)
        pixels = batches(self.dataset, (step.rows.tolist() for step in ahead), self.workers, threads=self.threads)
        for step, read in zip(steps, pixels, strict=True):
            yield self.dataset.items(step.rows, self._seen(read, step))

    def _seen(self, pixels: Tensor, step: Step) -> Tensor:
        if self._augment is None:
            return pixels
        key = np.random.SeedSequence([self.order.seed, 7, step.epoch, step.step])
        generator = torch.Generator().manual_seed(int(key.generate_state(1)[0]))
        return self._augment(pixels.float().div_(255), generator)
