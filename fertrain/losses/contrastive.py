"""Two views of the same images, no labels: SimCLR, MoCo, BYOL, SimSiam.

a, b: (U, E), row i of both is the same image. Written here because the library with these losses requires a training
framework.

Products are taken outside of autocast, which would round cosines to bf16's three digits before τ divides them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .precision import full


def nt_xent(a: Tensor, b: Tensor, tau: float) -> Tensor:
    """SimCLR, equation (1): −log( e^{s_ij/τ} / Σ_{k≠i} e^{s_ik/τ} ), averaged over both views of every image.

    j is i's other view, k every other view of the batch, s the cosine.

    >>> views = torch.eye(2)
    >>> round(fertrain.losses.nt_xent(views, views, tau=1.0).item(), 4)
    0.5514
    """
    n = len(a)
    z = F.normalize(full(torch.cat([a, b])), dim=1)
    with torch.autocast(z.device.type, enabled=False):
        s = z @ z.T / tau
    s = s.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=s.device), float("-inf"))
    other = torch.arange(2 * n, device=s.device).roll(n)
    return F.cross_entropy(s, other)


def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, tau: float) -> Tensor:
    """MoCo, equation (1): −log( e^{q·k/τ} / (e^{q·k/τ} + Σ_queue e^{q·k'/τ}) ) of unit vectors.

    Keys and queue come from another network and get no gradient.

    Args:
        queries: (U, E).
        keys: (U, E), the other views.
        queue: (Q, E), earlier keys of other images.
        tau: temperature.

    >>> views = torch.eye(2)
    >>> round(fertrain.losses.info_nce(views[:1], views[:1], views[1:], tau=1.0).item(), 4)
    0.3133
    """
    q = F.normalize(full(queries), dim=1)
    k = F.normalize(full(keys.detach()), dim=1)
    positive = (q * k).sum(dim=1, keepdim=True)
    with torch.autocast(q.device.type, enabled=False):
        negative = q @ F.normalize(full(queue.detach()), dim=1).T
    logits = torch.cat([positive, negative], dim=1) / tau
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64, device=q.device))


def disagreement(prediction: Tensor, target: Tensor) -> Tensor:
    """−cos(prediction, target), averaged; the target gets no gradient.

    SimSiam, equation (1). BYOL, equation (2), is 2 + 2 times this: squared distance of unit vectors.

    >>> fertrain.losses.disagreement(torch.eye(2), torch.eye(2)).item()
    -1.0
    """
    return -F.cosine_similarity(full(prediction), full(target.detach()), dim=1).mean()
