"""Gradients averaged in memory that all processes of a machine share, so that none are sent.

                   statistics, then weights in order
    rank 0   [ g0 ................... ]   each writes its own gradients
    rank 1   [ g1 ................... ]
                 | barrier
    average  [ by rank 0 | by rank 1  ]   each adds up its share of the columns, in the order of the ranks
                 | barrier
             the average is everybody's gradient, until all come to the first barrier of the next step

The statistics are those of batch normalization: they go along, because each wait for the others costs time.

Over loopback gloo sends and receives every gradient through the system, a tenth of a step of ResNet-18 with 32 images
on one core. Here each is written once, while it is still in the processor's cache, and read once. The memory that the
backward pass had it in is free for the next, which saves the system from finding new pages. One process adds up a
column for all, so all get the same bits.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from .. import ranks
from .arrivals import arriving

Key = tuple[int, ...]


class SharedGradients:
    """The shared memory; made by `open`.

    Args:
        memory: (R + 1, n), a row of each process and the row of the average.
    """

    def __init__(self, memory: Tensor) -> None:
        self._memory = memory
        self._places: dict[Key, tuple[list[Tensor], list[Tensor]]] = {}

    @classmethod
    def open(cls, values: Sequence[Tensor]) -> SharedGradients | None:
        """Make memory for as many values, in all processes at once.

        Returns:
            None, if the values are on a GPU or of several types, or if the processes do not see the same memory.
        """
        kinds = {(v.device.type, v.dtype) for v in values}
        if len(kinds) != 1 or values[0].device.type != "cpu":
            return None
        memory = _mapped((ranks.count() + 1, _size(values)), values[0].dtype)
        return cls(memory) if memory is not None else None

    def holds(self, values: Sequence[Tensor]) -> bool:
        """Whether there is room for the average of these values."""
        return _size(values) <= self._memory.shape[1] and all(v.dtype == self._memory.dtype for v in values)

    @contextlib.contextmanager
    def averaging(self, weights: Sequence[Tensor], statistics: Sequence[Tensor]) -> Iterator[None]:
        """Run a backward pass in the body; then average its gradients, and these statistics, over the processes.

        Args:
            weights: those that may get a gradient; the same do in every process. The average lies in the shared
                memory and holds until the next call; it must not be changed.
            statistics: what is averaged itself.
        """
        own, mean = self._views([*statistics, *weights])
        places = dict(zip(weights, own[len(statistics) :], strict=True))

        @torch.no_grad()
        def arrive(weight: Tensor) -> None:
            assert weight.grad is not None  # it has arrived
            weight.grad = places[weight].copy_(weight.grad)

        with arriving(weights, arrive):
            yield
        self._average(own, mean, weights, statistics)

    @torch.no_grad()
    def _average(
        self, own: Sequence[Tensor], mean: Sequence[Tensor], weights: Sequence[Tensor], statistics: Sequence[Tensor]
    ) -> None:
        if statistics:
            torch._foreach_copy_(list(own[: len(statistics)]), list(statistics))
        ranks.wait()
        # Columns of weights without a gradient are summed too; their sums are not used.
        columns = ranks.share(_size(own))
        first, *others = self._memory[: ranks.count(), columns]
        total = torch.add(first, others[0], out=self._memory[-1, columns])
        for other in others[1:]:
            total += other
        total /= ranks.count()
        ranks.wait()
        if statistics:
            torch._foreach_copy_(list(statistics), list(mean[: len(statistics)]))
        for weight, gradient in zip(weights, mean[len(statistics) :], strict=True):
            if weight.grad is not None:
                weight.grad = gradient

    def _views(self, values: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the places of these values in this process's row and in that of the average; kept for later steps."""
        key = tuple(map(id, values))
        if key not in self._places:
            # an epoch has few sets of weights; ids of another phase's may come again
            self._places = {key: (_parts(self._memory[ranks.index()], values), _parts(self._memory[-1], values))}
        return self._places[key]


def _size(values: Sequence[Tensor]) -> int:
    return sum(v.numel() for v in values)


def _parts(row: Tensor, values: Sequence[Tensor]) -> list[Tensor]:
    """Return a part of the row for each value, in its shape and memory format."""
    parts = torch.split(row[: _size(values)], [v.numel() for v in values])
    layouts = [torch.empty_like(v, device="meta").stride() for v in values]
    return [part.as_strided(v.shape, s) for part, v, s in zip(parts, values, layouts, strict=True)]


def _mapped(shape: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
    """Map a file without a name into all processes; None, if one of them cannot see what process 0 wrote."""
    token = secrets.randbits(31)
    memory: Tensor | None = None
    path = Path()
    with contextlib.suppress(OSError, RuntimeError):
        if ranks.is_first():
            path, memory = _made(shape, dtype)
            memory.view(-1)[0] = token
    name, expected = ranks.agreed((str(path) if memory is not None else "", token))
    if memory is None and name:
        with contextlib.suppress(OSError, RuntimeError):
            memory = _map(Path(name), shape, dtype)
    seen = memory is not None and memory.view(-1)[0].item() == torch.tensor(expected, dtype=dtype).item()
    all_see = all(ranks.of_all(seen))
    if ranks.is_first() and name:
        # the memory stays until the last process ends; nothing is left of a killed one
        Path(name).unlink(missing_ok=True)
    return memory if all_see else None


def _made(shape: tuple[int, int], dtype: torch.dtype) -> tuple[Path, Tensor]:
    """Make the file, with its room on the disk or in memory reserved."""
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # a file in memory
    file, name = tempfile.mkstemp(prefix="fertrain-", dir=folder)
    try:
        size = shape[0] * shape[1] * dtype.itemsize
        # without this, a full file system would kill the process when it writes
        os.posix_fallocate(file, 0, size)
        return Path(name), _map(Path(name), shape, dtype)
    except BaseException:
        Path(name).unlink()
        raise
    finally:
        os.close(file)


def _map(path: Path, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    return torch.from_file(str(path), shared=True, size=shape[0] * shape[1], dtype=dtype).view(shape)
