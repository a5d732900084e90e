"""Protocols for sets that name the subject: k folds of subjects, or leave-one-subject-out.

A fold is written `3/10` (the third of ten) or `3/subjects` (the third subject, by name). Its subjects are the split
`test`; all others are `train`, from which whole subjects are held out. The set's own splits are pooled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rmset.errors import UsageError

from ..labels import LabelOrder
from .base import Issue, LabeledSet, Split, require_split
from .people import pooled

SUBJECTS = "subjects"


def folds_of(data: LabeledSet, wanted: str) -> list[str]:
    """Return every fold of a protocol: `10` gives "1/10" … "10/10", `subjects` one per subject.

    Raises:
        UsageError: the set does not name its subjects, or has fewer subjects than folds.
    """
    people = len(_subjects(_pooled(data)))
    n = people if wanted == SUBJECTS else int(wanted) if wanted.isdecimal() else 0
    if not 2 <= n <= people:
        raise UsageError(f"expected 2 to {people} folds (subjects of {data.name}), or '{SUBJECTS}', found '{wanted}'")
    return [f"{k}/{wanted}" for k in range(1, n + 1)]


def fold_of(data: LabeledSet, fold: str | None) -> LabeledSet:
    """Return the set with the splits of one fold; unchanged if no fold is given."""
    return data if fold is None else Folded(data, fold)


class Folded:
    """A set whose split `test` is the subjects of one fold, and whose `train` are all others."""

    def __init__(self, inner: LabeledSet, fold: str) -> None:
        found = re.fullmatch(rf"([1-9]\d*)/([1-9]\d*|{SUBJECTS})", fold)
        if found is None or fold not in folds_of(inner, found[2]):
            raise UsageError(f"expected a fold like 3/10 or 3/{SUBJECTS} of {inner.name}, found '{fold}'")
        self.inner, self.name, self.order = inner, inner.name, inner.order
        self._whole = _pooled(inner)
        self.subjects = _of_fold(_subjects(self._whole), int(found[1]), found[2])

    order: LabelOrder

    def splits(self) -> list[str]:
        """Train and test."""
        return ["train", "test"]

    def rules(self) -> list[str]:
        """Return the rules of the whole set."""
        return self.inner.rules()

    def load(self, split: str, rule: str) -> Split:  # noqa: ARG002
        """Return images of the fold's subjects, or of all others."""
        require_split(self, split)
        inside = np.isin(np.asarray(self._whole.groups["subject"]), self.subjects)
        rows = np.flatnonzero(inside if split == "test" else ~inside)
        return replace(self._whole.take(rows), split=split)

    def findings(self) -> list[Issue]:
        """Return the findings of the whole set."""
        return self.inner.findings()


def _pooled(data: LabeledSet) -> Split:
    """All images of a set, sorted by name, grouped by subject alone."""
    whole = pooled(data, "folds")
    return replace(whole, split=data.splits()[0], groups={"subject": whole.groups["subject"]})


def _subjects(whole: Split) -> list[str]:
    return sorted(set(whole.groups["subject"]))


def _of_fold(people: Sequence[str], k: int, of: str) -> list[str]:
    """Return the subjects of fold `k`: dealt out after one fixed shuffle, the same for every fold and run."""
    if of == SUBJECTS:
        return [people[k - 1]]
    dealt = np.random.default_rng(0).permutation(np.asarray(people, dtype=np.str_)).tolist()
    return sorted(dealt[k - 1 :: int(of)])
