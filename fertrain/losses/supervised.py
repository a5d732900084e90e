"""Losses on labels and votes: MV, ML, PLD and CEL (FERPlus), and the cosine loss on label embeddings.

Barsoum et al., "Training deep networks for facial expression recognition with crowd-sourced label distribution",
ICMI 2016, section 4.

    p: (B, C) share of the votes for each class    q: (B, C) softmax of the logits
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from ..splitmix import unit
from .precision import full

ML_SMOOTHING = 0.001
"""The authors' ε; it keeps ML's logarithm finite if no kept class has any probability."""


def cel(logits: Tensor, p: Tensor) -> Tensor:
    """Cross-entropy with the whole distribution, −Σ_k p_k log q_k, averaged over the batch.

    With one-hot p it is the ordinary cross-entropy: MV and PLD are this on other targets.

    >>> logits, p = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.5, 0.0]])
    >>> round(fertrain.losses.ferplus_cel(logits, p).item(), 4)
    1.2395
    """
    return -(p * F.log_softmax(full(logits), dim=1)).sum(dim=1).mean()


def ml(logits: Tensor, p: Tensor, smoothing: float = ML_SMOOTHING) -> Tensor:
    """Multi-label: −log max_k(t_k q_k), where t is 1 for every kept class; averaged over the batch.

    Any kept class counts as correct: only the most probable of them gets a gradient.

    >>> logits, p = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.5, 0.0]])
    >>> round(fertrain.losses.ferplus_ml(logits, p).item(), 4)
    0.2395
    """
    t = (1 - smoothing) * (p > 0).float() + smoothing
    # in logarithms: the product underflows for confident predictions
    return -(t.log() + F.log_softmax(full(logits), dim=1)).amax(dim=1).mean()


def mv(logits: Tensor, p: Tensor) -> Tensor:
    """Majority vote: cross-entropy with the most voted class, averaged over the batch.

    >>> logits, p = torch.zeros(2, 4), torch.tensor([[0.7, 0.3, 0, 0], [0, 0, 0.4, 0.6]])
    >>> round(fertrain.losses.ferplus_mv(logits, p).item(), 4)
    1.3863
    """
    return F.cross_entropy(full(logits), p.argmax(dim=1))


def pld(logits: Tensor, p: Tensor, generator: Generator | None = None) -> Tensor:
    """Probabilistic label drawing: cross-entropy with a label drawn from each image's own distribution.

    Training draws with `draw`, which depends neither on order nor on batch.

    Args:
        logits: (B, C).
        p: (B, C), rows sum to 1.
        generator: of the draw.

    >>> certain = torch.eye(4)[:2]
    >>> torch.equal(fertrain.losses.ferplus_pld(torch.zeros(2, 4), certain),
    ...             fertrain.losses.ferplus_cel(torch.zeros(2, 4), certain))
    True
    """
    return F.cross_entropy(full(logits), torch.multinomial(p, 1, generator=generator).squeeze(1))


def draw(p: npt.NDArray[np.float32], samples: npt.NDArray[np.int64], epoch: int, seed: int) -> npt.NDArray[np.float32]:
    """PLD: draw one label per image from its own distribution, again in every epoch.

    The draw depends only on (seed, epoch, sample), not on order, batch or workers.

    Args:
        p: (B, C), rows sum to 1.
        samples: (B,) the image's number in its data set.
        epoch: counted over the whole run.
        seed: of the run.

    Returns:
        One-hot rows (B, C).
    """
    u = unit(samples, epoch, seed)
    edges = np.cumsum(p.astype(np.float64), axis=1)
    # scaled by the last edge, because float shares may not sum to exactly 1
    label = (u[:, None] * edges[:, -1:] >= edges).sum(axis=1)
    return np.asarray(np.eye(p.shape[1], dtype=np.float32)[label])


@dataclass(frozen=True)
class Scheme:
    """A scheme: from votes to a loss."""

    rule: str
    """The rule that selects its training images in the paper."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """(logits, targets) -> scalar."""
    draws: bool = False
    """Whether targets are drawn again in every epoch."""


SCHEMES: dict[str, Scheme] = {
    "mv": Scheme("majority", cel),
    "ml": Scheme("multi", ml),
    "pld": Scheme("distribution", cel, draws=True),
    "cel": Scheme("distribution", cel),
}
"""The paper's four schemes."""


def smoothed(p: Tensor, share: float) -> Tensor:
    """Label smoothing (Szegedy et al., 2016): (1 − ε) p + ε / K. (B, K) -> (B, K)."""
    return p if share == 0 else (1 - share) * p + share / p.shape[1]


def cosine(cosines: Tensor, p: Tensor) -> Tensor:
    """1 − Σ_k p_k cos(v, w_k): with one-hot p the distance to the true word, with votes their mean distance.

    Args:
        cosines: (B, K), in [-1, 1].
        p: (B, K), rows sum to 1.

    Returns:
        A scalar in [0, 2], differentiable in the prediction; every sample of the batch counts once.

    >>> fertrain.losses.embedding_cosine(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])).item()
    0.5
    """
    return (1 - (p * cosines).sum(dim=1)).mean()
