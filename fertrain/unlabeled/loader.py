"""Crops of a root for torch: batches decoded and augmented in workers, in an order that any worker count gives.

    CropBatches (rows of each step) ── DataLoader's workers ──> CropDataset (pixels of those rows)

    batches = CropBatches(len(store), batch=256, seed=0)
    for pixels in crop_loader(store, batches, workers=4, jitter=JitterRange()):
        ...

A whole batch is one item of the data set, so nothing is collated: its pixels are written where they stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from rmset.errors import UsageError
from rmset.parts.pictures import decode
from rmset.read.crops import CropStore

from ..datasets.images import alone, resized
from ..splitmix import mixed
from ..transforms.augment import JitterRange

_AHEAD = 4
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class Step:
    """What one step of training reads: rows, and the numbers that seed its augmentation."""

    epoch: int
    step: int
    rows: npt.NDArray[np.int64]
    """(n,) row numbers of a `CropStore`"""


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
        """Steps that the next iteration gives."""
        return max(0, self.steps - self.first)

    def __iter__(self) -> Iterator[Step]:
        """The steps of an epoch; the iteration after it is the next epoch's."""
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


class CropDataset(Dataset[Tensor]):
    """Pixels of a step's rows: uint8 (n, 3, S, S), channels last in memory.

    Args:
        store: the crops; it can be sent to workers.
        size: side S, px; that of the first crop if omitted.
        jitter: how far colors may be moved; without it nothing is augmented.
        seed: of the run; with a step's epoch and number it decides its augmentation.
        keep: buffers that each worker writes its batches into in turn, see `crop_loader`; 0 makes a new one each time.
    """

    def __init__(
        self,
        store: CropStore,
        *,
        size: int | None = None,
        jitter: JitterRange | None = None,
        seed: int = 0,
        keep: int = 0,
    ) -> None:
        self.store, self.jitter, self.seed = store, jitter, seed
        self._kept, self._turn, self._buffers = keep, -1, list[Tensor]()
        self.size = size if size is not None else int(store.images([0])[0].shape[0])

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.store)

    def __getitem__(self, step: Step) -> Tensor:
        """The pixels of one step."""
        return self.pixels(self.store.read(step.rows), [self.seed, 7, step.epoch, step.step])

    def pixels(self, pictures: Sequence[bytes], seed: list[int]) -> Tensor:
        """Encoded pictures, decoded and augmented by a seed."""
        batch = self._buffer(len(pictures))
        out = batch.numpy()
        rng = np.random.default_rng(seed)
        draws = rng.random((len(pictures), 5))
        for place, (data, draw) in enumerate(zip(pictures, draws, strict=True)):
            image = resized(decode(data), self.size)
            if self.jitter is None:
                out[place] = image
            else:
                one_of(image, draw, self.jitter, out[place])
        return batch.permute(0, 3, 1, 2)

    def _buffer(self, n: int) -> Tensor:
        """Room for n pictures, uint8 (n, S, S, 3): a kept one in a loader's worker, else a new one."""
        shape = (n, self.size, self.size, 3)
        if not self._kept or get_worker_info() is None:
            return torch.empty(shape, dtype=torch.uint8)
        self._turn = (self._turn + 1) % self._kept
        if self._turn >= len(self._buffers) or len(self._buffers[self._turn]) < n:
            self._buffers[self._turn : self._turn + 1] = [_shared(shape)]
        return self._buffers[self._turn][:n]

    def __getstate__(self) -> dict[str, Any]:
        """Buffers stay behind."""
        return self.__dict__ | {"_buffers": []}


def crop_loader(
    store: CropStore,
    batches: CropBatches,
    *,
    workers: int,
    size: int | None = None,
    jitter: JitterRange | None = None,
    start: str = "spawn",
) -> DataLoader[Tensor]:
    """Batches of pixels out of worker processes, in the order of `batches` whatever the number of workers.

    A batch holds its pixels until the next one is asked for: what must last is moved to a device, made float, or
    cloned. Workers write into a few buffers in turn, because fresh shared memory costs half of what decoding does (the
    system clears and maps every page of it).

    Args:
        store: the crops.
        batches: which rows, when.
        workers: processes that decode; 0 decodes in this one.
        size: side of the pictures, px; that of the crops if omitted.
        jitter: how far colors may be moved; without it nothing is augmented.
        start: how processes begin: spawn, forkserver, or fork.
    """
    # Ahead of the batch in hand, a worker has at most so many under way; one more for safety.
    data = CropDataset(store, size=size, jitter=jitter, seed=batches.seed, keep=_AHEAD + 2)
    if not workers:
        return DataLoader(data, sampler=batches, batch_size=None)
    return DataLoader(
        data,
        sampler=batches,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        persistent_workers=True,
        multiprocessing_context=start,
        worker_init_fn=alone,
    )


def _shared(shape: tuple[int, ...]) -> Tensor:
    """A uint8 tensor in memory that other processes can map."""
    return torch.empty(shape, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call,no-any-return]


def one_of(
    image: npt.NDArray[np.uint8], draw: npt.NDArray[np.float64], ranges: JitterRange, out: npt.NDArray[np.uint8]
) -> None:
    """One of grayscale, flip and color jitter (the RMFER authors' code), written into `out`.

    Brightness, contrast, saturation and hue are all linear in a pixel's color, so they are one 3 × 4 matrix and one
    pass over the image, a fifth of what its decoding takes; PIL's jitter takes ten times as much as decoding.

    Args:
        image: uint8 (S, S, 3) RGB.
        draw: (5,) numbers in [0, 1): which of the three, and how far each color change goes.
        ranges: how far it may go.
        out: uint8 (S, S, 3).
    """
    which = int(draw[0] * 3)
    if which == 0:
        cv2.transform(image, np.repeat(_LUMA[None], 3, axis=0), out)
    elif which == 1:
        cv2.flip(image, 1, out)
    else:
        cv2.transform(image, color_matrix(draw[1:], ranges, float(np.dot(cv2.mean(image)[:3], _LUMA))), out)


def color_matrix(draw: npt.NDArray[np.float64], ranges: JitterRange, gray: float) -> npt.NDArray[np.float64]:
    """Brightness, contrast, saturation and hue in this order as one affine map of colors, (3, 4).

    Args:
        draw: (4,) numbers in [0, 1).
        ranges: how far each may go.
        gray: mean gray of the image, about which contrast turns; 0 to 255.
    """
    strength = np.array([ranges.brightness, ranges.contrast, ranges.saturation, ranges.hue])
    by = (2 * draw - 1) * strength
    brightness, contrast, saturation = 1 + by[:3]
    cos, sin = np.cos(by[3] * 2 * np.pi), np.sin(by[3] * 2 * np.pi)
    hue = _FROM_YIQ @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ _TO_YIQ
    colors = hue @ (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    offset = (1 - contrast) * brightness * gray * colors.sum(axis=1)
    return np.concatenate([colors * (brightness * contrast), offset[:, None]], axis=1)
