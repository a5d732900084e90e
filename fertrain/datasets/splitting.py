"""Seeded splits for data sets that come without any: by class as papers count, or by subject.

A split by subject puts nobody on two sides. One by image measures, in part, how well faces are remembered; it is
here because papers report it, and has to be asked for by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .listed import Labelled

Parts = dict[str, list[Labelled]]


def by_subject(rows: Sequence[Labelled], subjects: Sequence[str], shares: tuple[float, float], seed: int = 0) -> Parts:
    """Whole people to each split.

    Args:
        rows: the images.
        subjects: who each shows; as long as `rows`.
        shares: of the *people* that go to valid and to test, rounded, one at least; the rest is train.
        seed: of the draw.
    """
    people = sorted(set(subjects))
    np.random.default_rng([seed, 7]).shuffle(people)
    valid, test = (max(1, round(share * len(people))) if len(people) > 2 else 0 for share in shares)
    side = {p: "test" if i < test else "valid" if i < test + valid else "train" for i, p in enumerate(people)}
    parts: Parts = {"train": [], "valid": [], "test": []}
    for row, person in zip(rows, subjects, strict=True):
        parts[side[person]].append(row)
    return parts


def by_class(rows: Sequence[Labelled], valid: float, test: int | float, seed: int = 0) -> Parts:
    """The same number, or the same share, of every class to each split; people may be on both sides.

    Args:
        rows: the images.
        valid: share of each class.
        test: images of each class, or a share of it; never more than a third of a class.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 8])
    side = ["train"] * len(rows)
    classes = np.asarray([k for _, k in rows], dtype=np.int64)
    for k in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == k))
        wanted = round(test * len(members)) if isinstance(test, float) else test
        n_test = min(wanted, len(members) // 3)
        n_valid = min(round(valid * len(members)), len(members) - n_test - 1)
        for i in members[:n_test]:
            side[i] = "test"
        for i in members[n_test : n_test + n_valid]:
            side[i] = "valid"
    parts: Parts = {"train": [], "valid": [], "test": []}
    for row, part in zip(rows, side, strict=True):
        parts[part].append(row)
    return parts
