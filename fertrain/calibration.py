"""How far a network's confidence can be believed: reliability bins and the expected calibration error.

ECE = Σ_b n_b / n · |accuracy_b − confidence_b|     (Naeini et al., 2015; Guo et al., 2017, equation 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 15
"""As in Guo et al."""


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width."""

    counts: npt.NDArray[np.int64]
    """Images in each bin; (B,)."""
    confidence: npt.NDArray[np.float64]
    """Mean probability of the predicted class, 0 in empty bins; (B,)."""
    accuracy: npt.NDArray[np.float64]
    """Share that is right, 0 in empty bins; (B,)."""

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1."""
        n = self.counts.sum()
        return float((self.counts * np.abs(self.accuracy - self.confidence)).sum() / n) if n else 0.0

    def to_json(self) -> dict[str, Any]:
        """As metrics.json holds it."""
        return {
            "ece": self.ece,
            "bins": [
                {"n": int(n), "confidence": round(float(c), 6), "accuracy": round(float(a), 6)}
                for n, c, a in zip(self.counts, self.confidence, self.accuracy, strict=True)
            ],
        }


def reliability(probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64], bins: int = BINS) -> Reliability:
    """Bins of predictions by their confidence.

    Args:
        probabilities: (N, K), rows sum to 1.
        truth: (N,).
        bins: equal parts of (0, 1]; a confidence on an edge belongs to the bin below it.

    >>> reliability(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])).ece
    0.4
    """
    confidence = probabilities.max(axis=1) if len(truth) else np.zeros(0)
    right = (probabilities.argmax(axis=1) == truth) if len(truth) else np.zeros(0, dtype=bool)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    safe = np.maximum(counts, 1)
    return Reliability(
        counts,
        np.bincount(place, weights=confidence, minlength=bins) / safe,
        np.bincount(place, weights=right.astype(np.float64), minlength=bins) / safe,
    )
