"""FERPlus rules: which images are kept, and their targets from ten people's votes (Barsoum et al., 2016).

Every rule is a pure function from a vote table to targets. Rows that it drops are all zero:

    votes:   int (N, 10), columns as in `labels.ORDERS["ferplus-votes"]`
    targets: float64 (N, 8), rows sum to 1, or to 0 where the rule drops the image

Counts kept on the released votes (train / valid / test): majority 25,060 / 3,199 / 3,153; distribution
27,956 / 3,505 / 3,505; multi 27,671 / 3,472 / 3,472; argmax 28,389 / 3,553 / 3,546.
Ties go to the class that comes first in the file, as in the authors' tools.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Votes = npt.NDArray[np.int64]
Targets = npt.NDArray[np.float64]

EMOTIONS = 8
"""The first eight columns are emotions, the last two are `unknown` and `nf` (no face)."""


def without_single_votes(votes: Votes) -> Votes:
    """Set single votes to 0: one tagger against nine counts as a slip. (N, 10) -> (N, 10)."""
    return np.where(votes == 1, 0, votes)


def majority(votes: Votes) -> Targets:
    """One-hot on the class that has more than half of all votes, if it is an emotion."""
    v = without_single_votes(votes)
    kept = (v.max(axis=1) > 0.5 * v.sum(axis=1)) & (v.argmax(axis=1) < EMOTIONS)
    return _one_hot(v.argmax(axis=1), kept)


def argmax(votes: Votes) -> Targets:
    """One-hot on the most voted class, if it is an emotion: what most papers after FERPlus report."""
    v = without_single_votes(votes)
    return _one_hot(v.argmax(axis=1), (v.sum(axis=1) > 0) & (v.argmax(axis=1) < EMOTIONS))


def multi(votes: Votes) -> Targets:
    """Classes with at least 0.3 of the votes, if they hold more than half of them together."""
    v = without_single_votes(votes)
    total = v.sum(axis=1)
    chosen = np.where(v >= 0.3 * total[:, None], v, 0)
    return _normalized(chosen, (total > 0) & (chosen.sum(axis=1) > 0.5 * total))


def distribution(votes: Votes) -> Targets:
    """Return the largest classes, taken until they hold 0.75 of the votes or there are three of them.

    Tied classes are taken together. `unknown` and `nf` stop the walk, and are removed again if an emotion came before
    them. Images are dropped if at most half of their votes were taken, or if a tie adds a fourth class.
    """
    # Only some 7,000 of 35,714 rows are distinct, and the rule is a slow walk: process each once.
    distinct, back = np.unique(without_single_votes(votes), axis=0, return_inverse=True)
    walked = np.stack([_walk(row) for row in distinct]) if len(distinct) else distinct
    chosen = walked[back.reshape(-1)]
    total = without_single_votes(votes).sum(axis=1)
    kept = (chosen.sum(axis=1) > 0.5 * total) & ((chosen > 0).sum(axis=1) <= 3)
    return _normalized(chosen, kept)


def _walk(row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the votes of one row (10,) that `distribution` keeps, the others 0."""
    left, chosen, total = row.copy(), np.zeros_like(row), row.sum()
    while row[left != row].sum() < 0.75 * total and (chosen > 0).sum() < 3:
        for k in np.flatnonzero(left == left.max()):
            if k >= EMOTIONS:
                if not chosen.any():
                    chosen[k] = row[k]
                return chosen
            chosen[k], left[k] = row[k], 0
    return chosen


RULES: dict[str, Callable[[Votes], Targets]] = {
    "majority": majority,
    "distribution": distribution,
    "multi": multi,
    "argmax": argmax,
}
"""Every rule by the name that reports use."""


def _one_hot(classes: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> Targets:
    targets = np.zeros((len(classes), EMOTIONS))
    rows = np.flatnonzero(kept)
    targets[rows, classes[rows]] = 1.0
    return targets


def _normalized(chosen: Votes, kept: npt.NDArray[np.bool_]) -> Targets:
    """Return shares among the chosen emotions; a row whose largest class is not an emotion is dropped."""
    emotions = chosen[:, :EMOTIONS].astype(np.float64)
    total = emotions.sum(axis=1)
    keep = kept & (chosen.argmax(axis=1) < EMOTIONS) & (total > 0)
    shares: Targets = np.divide(emotions, total[:, None], out=np.zeros_like(emotions), where=keep[:, None])
    return shares
