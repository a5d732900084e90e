"""Blending images and targets in pairs: mixup and cutmix, with an explicit generator.

x: float (B, C, S, S) in [0, 1]    y: (B, K), rows sum to 1    λ ~ Beta(α, α), one for the batch
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from rmset.errors import UsageError

from ..devices import to_device
from ..errors import UnknownNameError

Mix = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]


def mixup(x: Tensor, y: Tensor, generator: Generator, alpha: float, *, nearest: bool = False) -> tuple[Tensor, Tensor]:
    """λ x_i + (1 − λ) x_j, and the targets alike (Zhang et al., ICLR 2018, equation 1).

    With `nearest` λ' = max(λ, 1 − λ), so that every row stays closer to itself than to its partner.
    """
    share, other = _draw(x, generator, alpha)
    share = max(share, 1 - share) if nearest else share
    return share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]


def cutmix(x: Tensor, y: Tensor, generator: Generator, alpha: float) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of x_j into x_i, targets by area (Yun et al., ICCV 2019, equations 1 and 2)."""
    share, other = _draw(x, generator, alpha)
    height, width = x.shape[2:]
    side = math.sqrt(1 - share)
    cy, cx = (int(torch.randint(n, (1,), generator=generator)) for n in (height, width))
    top, bottom = (min(max(round(cy + s * side * height / 2), 0), height) for s in (-1, 1))
    left, right = (min(max(round(cx + s * side * width / 2), 0), width) for s in (-1, 1))
    mixed = x.clone()
    mixed[:, :, top:bottom, left:right] = x[other][:, :, top:bottom, left:right]
    # the border clips the rectangle, so the share is computed from the area, not from the draw
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, kept * y + (1 - kept) * y[other]


MIXES = {"mixup": mixup, "cutmix": cutmix}
"""Blends by name."""


def mix(name: str, alpha: float) -> Mix | None:
    """Look up a blend; None for `none`."""
    if name == "none":
        return None
    if name not in MIXES:
        raise UnknownNameError("mix", name, ["none", *MIXES])
    if not alpha > 0:
        raise UsageError(f"expected a mix_alpha above 0, found {alpha}")
    blend = MIXES[name]
    return lambda x, y, generator: blend(x, y, generator, alpha)


def _draw(x: Tensor, generator: Generator, alpha: float) -> tuple[float, Tensor]:
    """Draw λ, and each image's partner."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    other = to_device(torch.randperm(len(x), generator=generator), x.device)
    return float(np.random.default_rng(seed).beta(alpha, alpha)), other
