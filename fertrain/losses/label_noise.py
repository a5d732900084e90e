"""Losses for noisy labels: attention consistency (EAC, VAC), uncertainty (RUL), ranks (SCN), distributions (LDL).

f: (B, D, h, w) last feature map    w: (K, D) weights of the classifier    M: (B, K, h, w) attention maps
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .precision import full


def attention_maps(f: Tensor, weight: Tensor) -> Tensor:
    """M_l(h, w) = Σ_d w_ld f_d(h, w): class activation of every class. (B, D, h, w), (K, D) -> (B, K, h, w).

    The weights get no gradient, as in the authors' code: the maps must agree by other features, not by other weights.

    >>> f = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
    >>> fertrain.losses.attention_maps(f, torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    tensor([[[[ 1.,  2.]],
    <BLANKLINE>
             [[ 1., -2.]]]])
    """
    with torch.autocast(f.device.type, enabled=False):
        return torch.einsum("bdhw,kd->bkhw", full(f), full(weight.detach()))


def flip_consistency(maps: Tensor, mirrored: Tensor) -> Tensor:
    """Mean of (M − Flip(M'))², M' the maps of the mirrored images: EAC, equation (4); VAC, equation (3).

    >>> maps = torch.tensor([[[[1.0, 3.0]]]])
    >>> [fertrain.losses.flip_consistency(maps, other).item() for other in (maps, maps.flip(-1))]
    [4.0, 0.0]
    """
    return F.mse_loss(maps, mirrored.flip(-1))


def scale_consistency(large: Tensor, small: Tensor) -> Tensor:
    """Mean of (Up(M) − Up(M'))² with M' of smaller images; Up repeats both to the common multiple of their sides.

    >>> fertrain.losses.scale_consistency(torch.tensor([[[[0.0, 6.0]]]]), torch.tensor([[[[3.0]]]])).item()
    9.0
    """
    sides = [math.lcm(a, b) for a, b in zip(large.shape[2:], small.shape[2:], strict=True)]
    return F.mse_loss(F.interpolate(large, size=sides), F.interpolate(small, size=sides))


def mix_by_uncertainty(mu: Tensor, sigma: Tensor, other: Tensor) -> Tensor:
    """μ_mix = (σ_i μ_i + σ_j μ_j) / (σ_i + σ_j): RUL, equation (3). The more uncertain image weighs more. (B, D).

    To recognize both expressions in the mixture, the easy image must need little of it, so its σ falls.

    Args:
        mu: (B, D) features.
        sigma: (B, 1) uncertainty, positive.
        other: int64 (B,), partner of each image.

    >>> mu, sigma = torch.tensor([[4.0], [8.0]]), torch.tensor([[1.0], [3.0]])
    >>> fertrain.losses.mix_by_uncertainty(mu, sigma, torch.tensor([1, 0]))
    tensor([[7.],
            [7.]])
    """
    share = sigma / (sigma + sigma[other])
    return share * mu + (1 - share) * mu[other]


def importance_groups(alpha: Tensor, high: float) -> tuple[Tensor, Tensor]:
    """Split a batch by importance (B,) into the `high` share and the rest: two int64 index tensors."""
    n = min(max(int(high * len(alpha) + 1e-9), 1), len(alpha) - 1)
    order = alpha.detach().argsort(descending=True, stable=True)
    return order[:n], order[n:]


def rank_regularization(alpha: Tensor, high: float, margin: float) -> Tensor:
    """max(0, δ₁ − (mean α of the high group − mean α of the low group)): SCN, equation (3).

    Args:
        alpha: (B,) importance weights in (0, 1); B ≥ 2.
        high: β, share of the high group.
        margin: δ₁.

    >>> round(fertrain.losses.rank_regularization(torch.tensor([0.9, 0.5, 0.7, 0.6]), high=0.5, margin=0.4).item(), 4)
    0.15
    """
    first, rest = importance_groups(alpha, high)
    return (margin - (alpha[first].mean() - alpha[rest].mean())).clamp_min(0)


def relabeled(logits: Tensor, labels: Tensor, among: Tensor, margin: float) -> Tensor:
    """Choose the new class of images of a group if P_max − P_label > δ₂, else −1: SCN, equation (5).

    >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.1, 0.0]])
    >>> fertrain.losses.relabeled(logits, torch.tensor([1, 1, 1]), among=torch.tensor([0, 2]), margin=0.2)
    tensor([ 0, -1, -1])
    """
    p = full(logits.detach()).softmax(dim=1)
    most, guess = p.max(dim=1)
    own = p.gather(1, labels.unsqueeze(1)).squeeze(1)
    allowed = torch.zeros(len(p), dtype=torch.bool, device=p.device)
    allowed[among] = True
    return torch.where(allowed & (most - own > margin), guess, -1)


def divergence(logits: Tensor, p: Tensor) -> Tensor:
    """KL(p, q) = Σ_k p_k (log p_k − log q_k), averaged over the batch: LDL.

    It is CEL less the entropy of p, so its gradients are CEL's, but it is 0 if the answer is right.

    >>> votes = torch.tensor([[0.75, 0.25]])
    >>> round(fertrain.losses.divergence(torch.zeros(1, 2), votes).item(), 4)
    0.1308
    """
    return F.kl_div(F.log_softmax(full(logits), dim=1), p, reduction="batchmean")


def neighbor_distance(q: Tensor, last: Tensor, weights: Tensor) -> Tensor:
    """Mean over images of Σ_k a_ik ‖q_i − q̄_k‖²: images with like auxiliary labels get like answers.

    Args:
        q: (B, K) answers.
        last: (B, k, K) last answers on the neighbors; 0 for those without any yet, which are left out.
        weights: (B, k) a.

    >>> q, last = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.5, 0.5], [0.0, 0.0]]])
    >>> fertrain.losses.neighbor_distance(q, last, torch.tensor([[0.6, 0.4]])).item()
    0.5
    """
    seen = weights * (last.sum(dim=2) > 0)
    share = seen / seen.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return (share * (q.unsqueeze(1) - last).square().sum(dim=2)).sum(dim=1).mean()
