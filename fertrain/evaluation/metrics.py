"""Metrics of a classifier on a split: accuracy from one confusion matrix, calibration, agreement with votes.

ECE = Σ_b n_b / n · |accuracy_b − confidence_b|     (Naeini et al., 2015; Guo et al., 2017, equation 3)
CE = −Σ p log q    KL = Σ p log (p / q) = CE − H(p)    JS = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q) / 2, in nats
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt


def confusion_matrix(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Count images by true class (row) and predicted class (column): (N,), (N,) -> (K, K)."""
    if truth.shape != predicted.shape:
        raise ValueError(f"expected as many predictions as labels, found {predicted.shape} and {truth.shape}")
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class Scores:
    """Scores of a confusion matrix, with the split and rule counted.

    >>> scores = Scores(np.array([[3, 1], [0, 4]]), ("sad", "happy"), "test", "majority")
    >>> scores.overall_accuracy, scores.average_accuracy
    (0.875, 0.875)
    """

    confusion: npt.NDArray[np.int64]
    """(K, K): true class by row, predicted by column."""
    labels: tuple[str, ...]
    """Class of each row."""
    split: str
    """Split, as `ferplus:valid`."""
    rule: str
    """Rule that selected its images."""

    def __post_init__(self) -> None:
        k = len(self.labels)
        if self.confusion.shape != (k, k):
            raise ValueError(f"expected a confusion matrix {(k, k)} for {k} labels, found {self.confusion.shape}")

    @property
    def n(self) -> int:
        """Images counted."""
        return int(self.confusion.sum())

    @property
    def overall_accuracy(self) -> float:
        """Share of images that are right."""
        return _share(int(np.trace(self.confusion)), self.n)

    @property
    def average_accuracy(self) -> float:
        """Mean of the class recalls, over the classes that have images."""
        recalls = [c["recall"] for c in self.per_class.values() if c["n"]]
        return float(np.mean(recalls)) if recalls else 0.0

    @cached_property
    def per_class(self) -> dict[str, dict[str, float]]:
        """n, recall, precision and F1 by class; 0 for a zero denominator."""
        rows, columns, right = self.confusion.sum(axis=1), self.confusion.sum(axis=0), np.diag(self.confusion)
        return {
            name: {
                "n": int(rows[k]),
                "recall": _share(right[k], rows[k]),
                "precision": _share(right[k], columns[k]),
                "f1": _share(2 * right[k], rows[k] + columns[k]),
            }
            for k, name in enumerate(self.labels)
        }

    def to_json(self) -> dict[str, Any]:
        """As metrics.json holds it."""
        return {
            "n": self.n,
            "overall_accuracy": self.overall_accuracy,
            "average_accuracy": self.average_accuracy,
            "per_class": self.per_class,
            "confusion": self.confusion.tolist(),
            "labels": list(self.labels),
            "split": self.split,
            "rule": self.rule,
        }

    def __str__(self) -> str:
        return (
            f"{self.overall_accuracy:.2%} overall, {self.average_accuracy:.2%} average "
            f"on {self.split}, rule {self.rule}, n = {self.n:,}"
        )


def scores_from(metrics: dict[str, Any]) -> Scores:
    """Scores from a metrics.json."""
    confusion = np.asarray(metrics["confusion"], dtype=np.int64)
    return Scores(confusion, tuple(metrics["labels"]), metrics["split"], metrics["rule"])


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0


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
    """Means over the images, as in metrics.json; `entropy` is the lower bound of the cross-entropy."""
    return {
        "cross_entropy": float(cross_entropy(votes, predicted).mean()),
        "kl": float(kl(votes, predicted).mean()),
        "jensen_shannon": float(jensen_shannon(votes, predicted).mean()),
        "entropy": float(entropy(votes).mean()),
    }
