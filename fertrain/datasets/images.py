"""Pixels by row number: from files, from a zip, from an RMset root, or out of memory.

`Images` is all that training knows of them: how many there are, and a batch of some rows as uint8.
"""

from __future__ import annotations

import lzma
import os
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rmset.bounded import open_regular
from rmset.errors import RmsetError, UnreadableError
from rmset.parts.picture_size import MOST_BYTES, check_picture
from rmset.progress import Progress, silent

from ..errors import DatasetError


class Images(Protocol):
    """Random access to decoded images of one size."""

    def __len__(self) -> int:
        """How many there are."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """The images of these rows: uint8 (n, C, S, S), RGB or gray (C = 1)."""


class Bytes(Protocol):
    """Random access to encoded images; `FolderBytes` and `ZipBytes` are the two there are."""

    def get(self, name: str) -> bytes:
        """The file of that name.

        Raises:
            FileNotFoundError: there is none.
            DatasetError: it is there and cannot be read.
        """

    def names(self) -> set[str]:
        """All image names there are."""


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder. Links to folders are followed, which `rglob` does not: data sets are often linked."""
    for here, _, names in os.walk(folder, followlinks=True):
        for name in names:
            yield Path(here) / name


class FolderBytes:
    """Files below a folder; names are relative to it, with forward slashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str) -> bytes:
        """The file's bytes."""
        path = self.folder / name
        try:
            with open_regular(path, most=MOST_BYTES) as file:
                return file.read()
        except UnreadableError as error:
            raise DatasetError(str(error)) from None
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                raise
            found = "a link to nothing" if isinstance(error, FileNotFoundError) else error.strerror
            raise DatasetError(f"expected a readable file at {path}, found: {found}") from None

    def names(self) -> set[str]:
        """Names of all files below the folder."""
        return {p.relative_to(self.folder).as_posix() for p in files_below(self.folder)}


# damaged, cut short, encrypted, packed in a way that nobody here knows
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


class ZipBytes:
    """Members of a zip archive, read in place.

    Each process opens the archive for itself, forked or not: two that share a descriptor move each other's place in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._renew()

    def _renew(self) -> None:
        self._process = os.getpid()
        self._archive: zipfile.ZipFile | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """The member's bytes."""
        if self._process != os.getpid():
            self._renew()
        with self._lock:
            try:
                archive = self._open()
                packed = archive.getinfo(name)
                if packed.file_size > MOST_BYTES:
                    raise DatasetError(
                        f"expected at most {MOST_BYTES:,} bytes of {name} in {self.path}, found {packed.file_size:,}"
                    )
                return archive.read(packed)
            except KeyError:
                raise FileNotFoundError(f"{self.path}:{name}") from None
            except _ZIP_FAULTS as error:
                raise DatasetError(f"expected {name} whole in {self.path}, found: {error}") from None

    def names(self) -> set[str]:
        """Names of all members that are files."""
        return {name for name in self._open().namelist() if not name.endswith("/")}

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None:
            try:
                self._archive = zipfile.ZipFile(self.path)
            except (OSError, zipfile.BadZipFile) as error:
                raise DatasetError(f"expected a readable zip archive at {self.path}, found: {error}") from None
        return self._archive

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


def decode(data: bytes, name: str, *, gray: bool) -> npt.NDArray[np.uint8]:
    """An encoded image as uint8 (H, W, C), RGB (C = 3) or gray (C = 1).

    Raises:
        DatasetError: nothing can be decoded out of the bytes.
    """
    flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    try:
        check_picture(data)
    except ValueError as error:
        raise DatasetError(f"{name}: {error}; shrink it") from None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error:
        image = None  # what the head promises would not fit into memory, or contradicts itself
    if image is None:
        raise DatasetError(f"expected an image in {name}, found {len(data):,} bytes that cannot be decoded as one")
    return np.asarray(image.reshape(image.shape[0], image.shape[1], -1), dtype=np.uint8)


def resized(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """(H, W, C) -> (size, size, C); area-averaged when it shrinks, so that no detail aliases."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = image.shape[0] > size
    scaled = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled.reshape(size, size, -1), dtype=np.uint8)


def stacked(images: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """Arrays (S, S, C) as one tensor (n, C, S, S)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


class ImageFiles:
    """A list of named images out of a folder or a zip."""

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
    """The same images, decoded once and kept if they fit the budget; unchanged if not.

    Args:
        images: what to read.
        shape: (C, S, S) of one image.
        budget_mb: MiB that this set may take.
        progress: told how many are decoded.
        what: what the progress bar calls them.
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
"""Batches that a worker may have under way."""


class _Reader(Dataset[Tensor]):
    """Lets a DataLoader fetch whole batches; the row lists come from its batch sampler.

    A worker writes its batches into a few buffers in turn: fresh shared memory costs half of what decoding does, as the
    system clears and maps every page of it.
    """

    def __init__(self, images: Images) -> None:
        self.images = images
        self._buffers: list[Tensor] = []
        self._turn = -1

    def __getitems__(self, rows: list[int]) -> Tensor | RmsetError:
        try:
            pixels = self.images.read(rows)
        except RmsetError as error:
            return error  # a DataLoader would make a page of traceback out of its one line
        buffer = self._buffer(pixels)
        return buffer.copy_(pixels)

    def _buffer(self, like: Tensor) -> Tensor:
        # those under way, the one that the consumer holds, and one more for safety
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


def alone(worker: int) -> None:  # noqa: ARG001 - every loader's worker is told its number
    """One thread in each worker: there are as many workers as there should be threads."""
    cv2.setNumThreads(0)


def batches(images: Images, rows: Iterable[Sequence[int]], workers: int) -> Iterator[Tensor]:
    """The images of each list of rows, in order; decoded by worker processes if they are not in memory.

    The lists are asked for as they are needed, so an epoch of 45 million images may name them one step at a time.
    A batch holds its pixels until the next one is asked for; what must last is cloned.
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
        # else each loader takes a number out of torch's own generator, and dropout depends on how many there were
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, RmsetError):
            raise batch
        yield batch
