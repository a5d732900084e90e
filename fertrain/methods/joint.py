"""One pass of several sets of images through a network, and the features of the whole batch in every process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .. import ranks
from ..models.classifier import Classifier


def joint(
    network: Callable[[Tensor], Tensor], *parts: Tensor, totals: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    """Pass several sets of images together, so that batch normalization sees them as one batch.

    In separate passes, each set would be normalized by its own statistics, and the last set would dominate the running
    statistics used at test. Most authors of these methods interleave or concatenate; Ada-CM's use separate passes.

    Args:
        network: (n, C, S, S) -> (n, D), without layers of its own that look at the whole batch.
        parts: images; with several processes this one's share of each.
        totals: images of each whole part; default: every process has as many as this one.

    Returns:
        The features of each whole part, differentiable.
    """
    found = network(torch.cat(parts))
    return ranks.gathered(torch.split(found, [len(part) for part in parts]), totals)


def joint_features(model: Classifier, *parts: Tensor, totals: Sequence[int] | None = None) -> tuple[Tensor, ...]:
    """Features of each whole part, (n, D), from one pass of f_Feat."""
    return joint(model.features, *parts, totals=totals)
