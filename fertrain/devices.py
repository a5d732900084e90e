"""Copies to a GPU that do not wait for it.

A plain copy from ordinary memory waits until the GPU has finished all earlier work. Small tables that never change are
copied once.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device; to a GPU from pinned memory, behind the work that it has."""
    if device.type != "cuda" or x.device.type != "cpu":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a row of numbers on a device, the same tensor every time; do not change it in place."""
    return to_device(torch.tensor(values, dtype=dtype), device)
