"""The held-out part that chooses the epoch: whole subjects, sequences, videos or pictures of the training images.

A held-out frame of a sequence that is also trained on rewards memorizing, so it would choose the wrong epoch.
Therefore groups are never split.

    group      the strongest group that the set names: subject, sequence, video; else picture (the default)
    picture    images with the same pixels
    name       images with the same name, as earlier versions did
    valid      no training images: the set's own split `valid` chooses the epoch
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from ..errors import UnknownNameError
from .base import Split
from .pictures import pixel_hashes
from .subsets import Rows, hold_out

GROUP, PICTURE, NAME, VALID = "group", "picture", "name", "valid"
WAYS = (GROUP, "subject", "sequence", "video", PICTURE, NAME, VALID)
"""Allowed values of `holdout_by`."""


def require_way(by: str) -> None:
    """Raise UnknownNameError for an unknown value of `holdout_by`."""
    if by not in WAYS:
        raise UnknownNameError("way of holding out", by, WAYS)


def hold_out_by(
    split: Split, share: float, seed: int, by: str = GROUP, progress: Progress = silent
) -> tuple[Rows, Rows, str]:
    """Split rows into those to learn from and those that only choose the epoch; also names the grouping used.

    Args:
        split: training images.
        share: share of each class to hold out, at least one image; whole groups may exceed it.
        seed: of the draw.
        by: one of `WAYS`, `valid` excepted.
        progress: progress callback.

    Raises:
        UsageError: the set does not name these groups.
    """
    require_way(by)
    if by == NAME:
        return *hold_out(split, share, seed), NAME
    if by == GROUP:
        # one subject cannot be split
        by = next((kind for kind, of in split.groups.items() if len(set(of)) > 1), PICTURE)
    if by == PICTURE:
        hashes = pixel_hashes(split.source, split.names, progress, "compare training images")
        groups: Sequence[str] = [digest or name for digest, name in zip(hashes, split.names, strict=True)]
    elif by in split.groups:
        groups = split.groups[by]
    else:
        known = ", ".join([*split.groups, PICTURE])
        raise UsageError(f"expected a grouping of {split.dataset} for holdout_by ({known}), found '{by}'")
    return *hold_out_groups(split, groups, share, seed), by


def hold_out_groups(split: Split, groups: Sequence[str], share: float, seed: int) -> tuple[Rows, Rows]:
    """Draw whole groups until every class reaches its share; no class is used up.

    Rare classes come first, because their groups also contain images of the others.
    """
    rng = np.random.default_rng([seed, 12])
    _, at = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    at = at.reshape(-1)
    counts = np.zeros((int(at.max(initial=-1)) + 1, len(split.order)), dtype=np.int64)
    np.add.at(counts, (at, split.classes), 1)
    whole = counts.sum(axis=0)
    left, taken = whole.copy(), np.zeros(len(counts), dtype=np.bool_)
    for k in np.argsort(whole, kind="stable"):
        wanted = max(round(share * int(whole[k])), 1) if whole[k] > 1 else 0
        for group in rng.permutation(np.flatnonzero(counts[:, k])):
            if whole[k] - left[k] >= wanted:
                break
            here = counts[group] > 0
            if not taken[group] and (left[here] > counts[group][here]).all():
                taken[group] = True
                left = left - counts[group]
    held = taken[at]
    return np.flatnonzero(~held), np.flatnonzero(held)
