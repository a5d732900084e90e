"""Instance attention (RMFER, WACV 2024, equations 1 to 3): each image seen through the rest of its batch.

f: (B, D) features    z: (B, E) = H(f), projected    s, a: (B, B)    v: (B, D)

Products are taken outside of autocast, which would round cosines to bf16's three digits before τ divides them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..errors import UnknownNameError

SELF_MASKS: tuple[str, ...] = ("exclude", "epsilon", "off")

EPSILON = 1e-6
"""What the paper writes on the diagonal. exp(1e-6/τ) ≈ 1, so this masks next to nothing."""


def similarity(z: Tensor, self_mask: str = "exclude") -> Tensor:
    """Equation (1): s_ij = cos(z_i, z_j), the diagonal masked. (B, E) -> (B, B).

    Args:
        z: projected features.
        self_mask: what stands on the diagonal: `exclude` −∞, so that nobody attends to himself (what the
            authors' code does); `epsilon` 1e-6, the paper's letter; `off` the cosine itself, 1.
    """
    if self_mask not in SELF_MASKS:
        raise UnknownNameError("self-mask", self_mask, SELF_MASKS)
    unit = F.normalize(z.float(), dim=1)
    with torch.autocast(z.device.type, enabled=False):
        s = unit @ unit.T
    if self_mask == "off":
        return s
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return s.masked_fill(own, float("-inf") if self_mask == "exclude" else EPSILON)


def attention(z: Tensor, tau: float, self_mask: str = "exclude") -> Tensor:
    """Equation (2): a_ij = softmax_j(s_ij / τ); rows sum to 1. (B, E) -> (B, B).

    Raises:
        ValueError: a batch of one has nobody to attend to under `exclude`.
    """
    if len(z) < 2 and self_mask == "exclude":
        raise ValueError("attention with self_mask='exclude' needs a batch of two images or more, found one")
    return torch.softmax(similarity(z, self_mask) / tau, dim=1)


def attended(f: Tensor, z: Tensor, tau: float, self_mask: str = "exclude") -> Tensor:
    """Equation (3): v_i = Σ_j a_ij f_j. (B, D), (B, E) -> (B, D)."""
    with torch.autocast(f.device.type, enabled=False):
        return attention(z, tau, self_mask) @ f.float()
