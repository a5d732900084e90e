"""Pixels by row number: from files, from a zip, from an RMset root, or out of memory.

`Images` is the interface for training: a length, and batches of rows as uint8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rmset.errors import RmsetError
from rmset.parts.picture_size import check_picture
from rmset.progress import Progress, silent

from ..errors import DatasetError
from .sources import Bytes


class Images(Protocol):
    """Random access to decoded images of one size."""

    def __len__(self) -> int:
        """Return the number of images."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return the images of these rows: uint8 (n, C, S, S), RGB or gray (C = 1)."""


def decode(data: bytes, name: str, *, gray: bool) -> npt.NDArray[np.uint8]:
    """Return an encoded image as uint8 (H, W, C), RGB (C = 3) or gray (C = 1).

    Raises:
        DatasetError: the bytes cannot be decoded.
    """
    flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    try:
        check_picture(data)
    except ValueError as error:
        raise DatasetError(f"{name}: {error}; shrink it") from None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error:
        image = None  # the header names a size that does not fit into memory, or contradicts itself
    if image is None:
        raise DatasetError(f"expected an image in {name}, found {len(data):,} bytes that cannot be decoded as one")
    return np.asarray(image.reshape(image.shape[0], image.shape[1], -1), dtype=np.uint8)


def resized(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Resize (H, W, C) -> (size, size, C); area-averaged when shrinking, against aliasing."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = image.shape[0] > size
    scaled = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled.reshape(size, size, -1), dtype=np.uint8)


def stacked(images: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """Stack arrays (S, S, C) into one tensor (n, C, S, S)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


class ImageFiles:
    """Named images in a folder or a zip."""

    def __init__(self, source: Bytes, names: Sequence[str], size: int, *, gray: bool) -> None:
        self.source, self.names, self.size, self.gray = source, list(names), size, gray

    def __len__(self) -> int:
        return len(self.names)

    def read(self, rows: Sequence[int]) -> Tensor:
        """uint8 (n, C, S, S)."""
        return stacked([self._one(self.names[row]) for row in rows])

    def _one(self, name: str) -> npt.NDArray[np.uint8]:
        try:
            image = decode(self.source.get(name), name, gray=self.gray)
        except FileNotFoundError:
            raise DatasetError(
                f"expected the image {name}, found no such file; `fertrain datasets check` lists all missing ones"
            ) from None
        except DatasetError as error:
            raise DatasetError(f"{error}; `fertrain datasets check` lists every such file") from None
        return resized(image, self.size)


class InMemory:
    """All images of a set, decoded once."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int]) -> Tensor:
        """uint8 (n, C, S, S)."""
        return self.pixels[torch.as_tensor(np.asarray(rows, dtype=np.int64))]


def in_memory(
    images: Images, shape: tuple[int, int, int], budget_mb: int, progress: Progress = silent, what: str = "images"
) -> Images:
    """Return the images decoded in memory if they fit the budget; unchanged if not.

    Args:
        images: the images to decode.
        shape: (C, S, S) of one image.
        budget_mb: MiB that this set may take.
        progress: progress callback on decoded images.
        what: label of the progress bar.
    """
    if len(images) * int(np.prod(shape)) > budget_mb * 2**20:
        return images
    pixels = torch.empty((len(images), *shape), dtype=torch.uint8)
    for start in range(0, len(images), 256):
        rows = range(start, min(start + 256, len(images)))
        pixels[rows.start : rows.stop] = images.read(rows)
        progress(f"decode {what}", rows.stop, len(images))
    return InMemory(pixels)


_AHEAD = 4
"""Batches prefetched per worker."""


class _Reader(Dataset[Tensor]):
    """Data set of whole batches for a DataLoader; the row lists come from its batch sampler.

    A worker writes its batches into a few buffers in turn, because fresh shared memory costs half as much as decoding:
    the system clears and maps every page.
    """

    def __init__(self, images: Images) -> None:
        self.images = images
        self._buffers: list[Tensor] = []
        self._turn = -1

    def __getitems__(self, rows: list[int]) -> Tensor | RmsetError:
        try:
            pixels = self.images.read(rows)
        except RmsetError as error:
            return error  # raised in a worker, a one-line error would become a page of traceback
        buffer = self._buffer(pixels)
        return buffer.copy_(pixels)

    def _buffer(self, like: Tensor) -> Tensor:
        # those prefetched, the one that the consumer holds, and one more for safety
        self._turn = (self._turn + 1) % (_AHEAD + 2)
        if self._turn == len(self._buffers):
            self._buffers.append(torch.empty(0, dtype=torch.uint8))
        if self._buffers[self._turn].numel() < like.numel():
            fresh = torch.empty(like.numel(), dtype=torch.uint8)
            self._buffers[self._turn] = fresh.share_memory_()  # type: ignore[no-untyped-call]
        return self._buffers[self._turn][: like.numel()].view(like.shape)

    def __getitem__(self, row: int) -> Tensor:
        return self.images.read([row])[0]


def _as_is(batch: Any) -> Any:
    return batch


def alone(worker: int) -> None:  # noqa: ARG001 - every loader's worker gets its number
    """Limit each worker to one thread; workers already provide the parallelism."""
    cv2.setNumThreads(0)


def batches(images: Images, rows: Iterable[Sequence[int]], workers: int) -> Iterator[Tensor]:
    """Yield the images of each list of rows, in order; decoded by worker processes if they are not in memory.

    Lists are consumed lazily, so an epoch of 45 million images can be listed step by step. A batch is valid until the
    next one is requested; clone what must last.
    """
    if isinstance(images, InMemory) or workers == 0:
        for chosen in rows:
            yield images.read(chosen)
        return
    loader = DataLoader(
        _Reader(images),
        batch_sampler=(list(chosen) for chosen in rows),
        collate_fn=_as_is,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        worker_init_fn=alone,
        # without it each loader draws from torch's generator, and dropout would depend on the number of loaders
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, RmsetError):
            raise batch
        yield batch
