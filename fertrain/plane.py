"""The preprocessing of the official FERPlus tools: each grey image by itself, whatever light it was taken in.

1. histogram equalisation to 256 levels
2. a plane a·x + b·y + c, fitted by least squares, is subtracted: uneven light
3. division by the standard deviation
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

LEVELS = 256


def ferplus(x: Tensor) -> Tensor:
    """Float (n, C, S, S) in [0, 1] -> the same shape, mean 0 and spread 1 in each channel of each image."""
    flat = levelled(x)
    basis, inverse = _plane(x.shape[2], x.shape[3])
    basis, inverse = basis.to(flat), inverse.to(flat)
    n, c, height, width = x.shape
    rows = flat.view(n * c, height * width)
    rest = rows - rows @ inverse.T @ basis.T
    # an even picture has no spread; it stays even
    spread = rest.std(dim=1, correction=0, keepdim=True).clamp_min(1e-3)
    return (rest / spread).view(n, c, height, width)


def levelled(x: Tensor) -> Tensor:
    """Histogram equalisation: each value becomes the share of pixels that are no brighter. (n, C, H, W) in [0, 1]."""
    n, c = x.shape[:2]
    level = (x.clamp(0, 1) * (LEVELS - 1)).round().long().view(n * c, -1)
    histogram = torch.zeros(n * c, LEVELS, device=x.device).scatter_add_(
        1, level, torch.ones_like(level, dtype=torch.float32)
    )
    shares = histogram.cumsum(dim=1) / level.shape[1]
    return shares.gather(1, level).view(x.shape).to(torch.float32)


@lru_cache(maxsize=8)
def _plane(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Columns x, y, 1 for every pixel (H·W, 3), and their pseudo-inverse (3, H·W)."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    basis = torch.stack([x.reshape(-1), y.reshape(-1), torch.ones(height * width)], dim=1)
    return basis, torch.linalg.pinv(basis)
