"""Precision of losses: float32 at least, whatever autocast made of the features."""

from __future__ import annotations

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """Convert bf16 to float32; float64 stays, so that gradients can be compared to many digits."""
    return x if x.dtype == torch.float64 else x.float()
