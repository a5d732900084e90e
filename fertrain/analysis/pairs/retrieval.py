"""Retrieval by features: the same expression in other people, or the same person in other expressions.

    expression   query: a face; gallery: all faces of *other* people; relevant: those of its expression
    identity     query: a face; gallery: all faces of *other* expressions; relevant: those of its person

Contrast between reacting people should raise the first and lower the second. Neighbors are by cosine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Labels = npt.NDArray[np.integer]
_BLOCK = 256


@dataclass(frozen=True)
class Retrieval:
    """Scores of retrieval."""

    recall_at_1: float
    """Share of the queries whose nearest face of the gallery is relevant; NaN without queries."""
    mean_ap: float
    """Mean over the queries of average precision: precision at each relevant face, averaged; NaN without queries."""
    chance: float
    """Recall@1 of neighbors drawn at random: the mean share of relevant faces."""
    queries: int
    """Number of faces with a relevant face in their gallery; others are no queries."""


def same_expression(features: Tensor, expression: Labels, person: Labels) -> Retrieval:
    """Measure retrieval of the same expression in other people.

    Args:
        features: (n, D).
        expression: (n,) class of each face.
        person: (n,) identity of each face, over all videos.
    """
    return _retrieve(features, relevant=expression, gallery_differs_in=person)


def same_person(features: Tensor, expression: Labels, person: Labels) -> Retrieval:
    """Measure retrieval of the same person in other expressions: how much identity is left in the features."""
    return _retrieve(features, relevant=person, gallery_differs_in=expression)


def average_precision(relevant: Tensor) -> Tensor:
    """Of rankings (q, n), nearest first, True where relevant: (q,); NaN for a ranking without anything relevant."""
    hits = relevant.double()
    precision = hits.cumsum(dim=1) / torch.arange(1, hits.shape[1] + 1, device=hits.device)
    return (precision * hits).sum(dim=1) / hits.sum(dim=1)


def _retrieve(features: Tensor, *, relevant: Labels, gallery_differs_in: Labels) -> Retrieval:
    unit = F.normalize(features.float(), dim=1)
    wanted, other = torch.as_tensor(relevant), torch.as_tensor(gallery_differs_in)
    first: list[Tensor] = []
    precision: list[Tensor] = []
    chance: list[Tensor] = []
    for start in range(0, len(unit), _BLOCK):
        rows = slice(start, start + _BLOCK)
        gallery = other[rows, None] != other[None]
        hits = (wanted[rows, None] == wanted[None]) & gallery
        asks = hits.any(dim=1)
        if not asks.any():
            continue
        similar = (unit[rows] @ unit.T).masked_fill(~gallery, -math.inf)[asks]
        order = similar.argsort(dim=1, descending=True, stable=True)
        # those outside the gallery stand last, where they are relevant to nothing
        ranked = hits[asks].gather(1, order)
        first.append(ranked[:, 0].double())
        precision.append(average_precision(ranked))
        chance.append(hits[asks].sum(dim=1).double() / gallery[asks].sum(dim=1))
    if not first:
        return Retrieval(math.nan, math.nan, math.nan, 0)
    found = torch.cat(first)
    return Retrieval(
        float(found.mean()), float(torch.cat(precision).mean()), float(torch.cat(chance).mean()), len(found)
    )


def table(features: Tensor, projected: Tensor, expression: Labels, person: Labels) -> list[dict[str, object]]:
    """Both questions to f, and the first one to z too, as rows of a table."""
    asked = {
        "expression in other people, f": same_expression(features, expression, person),
        "expression in other people, z": same_expression(projected, expression, person),
        "person in other expressions, f": same_person(features, expression, person),
    }
    return [
        {"looked for": what, "recall_at_1": r.recall_at_1, "mean_ap": r.mean_ap, "chance": r.chance,
         "queries": r.queries}
        for what, r in asked.items()
    ]  # fmt: skip


def balanced(expression: Labels, person: Labels, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of a sample with at most `most` faces of each person and expression, ascending.

    Without it neutral faces, the commonest, would be most of queries and gallery.
    """
    rng = np.random.default_rng([seed, 13])
    kept: list[npt.NDArray[np.int64]] = []
    for who in np.unique(person):
        for k in np.unique(expression[person == who]):
            rows = np.flatnonzero((person == who) & (expression == k))
            kept.append(rng.permutation(rows)[:most])
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)
