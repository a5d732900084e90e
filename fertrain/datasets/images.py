"""Pixels by row number: from files, from a zip, from an RMset root, or out of memory.

`Images` is the interface for training: a length, and batches of rows as uint8.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rmset.errors import RmsetError
from rmset.parts.picture_size import check_picture
from rmset.parts.pictures import JPEG
from rmset.progress import Progress, silent

from ..errors import DatasetError
from .sources import Bytes

Given = TypeVar("Given")
Found = TypeVar("Found")

Allocate = Callable[[tuple[int, ...]], Tensor]
"""Makes an uninitialized uint8 tensor of a shape."""


def fresh(shape: tuple[int, ...]) -> Tensor:
    """Allocate a uint8 tensor by NumPy, which asks the system for huge pages: a tenth of the page faults of torch's."""
    return torch.from_numpy(np.empty(shape, np.uint8))


class Images(Protocol):
    """Random access to decoded images of one size."""

    def __len__(self) -> int:
        """Return the number of images."""

    def read(self, rows: Sequence[int], allocate: Allocate = fresh) -> Tensor:
        """Return the images of these rows: uint8 (n, C, S, S), RGB or gray (C = 1), in memory from `allocate`."""


@runtime_checkable
class Fetching(Images, Protocol):
    """Images that may be on an object store: fetching their bytes is a step of its own."""

    @property
    def is_far(self) -> bool:
        """Whether they are. Forked processes cannot make requests."""

    def fetch(self, rows: Sequence[int]) -> Callable[[], Tensor]:
        """Fetch the bytes of these rows; the function returned decodes them as `read` does."""


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


def stacked(images: Iterable[npt.NDArray[np.uint8]], count: int, allocate: Allocate = fresh) -> Tensor:
    """Write arrays (S, S, C) into one tensor (n, C, S, S).

    Args:
        images: as they are decoded: each is let go before the next one, so that they share their memory.
        count: n, at least 1.
        allocate: makes the tensor.
    """
    ahead = iter(images)
    first = next(ahead)
    size, _, channels = first.shape
    stack = allocate((count, channels, size, size))
    for image, planes in zip(itertools.chain([first], ahead), stack.numpy(), strict=True):
        if channels == 1:
            planes[0] = image[..., 0]
        else:
            # Into the given planes: ten times as fast as a strided copy.
            cv2.split(image, list(planes))
    return stack


def decode_near(data: bytes, name: str, size: int, *, gray: bool) -> npt.NDArray[np.uint8]:
    """Decode a JPEG at the smallest of libjpeg's scales (1/8 to 8/8) that is no smaller than `size`; others as usual.

    Scaling costs nothing: it leaves out frequencies that the smaller image cannot show. uint8 (H, W, C).
    """
    if not data.startswith(JPEG):
        return decode(data, name, gray=gray)
    try:
        check_picture(data)
        image = simplejpeg.decode_jpeg(
            data, colorspace="GRAY" if gray else "RGB", min_height=size, min_width=size
        )  # fmt: skip
    except ValueError:
        # a kind of JPEG that this decoder lacks, or a damaged one, which the other one says in words
        return decode(data, name, gray=gray)
    return np.asarray(image, dtype=np.uint8)


class ImageFiles:
    """Named images in a folder, a zip or packed files; `reduced` decodes JPEGs near the size."""

    def __init__(self, source: Bytes, names: Sequence[str], size: int, *, gray: bool, reduced: bool = False) -> None:
        self.source, self.names, self.size, self.gray = source, list(names), size, gray
        self._decode = partial(decode_near, size=size, gray=gray) if reduced else partial(decode, gray=gray)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, rows: Sequence[int], allocate: Allocate = fresh) -> Tensor:
        """uint8 (n, C, S, S)."""
        return stacked((self._one(self.names[row]) for row in rows), len(rows), allocate)

    def _one(self, name: str) -> npt.NDArray[np.uint8]:
        try:
            image = self._decode(self.source.get(name), name)
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

    def read(self, rows: Sequence[int], allocate: Allocate = fresh) -> Tensor:  # noqa: ARG002 - not decoded here
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


_AHEAD = 2
_FETCHES = 8
"""batches of an object store that are fetched at once"""
"""Batches prefetched per worker."""
_LEAST_ROOM = 256
"""Images for which a place has room, at least."""


class _Places:
    """Memory shared with the workers, in places of one batch each; a place is free again when its batch is dropped.

    Fresh shared memory costs half as much as decoding, because the system clears and maps every page, and so does a
    copy of each batch.
    """

    def __init__(self, count: int, numbers: int) -> None:
        # as torch's collate does: `share_memory_` would copy the pages
        storage = torch.UntypedStorage._new_shared(count * numbers)  # type: ignore[no-untyped-call]
        self.shared = torch.empty(0, dtype=torch.uint8).set_(storage).view(count, numbers)
        self._free = deque(range(count))

    def take(self) -> int:
        """Return a place for the next batch; -1 if the consumer holds all of them."""
        return self._free.popleft() if self._free else -1

    def batch(self, place: int, read: tuple[int, ...] | Tensor) -> Tensor:
        """Return the batch of a shape that was written into a place, or a batch for which there was no room."""
        if isinstance(read, Tensor):
            if place >= 0:
                self._free.append(place)
            return read
        shape = read
        array = self.shared[place, : math.prod(shape)].numpy()
        # The storage of the tensor, and so of all its views, holds this array: it ends with the last of them.
        weakref.finalize(array, self._free.append, place).atexit = False
        return torch.from_numpy(array).view(shape)


class _Reader(Dataset[Tensor]):
    """Data set of whole batches for a DataLoader; place and rows come from its batch sampler."""

    def __init__(self, images: Images, shared: Tensor) -> None:
        self.images, self.shared = images, shared

    def __getitems__(self, wanted: tuple[int, list[int]]) -> tuple[int, tuple[int, ...] | Tensor] | RmsetError:
        """Place and shape of a batch that was written there, or a place that was not used and the batch itself."""
        place, rows = wanted
        room = self.shared[place] if place >= 0 else self.shared[0, :0]

        def allocate(shape: tuple[int, ...]) -> Tensor:
            numbers = math.prod(shape)
            return room[:numbers].view(shape) if numbers <= room.numel() else fresh(shape)

        try:
            pixels = self.images.read(rows, allocate)
        except RmsetError as error:
            return error  # raised in a worker, a one-line error would become a page of traceback
        is_there = place >= 0 and pixels.data_ptr() == room.data_ptr()
        return place, tuple(pixels.shape) if is_there else pixels

    def __getitem__(self, row: int) -> Tensor:
        return self.images.read([row])[0]


def _as_is(batch: Any) -> Any:
    return batch


def alone(worker: int) -> None:  # noqa: ARG001 - every loader's worker gets its number
    """Limit each worker to one thread; workers already provide the parallelism."""
    cv2.setNumThreads(0)


def batches(images: Images, rows: Iterable[Sequence[int]], workers: int, *, threads: bool = False) -> Iterator[Tensor]:
    """Yield the images of each list of rows, in order; decoded by worker processes if they are not in memory.

    Lists are consumed lazily, so an epoch of 45 million images can be listed step by step. The worker processes share
    the memory of a few batches; batches that the consumer keeps beyond that number cost more time.

    Args:
        images: the images.
        rows: rows of each batch.
        workers: processes; 0 decodes in this one.
        threads: take threads of this process instead; the decoders let others work meanwhile. Images on an object
            store are always read so.
    """
    if isinstance(images, InMemory) or workers == 0:
        for chosen in rows:
            yield images.read(chosen)
        return
    if isinstance(images, Fetching) and images.is_far:
        yield from _fetched(images, rows, workers)
        return
    if threads:
        yield from _in_threads(images.read, rows, workers, workers * _AHEAD)
        return
    lists = iter(rows)
    try:
        first = list(next(lists))
    except StopIteration:
        return
    # Later lists may be longer. Memory that is not written to costs nothing.
    room = max(_LEAST_ROOM, 2 * len(first))
    # those prefetched, the one that the consumer holds, and the next
    places = _Places(workers * _AHEAD + 2, room * images.read(first[:1])[0].numel())
    loader = DataLoader(
        _Reader(images, places.shared),
        batch_sampler=((places.take(), list(chosen)) for chosen in itertools.chain([first], lists)),  # type: ignore[misc]
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
        yield places.batch(*batch)


def _fetched(images: Fetching, rows: Iterable[Sequence[int]], threads: int) -> Iterator[Tensor]:
    """Fetch further ahead than is decoded, in threads of their own, because fetching is mostly waiting."""
    fetched = _in_threads(images.fetch, rows, _FETCHES, _FETCHES)
    try:
        yield from _in_threads(lambda decode: decode(), fetched, threads, threads * _AHEAD)
    finally:
        fetched.close()


def _in_threads(
    work: Callable[[Given], Found], given: Iterable[Given], threads: int, ahead: int
) -> Generator[Found, None, None]:
    """Work in threads, so far ahead, in order."""
    items, started = iter(given), deque[Future[Found]]()
    pool = ThreadPoolExecutor(threads, "rmset-read")
    try:
        for item in itertools.islice(items, ahead):
            started.append(pool.submit(work, item))
        while started:
            found = started.popleft().result()
            started.extend(pool.submit(work, item) for item in itertools.islice(items, 1))
            yield found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
