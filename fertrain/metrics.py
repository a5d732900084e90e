"""Accuracy and its relatives, all of them out of one confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt


def confusion_matrix(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Counts with the true class by row and the predicted one by column: (N,), (N,) -> (K, K)."""
    if truth.shape != predicted.shape:
        raise ValueError(f"expected as many predictions as labels, found {predicted.shape} and {truth.shape}")
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says, and which images it counted.

    >>> scores = Scores(np.array([[3, 1], [0, 4]]), ("sad", "happy"), "test", "majority")
    >>> scores.overall_accuracy, scores.average_accuracy
    (0.875, 0.875)
    """

    confusion: npt.NDArray[np.int64]
    """(K, K): true class by row, predicted by column."""
    labels: tuple[str, ...]
    """Class of each row."""
    split: str
    """Which split was counted, as `ferplus:valid`."""
    rule: str
    """Which rule kept its images."""

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
        """n, recall, precision and F1 by class; 0 where nothing was to be divided."""
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
    """The scores that a metrics.json holds."""
    confusion = np.asarray(metrics["confusion"], dtype=np.int64)
    return Scores(confusion, tuple(metrics["labels"]), metrics["split"], metrics["rule"])


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
