"""RMFER's losses (WACV 2024): instance attention, equations (1) to (3), and anchor contrast, equation (10).

f: (B, D) features    z: (B, E) = H(f), projected    s, a: (B, B)    v: (B, D)

Positives of an anchor are other people at the same moment, negatives its own face far away in time. Products are
taken outside of autocast, which would round cosines to bf16's three digits before τ divides them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rmset.errors import UsageError

from ..errors import UnknownNameError
from .precision import full

SELF_MASKS: tuple[str, ...] = ("exclude", "epsilon", "off")

EPSILON = 1e-6
"""The paper's value on the diagonal. exp(1e-6/τ) ≈ 1, so it masks almost nothing."""


def similarity(z: Tensor, self_mask: str = "exclude") -> Tensor:
    """Equation (1): s_ij = cos(z_i, z_j), the diagonal masked. (B, E) -> (B, B).

    Args:
        z: projected features.
        self_mask: the diagonal: `exclude` −∞, so that no image attends to itself (authors' code); `epsilon` 1e-6, as
            printed in the paper; `off` the cosine itself, 1.

    >>> fertrain.losses.similarity(torch.eye(2), self_mask="off")
    tensor([[1., 0.],
            [0., 1.]])
    """
    if self_mask not in SELF_MASKS:
        raise UnknownNameError("self-mask", self_mask, SELF_MASKS)
    unit = F.normalize(full(z), dim=1)
    with torch.autocast(z.device.type, enabled=False):
        s = unit @ unit.T
    if self_mask == "off":
        return s
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return s.masked_fill(own, float("-inf") if self_mask == "exclude" else EPSILON)


def attention(z: Tensor, tau: float, self_mask: str = "exclude") -> Tensor:
    """Equation (2): a_ij = softmax_j(s_ij / τ); rows sum to 1. (B, E) -> (B, B).

    Raises:
        UsageError: a batch of one has no other image to attend to under `exclude`.

    >>> fertrain.losses.attention(torch.eye(3), tau=1.0)
    tensor([[0.0000, 0.5000, 0.5000],
            [0.5000, 0.0000, 0.5000],
            [0.5000, 0.5000, 0.0000]])
    """
    if len(z) < 2 and self_mask == "exclude":
        raise UsageError("expected two images or more in a batch with self_mask 'exclude', found one")
    return torch.softmax(similarity(z, self_mask) / tau, dim=1)


def attended(f: Tensor, z: Tensor, tau: float, self_mask: str = "exclude") -> Tensor:
    """Equation (3): v_i = Σ_j a_ij f_j. (B, D), (B, E) -> (B, D).

    >>> f = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> fertrain.losses.attended(f, f, tau=1.0)
    tensor([[0., 1.],
            [1., 0.]])
    """
    with torch.autocast(f.device.type, enabled=False):
        return attention(z, tau, self_mask) @ full(f)


def cosines(anchor: Tensor, candidates: Tensor) -> Tensor:
    """Similarity s between one anchor (E,) and its candidates (n, E): (n,).

    >>> fertrain.losses.cosines(torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 0.])
    """
    return F.cosine_similarity(full(anchor).unsqueeze(0), full(candidates), dim=1)


def kept(n: int, gamma: float) -> int:
    """Count the candidates that refinement keeps of n: max(1, ⌈γn⌉)."""
    # ⌈0.1·50⌉ is 5, but 0.1·30 is 3.0000000000000004 in floats
    return max(1, math.ceil(gamma * n - 1e-9))


def refine(similarities: Tensor, gamma: float, *, most_similar: bool) -> Tensor:
    """Choose the candidates to keep: P_imp the γ most similar, N_imp the γ least similar. (n,) -> int64 (kept,).

    Ties go to the first candidate, so that the choice is the same on every machine.

    >>> fertrain.losses.refine(torch.tensor([0.1, 0.9, 0.5]), gamma=0.5, most_similar=True)
    tensor([1, 2])
    """
    order = torch.argsort(similarities, descending=most_similar, stable=True)
    return order[: kept(len(similarities), gamma)]


def acl(positive: Tensor, negative: Tensor, tau: float) -> Tensor:
    """Equation (10): −log( Σ_P e^{s/τ} / (Σ_P e^{s/τ} + Σ_N e^{s/τ}) ), a scalar ≥ 0.

    The sum over positives is inside the logarithm, so one good positive is enough. (NT-Xent averages the logarithms,
    which requires all positives to be near.)

    Args:
        positive: (p,) similarities of the anchor to P_imp.
        negative: (q,) similarities of the anchor to N_imp.
        tau: temperature.

    Raises:
        UsageError: there is no positive.

    >>> anchor, others = torch.tensor([1.0, 0.0]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> s = fertrain.losses.cosines(anchor, others)
    >>> round(fertrain.losses.acl(s[:1], s[1:], tau=1.0).item(), 4)
    0.4076
    """
    if not len(positive):
        raise UsageError("expected one positive or more for an anchor, found none")
    together = torch.logsumexp(torch.cat([positive, negative]) / tau, dim=0)
    return together - torch.logsumexp(positive / tau, dim=0)
