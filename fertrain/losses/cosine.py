"""Learning word vectors of labels: 1 − cos(prediction, vector of the true class), averaged over the batch."""

from __future__ import annotations

from torch import Tensor


def cosine(cosines: Tensor, p: Tensor) -> Tensor:
    """1 − Σ_k p_k cos(v, w_k): with one-hot p the distance to the true word, with votes their mean distance.

    Args:
        cosines: (B, K), in [-1, 1].
        p: (B, K), rows sum to 1.

    Returns:
        A scalar in [0, 2], differentiable in the prediction; every sample of the batch counts once.
    """
    return (1 - (p * cosines).sum(dim=1)).mean()
