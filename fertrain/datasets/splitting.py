"""Seeded splits for data sets that come without any: by class as papers count, or by subject.

A split by subject puts nobody on two sides. One by image measures, in part, how well faces are remembered; it is
here because papers report it, and has to be asked for by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
        valid: share of all images, spread over the classes by their sizes.
        test: images of each class, or a share of it; a third of a class that has less than twice as many.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 8])
    side = ["train"] * len(rows)
    classes = np.asarray([k for _, k in rows], dtype=np.int64)
    names, sizes = np.unique(classes, return_counts=True)
    for k, size, wanted_valid in zip(names, sizes.tolist(), _spread(valid * sizes), strict=True):
        members = rng.permutation(np.flatnonzero(classes == k))
        wanted = round(test * size) if isinstance(test, float) else test
        n_test = wanted if size >= 2 * wanted else size // 3
        n_valid = min(wanted_valid, size - n_test - 1)
        for i in members[:n_test]:
            side[i] = "test"
        for i in members[n_test : n_test + n_valid]:
            side[i] = "valid"
    parts: Parts = {"train": [], "valid": [], "test": []}
    for row, part in zip(rows, side, strict=True):
        parts[part].append(row)
    return parts


def _spread(wanted: npt.NDArray[np.floating]) -> list[int]:
    """Whole numbers near those wanted, whose sum is theirs, rounded: the largest remainders are rounded up."""
    whole = np.floor(wanted).astype(np.int64)
    left = round(float(wanted.sum())) - int(whole.sum())
    whole[np.argsort(whole - wanted, kind="stable")[:left]] += 1
    return [int(n) for n in whole]
