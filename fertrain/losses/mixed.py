"""What MixMatch and ReMixMatch are made of, mixup apart (`fertrain.mixing`): sharpening, alignment, turns.

p, q: (U, K), rows sum to 1.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812


def sharpen(q: Tensor, temperature: float) -> Tensor:
    """q_k^{1/T} / Σ_j q_j^{1/T}: MixMatch, equation (7). (U, K) -> (U, K)."""
    # a softmax of logarithms: powers of small probabilities underflow
    return torch.softmax(q.float().clamp_min(1e-12).log() / temperature, dim=1)


def aligned(q: Tensor, wanted: Tensor, found: Tensor) -> Tensor:
    """Normalize(q · p(y) / p̃(y)): ReMixMatch, section 3.1. Guesses as often of each class as labels are.

    Args:
        q: (U, K) guesses.
        wanted: (K,) p(y), share of each class among labels.
        found: (K,) p̃(y), mean of the guesses so far.
    """
    scaled = q * wanted / found.clamp_min(1e-6)
    return scaled / scaled.sum(dim=1, keepdim=True)


def squared(logits: Tensor, q: Tensor) -> Tensor:
    """(1 / KU) Σ_b ‖q_b − p_b‖²: MixMatch, equation (4); bounded, so one wrong guess cannot rule."""
    return (q.detach() - logits.float().softmax(dim=1)).pow(2).mean()


def cross_entropy(logits: Tensor, q: Tensor) -> Tensor:
    """(1/U) Σ_b H(q_b, p_b) with whole distributions as targets, which get no gradient."""
    return -(q.detach() * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()


def risen(step: int, over: int) -> float:
    """How far a weight has risen: from 0 to 1 over the first `over` steps."""
    return 1.0 if over <= 0 else min(1.0, step / over)


def turned(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Each image turned by 0 to 3 quarters, and by how many: (U, C, S, S) -> the same, int64 (U,)."""
    quarters = torch.randint(4, (len(x),), generator=generator).to(x.device)
    options = torch.stack([torch.rot90(x, k, dims=(2, 3)) for k in range(4)])
    return options[quarters, torch.arange(len(x), device=x.device)], quarters
