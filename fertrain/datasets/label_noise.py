"""Wrong labels on purpose, as papers on noisy labels make them: `symmetric:0.2`, `confusion:0.2`.

    symmetric   the new class is any other, all equally likely
    confusion   the new class is drawn from what annotators also called such images: the other classes' mean share of
                the votes, over the training images of the old class; or a run's confusion matrix

Exactly the given share of the images is changed. The images of a smaller share are among those of a larger one of the
same seed. An image's distribution changes by exchanging the shares of both classes, which moves a plain label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.bounded import parse_json, read_text
from rmset.errors import UsageError

from ..errors import DatasetError
from .base import Split

KINDS = ("symmetric", "confusion")
_FORM = "symmetric:0.2, confusion:0.2 or confusion:0.2:RUN"


@dataclass(frozen=True)
class LabelNoise:
    """A kind of wrong labels and their share."""

    kind: str
    """`symmetric` or `confusion`."""
    share: float
    """Share of the training images that get a wrong label."""
    run: Path | None = None
    """For `confusion`: the run whose confusion matrix is used; None: the votes."""

    def applied(self, split: Split, seed: int) -> tuple[Split, dict[str, Any]]:
        """Return the split with wrong labels, and what config.toml records of them.

        Raises:
            DatasetError: `confusion` on a set without votes, or a run of other classes.
        """
        rng = np.random.default_rng([seed, 6])
        rows = rng.permutation(len(split))[: round(self.share * len(split))]
        u = rng.random(len(split))[rows]
        old = split.classes[rows]
        edges = np.cumsum(self._probabilities(split), axis=1)[old]
        # scaled by the last edge, because the sums are not exactly 1
        new = np.asarray((u[:, None] * edges[:, -1:] >= edges).sum(axis=1), dtype=np.int64)
        targets = split.targets.copy()
        targets[rows, old], targets[rows, new] = split.targets[rows, new], split.targets[rows, old]
        record: dict[str, Any] = {
            "kind": self.kind, "share": self.share, "changed": len(rows), "clean_sha256": split.sha256(),
        }  # fmt: skip
        if self.run is not None:
            record["confusion_of"] = str(self.run)
        return replace(split, targets=targets), record

    def _probabilities(self, split: Split) -> npt.NDArray[np.float64]:
        """P(new class | old class), rows of (C, C) with a diagonal of 0."""
        n = len(split.order)
        even = np.ones((n, n))
        found = even if self.kind == "symmetric" else confused(split) if self.run is None else _of_run(self.run, split)
        found = found * (1 - np.eye(n))
        # a class that is never confused: any other
        found = np.where(found.sum(axis=1, keepdims=True) > 0, found, even * (1 - np.eye(n)))
        return np.asarray(found / found.sum(axis=1, keepdims=True))


def parse(text: str) -> LabelNoise:
    """Read `symmetric:0.2`, `confusion:0.2` or `confusion:0.2:RUN`.

    Raises:
        UsageError: another form, or a share that is not between 0 and 1.
    """
    kind, _, rest = text.partition(":")
    number, _, run = rest.partition(":")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if kind not in KINDS or not 0 < share < 1 or (run and kind != "confusion"):
        raise UsageError(f"expected {_FORM} for `data.label_noise`, found '{text}'")
    return LabelNoise(kind, share, Path(run) if run else None)


def confused(split: Split) -> npt.NDArray[np.float64]:
    """Mean share of the votes for each class, by the class with the largest share: (C, C).

    Raises:
        DatasetError: the set has one label per image.
    """
    if split.shares is None:
        raise DatasetError(
            f"expected votes for `data.label_noise='confusion'`, found one label per image in {split.dataset}; add a "
            "run whose confusion matrix to use, as confusion:0.2:RUN"
        )
    n = len(split.order)
    sums = np.zeros((n, n))
    np.add.at(sums, split.classes, split.shares.astype(np.float64))
    return sums


def _of_run(run: Path, split: Split) -> npt.NDArray[np.float64]:
    path = run / "metrics.json"
    if not path.is_file():
        raise DatasetError(f"expected a finished run for `data.label_noise`, found no metrics.json in {run}")
    values = parse_json(read_text(path), str(path))
    labels = values.get("labels") if isinstance(values, dict) else None
    if labels != list(split.order.classes):
        raise DatasetError(
            f"expected a run of the classes {', '.join(split.order.classes)} for `data.label_noise`, found {labels} in "
            f"{path}"
        )
    try:
        matrix = np.asarray(values["confusion"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (len(labels), len(labels)) or not (matrix >= 0).all() or not np.isfinite(matrix).all():
        raise DatasetError(f"expected counts of {len(labels)} × {len(labels)} classes as confusion in {path}")
    return matrix
