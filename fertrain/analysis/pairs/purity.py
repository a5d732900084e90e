"""Purity of candidates where the truth is known, and agreement between faces by distance in time and by person.

    purity(P) = mean over anchors of |{j ∈ P : e_j = e_anchor}| / |P|
    purity(N) = mean over anchors of |{j ∈ N : e_j ≠ e_anchor}| / |N|

Refinement (RMFER, section 4.2) promises purity(P_imp) > purity(P) and purity(N_imp) > purity(N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ...losses.rmfer import cosines, refine

Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Chosen:
    """An anchor's candidates, and those of them that refinement keeps; all are rows of one data set."""

    anchor: int
    positives: Rows
    """P."""
    negatives: Rows
    """N."""
    positives_imp: Rows
    """P_imp, most similar first."""
    negatives_imp: Rows
    """N_imp, least similar first."""


@dataclass(frozen=True)
class Purity:
    """Shares between 0 and 1."""

    p: float
    """Of P."""
    p_imp: float
    """Of P_imp."""
    p_chance: float
    """Of the same people at any moment: what P is worth if no one follows the film."""
    n: float
    """Of N."""
    n_imp: float
    """Of N_imp."""
    n_chance: float
    """Of the anchor's person at any moment."""
    anchors: int
    """Number of anchors counted."""


def chosen(projected: Tensor, anchor: int, positives: Rows, negatives: Rows, gamma: float) -> Chosen:
    """Refine one anchor's candidates.

    Args:
        projected: (n, E), z of every row.
        anchor: row.
        positives: (p,) rows, at least one.
        negatives: (q,) rows, at least one.
        gamma: share that is kept.
    """
    p, q = cosines(projected[anchor], projected[positives]), cosines(projected[anchor], projected[negatives])
    nearest, farthest = refine(p, gamma, most_similar=True), refine(q, gamma, most_similar=False)
    return Chosen(anchor, positives, negatives, positives[nearest.numpy()], negatives[farthest.numpy()])


def purity(found: Sequence[Chosen], expression: Labels, video: Labels, person: Labels) -> Purity:
    """Mean purity of many anchors' candidates.

    Args:
        found: anchors with their candidates.
        expression: (n,) what each row shows; -1 where that is not known.
        video: (n,) where.
        person: (n,) who, within the video.
    """
    known = [c for c in found if expression[c.anchor] >= 0]
    if not known:
        nan = float("nan")
        return Purity(nan, nan, nan, nan, nan, nan, 0)
    common = _Common(expression, video, person)
    rows = []
    for c in known:
        e = expression[c.anchor]
        others, own = common.shares(c.anchor)
        rows.append([
            _share(expression[c.positives] == e), _share(expression[c.positives_imp] == e), others,
            _share(expression[c.negatives] != e), _share(expression[c.negatives_imp] != e), 1 - own,
        ])  # fmt: skip
    p, p_imp, p_chance, n, n_imp, n_chance = (float(v) for v in np.mean(rows, axis=0))
    return Purity(p, p_imp, p_chance, n, n_imp, n_chance, len(known))


class _Common:
    """Frequency of an anchor's expression among other people of its video, and in its own person."""

    def __init__(self, expression: Labels, video: Labels, person: Labels) -> None:
        self._expression, self._video = expression, video
        self._track = video.astype(np.int64) << 16 | person.astype(np.int64)
        classes = int(expression.max(initial=0)) + 1
        known = expression >= 0
        tracks = np.unique(self._track)
        # searched for: np.unique's own inverse would sort every crop, and there may be tens of millions
        of = np.searchsorted(tracks, self._track)
        self._of = of
        self._count = np.zeros((len(tracks), classes), np.int64)
        np.add.at(self._count, (of[known], expression[known]), 1)
        self._video_of = np.zeros(len(tracks), np.int64)
        self._video_of[of] = video
        self._total = np.zeros((int(video.max(initial=0)) + 1, classes), np.int64)
        np.add.at(self._total, self._video_of, self._count)

    def shares(self, row: int) -> tuple[float, float]:
        """(among the others of the video, in the person's own faces)."""
        e, own = int(self._expression[row]), self._count[self._of[row]]
        others = self._total[int(self._video[row])] - own
        return float(others[e] / max(1, others.sum())), float(own[e] / max(1, own.sum()))


def _share(right: npt.NDArray[np.bool_]) -> float:
    return float(right.mean())


Steps = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """Agreement within one bin."""

    low: float
    """Smallest |t − T| of the bin, steps."""
    high: float
    """Largest, included."""
    pairs: int
    """Anchor and candidate."""
    agree: float
    """Share that show the same; NaN without pairs."""


def by_distance(found: Sequence[Chosen], kind: str, shown: Labels, step: Steps, edges: Sequence[float]) -> list[Share]:
    """Agreement of anchors and candidates by |t − T|.

    Args:
        found: anchors with their candidates.
        kind: which of them: `positives`, `negatives`, `positives_imp`, `negatives_imp`.
        shown: (n,) class of each row; -1 where that is not known.
        step: (n,) time of each row, steps.
        edges: bins (edges[i], edges[i + 1]]; the first one includes its lower edge.
    """
    distances, same = [np.empty(0)], [np.empty(0, np.bool_)]
    for c in found:
        rows = getattr(c, kind)
        rows = rows[shown[rows] >= 0] if shown[c.anchor] >= 0 else rows[:0]
        distances.append(np.abs(step[rows] - step[c.anchor]))
        same.append(shown[rows] == shown[c.anchor])
    distance, agree = np.concatenate(distances), np.concatenate(same)
    bins = []
    for i, (low, high) in enumerate(pairwise(edges)):
        here = (distance <= high) & ((distance >= low) if i == 0 else (distance > low))
        n = int(here.sum())
        bins.append(Share(low, high, n, float(agree[here].mean()) if n else float("nan")))
    return bins


def by_pair(found: Sequence[Chosen], shown: Labels, video: Labels, person: Labels) -> dict[tuple[int, int, int], Share]:
    """Agreement of anchors and their positives for each two people: (video, a, b) with a < b."""
    counts: dict[tuple[int, int, int], list[int]] = {}
    for c in found:
        own = int(person[c.anchor])
        for row in c.positives:
            if min(shown[row], shown[c.anchor]) >= 0:
                a, b = sorted((own, int(person[row])))
                entry = counts.setdefault((int(video[c.anchor]), a, b), [0, 0])
                entry[0] += 1
                entry[1] += int(shown[row] == shown[c.anchor])
    return {key: Share(0, float("inf"), n, same / n) for key, (n, same) in sorted(counts.items())}
