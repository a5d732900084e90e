"""Attention of an anchor over its candidates, and of classes over classes.

anchor   w_j = e^{s_j/τ} / Σ_{P ∪ N} e^{s/τ}: the weights of equation (10). Their sum over P is e^{−L_ACL}.
         Before refinement over all candidates, afterwards over P_imp ∪ N_imp
classes  A_kl = mean over images i of class k of Σ_{j of class l} a_ij, a of equation (2): rows sum to 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...losses.rmfer import attention, cosines
from ..pairs.purity import chosen

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Attended:
    """Weights that a run gives to one anchor's candidates; (p + q,), positives first."""

    similarity: npt.NDArray[np.float64]
    """s, cosine of z."""
    before: npt.NDArray[np.float64]
    """Weights over all candidates."""
    after: npt.NDArray[np.float64]
    """Weights over the candidates kept by refinement, 0 for the others."""
    positives: int
    """Number of positives p."""

    @property
    def on_positives(self) -> tuple[float, float]:
        """Weight of P before refinement, of P_imp after it."""
        return float(self.before[: self.positives].sum()), float(self.after[: self.positives].sum())


@dataclass(frozen=True)
class AnchorView:
    """One anchor with its candidates, and each run's weights."""

    name: str
    """VIDEO:PERSON:FRAME."""
    rows: list[int]
    """Rows of the anchor, its positives, its negatives."""
    positives: int
    attended: dict[str, Attended]
    """Weights by run."""


def over_candidates(projected: Tensor, positives: int, gamma: float, tau: float) -> Attended:
    """Weights of an anchor's candidates.

    Args:
        projected: (1 + p + q, E): z of the anchor, p positives, q negatives.
        positives: p.
        gamma: share that refinement keeps.
        tau: temperature.
    """
    s = cosines(projected[0], projected[1:]).double()
    n = len(projected)
    c = chosen(projected, 0, np.arange(1, 1 + positives), np.arange(1 + positives, n), gamma)
    kept = torch.zeros(n - 1, dtype=torch.bool)
    kept[torch.from_numpy(np.concatenate([c.positives_imp, c.negatives_imp]) - 1)] = True
    before = torch.softmax(s / tau, dim=0)
    after = torch.softmax((s / tau).masked_fill(~kept, float("-inf")), dim=0)
    return Attended(s.numpy(), before.numpy(), after.numpy(), positives)


def between_classes(projected: Tensor, labels: Rows, classes: int, tau: float, self_mask: str) -> Tensor:
    """Compute A (K, K): how much of its attention an image of class k gives to images of class l.

    Args:
        projected: (B, E), z of one batch.
        labels: (B,) classes, balanced: attention to a class grows with its number of images.
        classes: K.
        tau: temperature.
        self_mask: as in training.
    """
    a = attention(projected, tau, self_mask).double()
    member = torch.nn.functional.one_hot(torch.as_tensor(labels), classes).double()
    mass = member.T @ a @ member
    return mass / member.sum(dim=0)[:, None].clamp_min(1)
