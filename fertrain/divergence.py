"""How near predictions come to what ten people voted: cross-entropy, KL and Jensen-Shannon divergence, in nats.

CE = −Σ p log q    KL = Σ p log (p / q) = CE − H(p)    JS = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q) / 2
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Shares = npt.NDArray[np.float64]
_LEAST = 1e-12


def cross_entropy(p: Shares, q: Shares) -> Shares:
    """(N, K), (N, K) -> (N,); q is kept above 1e-12."""
    return np.asarray(-(p * np.log(np.maximum(q, _LEAST))).sum(axis=1))


def entropy(p: Shares) -> Shares:
    """H(p), (N, K) -> (N,); 0 log 0 = 0."""
    return cross_entropy(p, p)


def kl(p: Shares, q: Shares) -> Shares:
    """KL(p ‖ q) >= 0, (N,)."""
    return np.maximum(cross_entropy(p, q) - entropy(p), 0.0)


def jensen_shannon(p: Shares, q: Shares) -> Shares:
    """Symmetric, 0 to log 2, (N,)."""
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def agreement(votes: Shares, predicted: Shares) -> dict[str, float]:
    """Means over the images, as metrics.json holds them; `entropy` is the least that the cross-entropy can be."""
    return {
        "cross_entropy": float(cross_entropy(votes, predicted).mean()),
        "kl": float(kl(votes, predicted).mean()),
        "jensen_shannon": float(jensen_shannon(votes, predicted).mean()),
        "entropy": float(entropy(votes).mean()),
    }
