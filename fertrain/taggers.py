"""How many people must look at a face before their answer settles? The agreement study, by resampling votes.

Our definition: for each image the ten votes are an urn. k of them are drawn without replacement; their plurality
(ties broken by a fair draw) agrees if it is the plurality of all ten. Images whose ten votes tie for most are left
out, as they have no plurality to agree with. An agreement is the mean over images and draws.

The FERPlus paper reports 46 % with 3 taggers, 67 % with 5 and over 80 % with 7, and does not say of what. Ours is
not fitted to these numbers.

    votes: int (N, 10), columns as in `labels.ORDERS["ferplus-votes"]`, rows sum to about ten
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .datasets.rules import Votes

PUBLISHED = {3: 0.46, 5: 0.67, 7: 0.80}
"""The paper's numbers by taggers; its definition is not known."""


@dataclass(frozen=True)
class Agreement:
    """What k taggers are worth."""

    taggers: int
    """k."""
    agreement: float
    """Share of draws whose plurality is that of all votes."""
    images: int
    """Images with one plurality and at least k votes."""
    published: float | None
    """The paper's number for k, if it has one."""


def agreement(votes: Votes, taggers: int, draws: int = 20, seed: int = 0) -> Agreement:
    """Draw `taggers` votes of each image, `draws` times, and compare pluralities."""
    usable = votes[_settled(votes) & (votes.sum(axis=1) >= taggers)]
    truth = usable.argmax(axis=1)
    rng = np.random.default_rng([seed, 9, taggers])
    agreed = 0
    for _ in range(draws):
        drawn = _draw(usable, taggers, rng)
        # a number below one breaks ties fairly and changes nothing else
        agreed += int(((drawn + rng.random(drawn.shape) * 0.5).argmax(axis=1) == truth).sum())
    share = agreed / (draws * len(usable)) if len(usable) else float("nan")
    return Agreement(taggers, share, len(usable), PUBLISHED.get(taggers))


def one_against_nine(votes: Votes) -> tuple[float, int]:
    """The human baseline: one vote against the plurality of the others, exactly, over all ways to pick the one.

    Returns:
        Share that is right, and the images counted: those whose other votes have one plurality for every vote that
        can be taken away.
    """
    right, total, images = 0.0, 0.0, 0
    distinct, counts = np.unique(votes, axis=0, return_counts=True)
    for row, n in zip(distinct, counts, strict=True):
        if row.sum() < 2:
            continue
        share, weight = 0.0, 0.0
        for k in np.flatnonzero(row):
            others = row.copy()
            others[k] -= 1
            if (others == others.max()).sum() > 1:
                break
            weight += row[k]
            share += row[k] * (others.argmax() == k)
        else:
            right, total, images = right + n * share / row.sum(), total + n * weight / row.sum(), images + int(n)
    return (right / total if total else float("nan")), images


def dispute(votes: Votes) -> npt.NDArray[np.float64]:
    """How much taggers differ: entropy of each image's votes in bits; 0 where all say the same. (N, C) -> (N,)."""
    p = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1))


def _settled(votes: Votes) -> npt.NDArray[np.bool_]:
    """One column has the most votes; (N,)."""
    most = votes.max(axis=1, keepdims=True)
    return np.asarray(((votes == most).sum(axis=1) == 1) & (most[:, 0] > 0), dtype=np.bool_)


def _draw(votes: Votes, k: int, rng: np.random.Generator) -> Votes:
    """K votes of each row without replacement: column by column, each hypergeometric given those before."""
    drawn = np.zeros_like(votes)
    left, wanted = votes.sum(axis=1), np.full(len(votes), k)
    for column in range(votes.shape[1]):
        good = votes[:, column]
        drawn[:, column] = rng.hypergeometric(good, left - good, wanted)
        left, wanted = left - good, wanted - drawn[:, column]
    return drawn
