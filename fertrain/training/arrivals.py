"""Gradients handed on while the backward pass still computes those of earlier layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def arriving(weights: Sequence[Tensor], arrive: Callable[[Tensor], None]) -> Iterator[None]:
    """Call `arrive` with each weight as soon as the backward pass in the body has accumulated its gradient.

    Weights whose gradient comes from an earlier pass of the step alone follow at the end, in their order.
    """
    missing: dict[Tensor, None] = dict.fromkeys(weights)

    def accumulated(weight: Tensor) -> None:
        del missing[weight]
        arrive(weight)

    hooks = [p.register_post_accumulate_grad_hook(accumulated) for p in weights]  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    for weight in missing:
        if weight.grad is not None:
            arrive(weight)
