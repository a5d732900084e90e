"""Anchor contrast (RMFER, WACV 2024, section 4.2): refinement of the candidates, and equation (10).

s = cos(z_anchor, z_candidate), as attention has trained it; positives are other people at the same moment,
negatives the anchor's own face far away in time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def cosines(anchor: Tensor, candidates: Tensor) -> Tensor:
    """Similarity s between one anchor (E,) and its candidates (n, E): (n,)."""
    return F.cosine_similarity(anchor.float().unsqueeze(0), candidates.float(), dim=1)


def kept(n: int, gamma: float) -> int:
    """How many of n candidates refinement keeps: max(1, ⌈γn⌉)."""
    # ⌈0.1·50⌉ is 5, but 0.1·30 is 3.0000000000000004 in floats
    return max(1, math.ceil(gamma * n - 1e-9))


def refine(similarities: Tensor, gamma: float, *, most_similar: bool) -> Tensor:
    """Which candidates matter: P_imp the γ most similar, N_imp the γ least similar. (n,) -> int64 (kept,).

    Ties go to the candidate that stands first, so that the choice is the same on every machine.
    """
    order = torch.argsort(similarities, descending=most_similar, stable=True)
    return order[: kept(len(similarities), gamma)]


def acl(positive: Tensor, negative: Tensor, tau: float) -> Tensor:
    """Equation (10): −log( Σ_P e^{s/τ} / (Σ_P e^{s/τ} + Σ_N e^{s/τ}) ), a scalar ≥ 0.

    The sum over positives stands inside the logarithm: one good positive is enough. (NT-Xent averages the
    logarithms, which asks for all of them.)

    Args:
        positive: (p,) similarities of the anchor to P_imp.
        negative: (q,) similarities of the anchor to N_imp.
        tau: temperature.
    """
    together = torch.logsumexp(torch.cat([positive, negative]) / tau, dim=0)
    return together - torch.logsumexp(positive / tau, dim=0)
