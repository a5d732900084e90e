"""Linear probe and nearest neighbors: how well a run's frozen features classify any labeled set.

features of train (f, or z of the projection) → standardized → logistic regression, C chosen on a part held out by group
                                              → k nearest by cosine, weighted by similarity
both evaluated once on the reported split
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from ..datasets.base import GIVEN, LabeledSet, Split
from ..datasets.holdout import hold_out_by
from ..datasets.registry import images_of, open_labeled, open_split, reported
from ..models.inference import channel_stats
from .features import OpenedRun, extract, open_run
from .metrics import Scores, confusion_matrix

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Candidates for C, the inverse strength of the probe's L2 penalty."""
_TEMPERATURE = 0.07

Features = npt.NDArray[np.float64]


def probe(
    path: Path, on: str, *, k: int = 20, rule: str = "majority", seed: int = 0, progress: Progress = silent
) -> list[dict[str, Any]]:
    """Return one row per probe: images learned from, images counted, and both accuracies.

    Args:
        path: a run folder.
        on: a labeled set by name; the probes train on its split `train`.
        k: neighbors.
        rule: rule that selects images by votes.
        seed: of the part that chooses C.
        progress: progress callback.

    Raises:
        UsageError: the set has no split to report besides `train`.
    """
    run = open_run(path)
    data = open_labeled(on)
    name = reported(data, None)
    if name is None:
        raise UsageError(f"expected a split test or valid of {on} to count on, found train alone")
    used = rule if rule in data.rules() else data.rules()[0]
    train, test = data.load("train", GIVEN if data.rules() == [GIVEN] else used), open_split(data, name, rule)
    if k < 1 or k > len(train):
        raise UsageError(f"expected 1 to {len(train)} neighbors, found {k}")
    a, b = (_features(run, split, progress) for split in (train, test))
    learn, held, by = hold_out_by(train, 0.1, seed)
    strength, linear = _linear(a, train.classes, b, learn, held)
    nearest = _nearest(a, train.classes, b, min(k, len(train)), len(data.order))
    common = {"run": str(path), "learned_on": f"{on}:train", "images": len(train)}
    return [
        {
            **common,
            "probe": f"linear, C {strength:g} chosen on a tenth held out by {by}",
            **_scored(data, test, linear),
        },
        {**common, "probe": f"{k} nearest by cosine", **_scored(data, test, nearest)},
    ]


def _features(run: OpenedRun, split: Split, progress: Progress) -> Features:
    """Features f of every image, (N, D), normalized by the set's own mean and std, as for unlabeled streams."""
    images = images_of(split, run.spec)
    spec = run.spec.with_moments(channel_stats(images, run.spec))
    found = extract(run.model, run.projection, images, spec, range(len(split)), progress=progress)
    return np.asarray(found.features.numpy(), dtype=np.float64)


def _linear(
    a: Features, classes: npt.NDArray[np.int64], b: Features, learn: npt.NDArray[np.int64], held: npt.NDArray[np.int64]
) -> tuple[float, npt.NDArray[np.int64]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    def fitted(rows: npt.NDArray[np.int64], strength: float) -> Any:
        with warnings.catch_warnings():
            # a probe that has not converged is good enough
            warnings.simplefilter("ignore")
            return LogisticRegression(C=strength, max_iter=300).fit(scaled[rows], classes[rows])

    scaler = StandardScaler().fit(a)
    scaled = scaler.transform(a)
    every = np.arange(len(a))
    strength = STRENGTHS[-1]
    if len(held) and len(set(classes[learn].tolist())) > 1:
        judged = {c: float((fitted(learn, c).predict(scaled[held]) == classes[held]).mean()) for c in STRENGTHS}
        strength = max(STRENGTHS, key=lambda c: judged[c])
    return strength, np.asarray(fitted(every, strength).predict(scaler.transform(b)), dtype=np.int64)


def _nearest(a: Features, classes: npt.NDArray[np.int64], b: Features, k: int, n: int) -> npt.NDArray[np.int64]:
    """Votes of the k most similar training images, weighted by exp(cosine / 0.07) (Wu et al., 2018)."""
    unit_a, unit_b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    out = np.zeros(len(b), dtype=np.int64)
    for start in range(0, len(b), 1024):
        similar = unit_b[start : start + 1024] @ unit_a.T
        near = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        weights = np.exp((np.take_along_axis(similar, near, axis=1) - 1) / _TEMPERATURE)
        votes = np.zeros((len(similar), n))
        for column in range(k):
            np.add.at(votes, (np.arange(len(similar)), classes[near[:, column]]), weights[:, column])
        out[start : start + 1024] = votes.argmax(axis=1)
    return out


def _scored(data: LabeledSet, test: Split, predicted: npt.NDArray[np.int64]) -> dict[str, Any]:
    matrix = confusion_matrix(test.classes, predicted, len(data.order))
    scores = Scores(matrix, test.order.classes, f"{test.dataset}:{test.split}", test.rule)
    return {
        "on": scores.split, "rule": scores.rule, "n": scores.n, "overall_accuracy": scores.overall_accuracy,
        "average_accuracy": scores.average_accuracy,
    }  # fmt: skip
