"""Gradients averaged over the processes while the backward pass still computes those of earlier layers.

Weights are sent in the order in which their gradients arrive, which is the same in all processes: each has the loss of
the whole batch. The order depends on the step alone, so a resumed run adds in the same order too.

torch's DistributedDataParallel fixes the weights and their order beforehand. A method leaves some weights without a
gradient in some phases or steps; DistributedDataParallel then waits for the GPU in every step, and warns on stderr in
a run that uses all weights.

Processes of one machine that train on its cores send nothing: see `shared_gradients`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .. import ranks
from .arrivals import arriving
from .shared_gradients import SharedGradients

_BYTES = 4 << 20
"""Gradients that are sent together."""


@dataclass(frozen=True)
class _Portion:
    """Weights whose gradients are sent together, in memory that is kept: new memory costs more than the sending."""

    weights: tuple[Tensor, ...]
    flat: Tensor
    views: tuple[Tensor, ...]
    """Parts of `flat`, in the weights' memory formats."""

    @classmethod
    def of(cls, weights: Sequence[Tensor]) -> _Portion:
        flat = weights[0].new_empty(sum(p.numel() for p in weights))
        parts = torch.split(flat, [p.numel() for p in weights])
        # the memory format of a gradient is that of its weight
        layouts = [torch.empty_like(p, device="meta").stride() for p in weights]
        views = (part.as_strided(p.shape, s) for part, p, s in zip(parts, weights, layouts, strict=True))
        return cls(tuple(weights), flat, tuple(views))

    def has(self, weights: Sequence[Tensor]) -> bool:
        return len(weights) == len(self.weights) and all(a is b for a, b in zip(weights, self.weights, strict=True))


class Averaged:
    """Average of the gradients, and of the statistics of batch normalization, over the processes.

    Args:
        module: all trained weights.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._kept: list[_Portion] = []
        self._sent: list[Callable[[], object]] = []
        self._waiting: list[Tensor] = []
        self._shared: SharedGradients | None = None
        self._sends = False

    @contextmanager
    def backward(self, *, last: bool = True) -> Iterator[None]:
        """Run a backward pass in the body; afterwards the gradients are those of the whole step.

        Args:
            last: whether the step has no later pass; the gradients of earlier passes are averaged with the last.
        """
        if ranks.count() == 1 or not last:
            yield
            return
        trained = [p for p in self._module.parameters() if p.requires_grad]
        statistics = ranks.statistics_of(self._module)
        if shared := self._memory_of([*trained, *statistics]):
            with shared.averaging(trained, statistics):
                yield
            return
        with self._sending(trained):
            yield
        ranks.average(statistics)

    def _memory_of(self, values: Sequence[Tensor]) -> SharedGradients | None:
        """Return the memory that the processes share, if they do; asked once, and again for more values."""
        if not self._sends and (self._shared is None or not self._shared.holds(values)):
            self._shared = SharedGradients.open(values)
            self._sends = self._shared is None
        return self._shared

    @contextmanager
    def _sending(self, trained: Sequence[Tensor]) -> Iterator[None]:
        self._sent, self._waiting = [], []
        with arriving(trained, self._add):
            yield
        self._finish()

    def _add(self, weight: Tensor) -> None:
        if self._waiting and weight.dtype != self._waiting[0].dtype:
            self._send()
        self._waiting.append(weight)
        if sum(p.nbytes for p in self._waiting) >= _BYTES:
            self._send()

    @torch.no_grad()
    def _send(self) -> None:
        """Begin to add up the gradients that wait."""
        k = len(self._sent)
        if k == len(self._kept) or not self._kept[k].has(self._waiting):
            self._kept[k:] = [_Portion.of(self._waiting)]
        portion = self._kept[k]
        for weight, view in zip(portion.weights, portion.views, strict=True):
            torch.mul(_grad(weight), 1 / ranks.count(), out=view)
        self._sent.append(dist.all_reduce(portion.flat, async_op=True).wait)
        self._waiting = []

    @torch.no_grad()
    def _finish(self) -> None:
        """Wait for all sums, and write them to the gradients."""
        if self._waiting:
            self._send()
        for wait, portion in zip(self._sent, self._kept, strict=False):
            wait()
            torch._foreach_copy_([_grad(weight) for weight in portion.weights], list(portion.views))


def _grad(weight: Tensor) -> Tensor:
    assert weight.grad is not None  # it has arrived
    return weight.grad
