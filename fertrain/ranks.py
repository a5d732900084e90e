"""Data-parallel training: several processes (ranks), each with its share of every batch.

    torchrun --nproc-per-node 2 -m rmset_cli.fertrain semi --labeled affectnet …

A process reads, augments and passes its own images. `gathered` then gives every process the features of the whole
batch, so all that follows (heads, attention between images, guesses, queues, margins, the loss) is computed on it by
each of them, as by one process. The gradient flows back through `gathered` to the process that has the image.

Each process has the loss L of the whole batch. The gradient of a feature is the sum over the processes, R ∂L/∂f; the
average over R processes of the weights' gradients (`training.averaged`) is therefore that of L, below `gathered` and
above it.

With one process every function returns its input.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from rmset.errors import UsageError

from .errors import TrainingError

Value = TypeVar("Value")

_PATIENCE = timedelta(hours=2)
"""Longest wait for another process, which may write a report meanwhile."""


class _Group:
    """Key-value store of the processes; None before they have joined."""

    store: Any = None
    claims = 0


def count() -> int:
    """Return the number of processes R."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def index() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Whether this process writes files and messages."""
    return index() == 0


def started() -> int:
    """Return the number of processes that a launcher has started, joined or not."""
    known = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))
    return int(os.environ["WORLD_SIZE"]) if known else 1


@contextmanager
def joined(device: str = "auto") -> Iterator[None]:
    """Join the processes of the launcher; afterwards, the failure of one becomes a one-line error in the others.

    Args:
        device: `cpu`, or `auto` for a GPU per process where there are GPUs.

    Raises:
        UsageError: the launcher was asked for several processes, and has started one.
        TrainingError: another process has ended or cannot be reached.
    """
    if started() == 1 and os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_ADDR" in os.environ:
        raise UsageError(
            "expected the processes that were asked for, found one: `accelerate launch --cpu` starts no others; take "
            "`accelerate launch --multi_gpu`, which starts them without GPUs too, or torchrun"
        )
    if started() == 1 and count() == 1:
        yield
        return
    try:
        if not dist.is_initialized():
            _join(device)
        yield
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise TrainingError(
            f"expected {started()} processes to the end, found that another one has ended; start the same command "
            "again to resume"
        ) from None


def _join(device: str) -> None:
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    store, rank, size = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    _Group.store = PrefixStore("fertrain", store)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=_Group.store, rank=rank, world_size=size, timeout=_PATIENCE
    )


def _is_lost(error: RuntimeError) -> bool:
    """Whether an error of torch tells of another process that is gone."""
    return isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "NCCL", "TCPStore"))


def speaks() -> bool:
    """Whether this process reports a failure: the first one that asks; before they have joined, process 0."""
    if started() == 1:
        return True
    if _Group.store is None:
        return os.environ.get("RANK", "0") == "0"
    _Group.claims += 1
    own = f"{index()}-{_Group.claims}"
    try:
        return bool(_Group.store.compare_set("failed", "", own).decode() == own)
    except (dist.DistError, RuntimeError):
        return is_first()


def agreed(value: Value) -> Value:
    """Return the value of process 0."""
    if count() == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def of_all(value: Value) -> list[Value]:
    """Return the values of all processes."""
    if count() == 1:
        return [value]
    held: list[Any] = [None] * count()
    dist.all_gather_object(held, value)
    return held


def wait() -> None:
    """Wait until every process has come here."""
    if count() > 1:
        dist.barrier()


def share(total: int, of: int | None = None) -> slice:
    """Return this process's rows of `total`: consecutive, and as many as the others have, give or take one.

    >>> from fertrain import ranks
    >>> ranks.share(10)
    slice(0, 10, None)
    """
    n, k = count(), index() if of is None else of
    return slice(total * k // n, total * (k + 1) // n)


def sizes(total: int) -> list[int]:
    """Return the number of rows of each process."""
    return [(s := share(total, k)).stop - s.start for k in range(count())]


class _Gather(torch.autograd.Function):
    """(n, …) of each process, at most `most` -> (R, most, …); the gradient is summed over the processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, most: int) -> Tensor:
        ctx.rows = len(x)
        padded = x if len(x) == most else torch.cat([x, x.new_zeros(most - len(x), *x.shape[1:])])
        padded = padded.contiguous()
        found = [torch.empty_like(padded) for _ in range(count())]
        dist.all_gather(found, padded)
        return torch.stack(found)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        total = grad.contiguous()
        dist.all_reduce(total)
        return total[index(), : ctx.rows], None


def gathered(parts: Sequence[Tensor], totals: Sequence[int] | None = None) -> tuple[Tensor, ...]:
    """Return the whole of each part, from this process's rows of it; differentiable.

    Args:
        parts: this process's rows of each part, as `share` gives them.
        totals: rows of each whole part; default: every process has as many as this one.
    """
    if count() == 1:
        return tuple(parts)
    of_each = [sizes(total) for total in (totals or [len(part) * count() for part in parts])]
    most = max(sum(rows[k] for rows in of_each) for k in range(count()))
    held: Tensor = _Gather.apply(torch.cat(list(parts)), most)
    by_rank = [torch.split(held[k, : sum(r[k] for r in of_each)], [r[k] for r in of_each]) for k in range(count())]
    return tuple(torch.cat([rows[part] for rows in by_rank]) for part in range(len(parts)))


def mine(whole: Tensor) -> Tensor:
    """Return this process's rows of a tensor that every process has."""
    return whole if count() == 1 else whole[share(len(whole))]


def picked(own: Tensor, rows: Tensor, total: int) -> Tensor:
    """Return some rows of a whole part, from this process's rows of it; with several processes without gradient."""
    if count() == 1:
        return own[rows]
    held = share(total)
    here = (rows >= held.start) & (rows < held.stop)
    found = own.new_zeros(len(rows), *own.shape[1:])
    found[here] = own[rows[here] - held.start].detach()
    dist.all_reduce(found)
    return found


@torch.no_grad()
def prepare(module: nn.Module) -> None:
    """Give every process the weights of the first one, and synchronize batch normalization on GPUs.

    On processors torch cannot synchronize it: each process normalizes by its own share, and a step gives all of them
    the mean of the running statistics (`training.averaged`).
    """
    if count() == 1:
        return
    if next(module.parameters()).is_cuda:
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    for value in module.state_dict().values():
        dist.broadcast(value, src=0)


def statistics_of(module: nn.Module) -> list[Tensor]:
    """Return the running statistics of batch normalization that the processes do not synchronize."""
    layers = [
        m for m in module.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and not isinstance(m, nn.SyncBatchNorm) and m.training
    ]  # fmt: skip
    return [v for m in layers for v in (m.running_mean, m.running_var) if v is not None]


@torch.no_grad()
def average(values: Sequence[Tensor]) -> None:
    """Replace values, the same ones in every process, by their mean over the processes."""
    if count() == 1 or not values:
        return
    flat = torch.cat([v.flatten() for v in values])
    dist.all_reduce(flat)
    for value, mean in zip(values, torch.split(flat / count(), [v.numel() for v in values]), strict=True):
        value.copy_(mean.view_as(value))
