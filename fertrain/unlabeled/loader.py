"""Crops of a root for a training loop of one's own: batches in an order that any number of workers gives.

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


@dataclass(frozen=True)
class Step:
    """What one step of training reads: rows, and the numbers that seed its augmentation."""

    epoch: int
    step: int
    rows: npt.NDArray[np.int64]
    """(n,) indices of a `CropDataset`"""


class CropBatches(Sampler[Step]):
    """Every row of an epoch once, in an order that (seed, epoch) alone decides; can go on at any step.

    The order is a permutation worked out number by number (a Feistel network), so that shuffling 45 million rows takes
    no memory and going on at step k takes no time.

    Args:
        total: number of rows.
        batch: rows in a step; a last step with fewer is left out, unless it is the only one.
        seed: of the run.
    """

    def __init__(self, total: int, *, batch: int, seed: int = 0) -> None:
        if total < 1 or batch < 1:
            raise UsageError(f"expected at least one row and one row in a batch, found {total} and {batch}")
        self.total, self.batch, self.seed = total, batch, seed
        self.epoch = self.first = 0

    @property
    def steps(self) -> int:
        """Steps in a whole epoch."""
        return max(1, self.total // self.batch)

    def resume(self, epoch: int, step: int = 0) -> None:
        """Let the next iteration be this epoch, from this step on; a loader's workers run ahead, so the loop counts."""
        self.epoch, self.first = epoch, step

    def __len__(self) -> int:
        """Return the number of steps of the next iteration."""
        return max(0, self.steps - self.first)

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps of an epoch; the iteration after it is the next epoch's."""
        epoch, first = self.epoch, self.first
        self.epoch, self.first = epoch + 1, 0
        for step in range(first, self.steps):
            places = np.arange(step * self.batch, min((step + 1) * self.batch, self.total))
            yield Step(epoch, step, shuffled(places, self.total, self.seed, epoch))


def shuffled(places: npt.NDArray[np.int64], total: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Which row stands at each place (n,) of a shuffled order of `total` rows; a bijection for each (seed, epoch).

    Four rounds of a balanced Feistel network over the next power of four, walked until the number falls below `total`
    (Black and Rogaway, 2002).
    """
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
    """Shuffled batches of crops for a training loop of one's own, read as `fertrain` reads them when it trains.

    Every iteration is the next epoch. The same seed gives the same batches, whatever the number of workers.

    Args:
        dataset: the crops.
        batch_size: crops in a step.
        seed: of the order, and of the augmentation.
        workers: processes that decode; 0 decodes in this one.
        augment: a name that `--augment` knows, such as `one-of` (RMFER's), or several joined by +. Pixels are then
            float32 in [0, 1], augmented in this process as in training; without it they are uint8.

    Raises:
        UsageError: no crops, a batch of none, or an augmentation that is not known.

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
        augment: str | None = None,
    ) -> None:
        if workers < 0:
            raise UsageError(f"expected 0 workers or more, found {workers}")
        self.dataset, self.workers = dataset, workers
        self.order = CropBatches(len(dataset), batch=batch_size, seed=seed)
        self._augment = None if augment is None else augmentation(augment)

    def resume(self, epoch: int, step: int = 0) -> None:
        """Let the next iteration be this epoch, from this step on."""
        self.order.resume(epoch, step)

    def __len__(self) -> int:
        """Batches of the next iteration."""
        return len(self.order)

    def __iter__(self) -> Iterator[CropBatch]:
        # the workers' queue runs a few steps ahead of the batch in hand
        ahead, steps = itertools.tee(self.order)
        pixels = batches(self.dataset, (step.rows.tolist() for step in ahead), self.workers)
        for step, read in zip(steps, pixels, strict=True):
            yield self.dataset.items(step.rows, self._seen(read, step))

    def _seen(self, pixels: Tensor, step: Step) -> Tensor:
        if self._augment is None:
            # a worker writes into the memory of this batch again as soon as the next one is asked for
            return pixels.clone() if self.workers else pixels
        key = np.random.SeedSequence([self.order.seed, 7, step.epoch, step.step])
        generator = torch.Generator().manual_seed(int(key.generate_state(1)[0]))
        return self._augment(pixels.float().div_(255), generator)
