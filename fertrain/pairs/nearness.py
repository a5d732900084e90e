"""How agreement between faces depends on how far apart in time they are, and on who they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .purity import Chosen

Labels = npt.NDArray[np.integer]
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
