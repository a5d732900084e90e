"""Subsets of a split: seeded label budgets, the held-out part, and fewer classes by name."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, LabelError
from ..files import whole
from ..labels import LabelOrder, canonical, order_of
from .base import Issue, LabeledSet, Split
from .label_table import table_text

Rows = npt.NDArray[np.int64]


def shares(available: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """Rows per class for a budget, as even as possible. (C,) -> (C,).

    A class smaller than its share is taken whole, and the others make up for it.
    """
    level = 0
    while np.minimum(available, level + 1).sum() <= budget and level < available.max(initial=0):
        level += 1
    given = np.minimum(available, level)
    # the remainder is less than one per class: the first classes with rows left give it
    more = np.flatnonzero(available > level)[: budget - int(given.sum())]
    given[more] += 1
    return given


def class_aware(split: Split, budget: int, seed: int) -> Rows:
    """Draw `budget` rows of a split, evenly over its classes, sorted; the same seed gives the same rows."""
    if not 0 < budget <= len(split):
        raise DatasetError(
            f"expected a label budget from 1 to {len(split)} (training images of {split.dataset}, "
            f"rule {split.rule}), found {budget}"
        )
    rng = np.random.default_rng([seed, 1])
    classes = split.classes
    per_class = shares(np.bincount(classes, minlength=len(split.order)), budget)
    chosen = [rng.permutation(np.flatnonzero(classes == k))[:n] for k, n in enumerate(per_class)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def hold_out(split: Split, share: float, seed: int) -> tuple[Rows, Rows]:
    """Split rows into those to learn from and those that choose the epoch, the same share of each class (at least one).

    Rows with equal names stay on one side.
    """
    rng = np.random.default_rng([seed, 2])
    classes = split.classes
    held_names: set[str] = set()
    for k in range(len(split.order)):
        rows = rng.permutation(np.flatnonzero(classes == k))
        # at least one: with few labels a tenth of a class rounds to zero
        n = max(round(share * len(rows)), 1) if len(rows) > 1 else 0
        held_names.update(split.names[i] for i in rows[:n])
    held = np.asarray([name in held_names for name in split.names], dtype=np.bool_)
    return np.flatnonzero(~held), np.flatnonzero(held)


def write_index(split: Split, path: Path) -> None:
    """Write name and class of every row."""
    with whole(path) as part:
        part.write_bytes(_index_bytes(split))


def index_hash(split: Split) -> str:
    """Return the sha256 of the file that `write_index` writes; it identifies the subset."""
    return hashlib.sha256(_index_bytes(split)).hexdigest()


def _index_bytes(split: Split) -> bytes:
    table = io.StringIO()
    table.write(f"# {split.dataset} {split.split} {split.rule}\n# {len(split)} images\n")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["name", "class"])
    writer.writerows((name, split.order.classes[k]) for name, k in zip(split.names, split.classes, strict=True))
    return table.getvalue().encode()


def named_in(path: Path) -> list[str]:
    """Return the names of an index file, in its order."""
    return [row["name"] for row in _index(path)]


def _index(path: Path) -> list[dict[str, str]]:
    """Return the rows of an index file: `name`, and `class` if a run wrote it.

    Raises:
        DatasetError: no such file, no names, or a number of images that differs from its header.
    """
    if not path.is_file():
        raise DatasetError(f"expected an index file (labels.csv of an earlier run), found none at {path}")
    with table_text(path) as file:
        lines = file.readlines()
    # only at the top: further down, an image name may begin with #
    head = list(takewhile(lambda line: line.startswith("#"), lines))
    rows = list(csv.DictReader(lines[len(head) :]))
    if not rows or "name" not in rows[0]:
        found = ", ".join(rows[0]) if rows else "no rows"
        raise DatasetError(f"expected an index file with the column name at {path}, found {found}")
    counted = [int(m[1]) for line in head if (m := re.fullmatch(r"# (\d+) images\s*", line))]
    if counted and counted[0] != len(rows):
        raise DatasetError(
            f"expected {counted[0]} images in {path}, as its head says, found {len(rows)}; take the file as the run "
            "wrote it, or take that line out"
        )
    return rows


def read_index(split: Split, path: Path) -> Rows:
    """Return the rows of a split that an index file names.

    Raises:
        DatasetError: it names images that the split lacks, or has under another class.
    """
    listed = _index(path)
    wanted = [row["name"] for row in listed]
    rows: dict[str, list[int]] = {}
    for i, name in reversed(list(enumerate(split.names))):
        rows.setdefault(name, []).append(i)
    # A name that occurs on two rows is written twice and read twice.
    found = [rows[name].pop() if rows.get(name) else -1 for name in wanted]
    missing = [name for name, row in zip(wanted, found, strict=True) if row < 0]
    if missing:
        raise DatasetError(
            f"expected images of {split.dataset} {split.split} under rule {split.rule} in {path}, "
            f"found {len(missing)} others, first {missing[0]}; give the rule that wrote the file"
        )
    # several where a scheme gives equal shares (ML)
    peaks = split.targets[found] == split.targets[found].max(axis=1, keepdims=True)
    classes = [[c for c, top in zip(split.order.classes, row, strict=True) if top] for row in peaks]
    other = [(row, own[0]) for row, own in zip(listed, classes, strict=True) if row.get("class", own[0]) not in own]
    if other:
        row, c = other[0]
        raise DatasetError(
            f"expected the classes of {split.dataset} {split.split} under rule {split.rule} in {path}, found "
            f"{len(other)} others, first {row['name']}: {row['class']}, not {c}; give the set and the rule that wrote "
            "the file"
        )
    return np.sort(np.asarray(found, dtype=np.int64))


def without(split: Split, order: LabelOrder) -> Split:
    """Return a split with fewer classes: images whose main class is dropped are left out.

    A soft target's share of a dropped class is distributed proportionally over the others.
    """
    columns = [split.order.classes.index(name) for name in order.classes]
    rows = np.flatnonzero(np.isin(split.classes, columns))
    targets = split.targets[rows][:, columns]
    targets = targets / targets.sum(axis=1, keepdims=True) if len(rows) else targets
    shares = None
    if split.shares is not None:
        shares = split.shares[rows][:, columns]
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    kept = split.take(rows)
    return replace(
        split, order=order, names=kept.names, targets=targets.astype(np.float32), shares=shares, groups=kept.groups
    )


class Narrowed:
    """A data set without some of its classes; the others keep their order."""

    def __init__(self, inner: LabeledSet, drop: Sequence[str]) -> None:
        self.inner, self.name = inner, inner.name
        gone = {canonical(name) for name in drop}
        if strange := sorted(gone - set(inner.order.classes)):
            raise LabelError(
                f"expected classes of {inner.name} to drop ({', '.join(inner.order.classes)}), found {strange[0]}"
            )
        self.order = order_of([name for name in inner.order.classes if name not in gone])
        self.dropped = tuple(name for name in inner.order.classes if name in gone)

    def splits(self) -> list[str]:
        """Return the splits of the whole set."""
        return self.inner.splits()

    def rules(self) -> list[str]:
        """Return the rules of the whole set."""
        return self.inner.rules()

    def load(self, split: str, rule: str) -> Split:
        """Return the images that a rule selects and whose class is kept."""
        return without(self.inner.load(split, rule), self.order)

    def findings(self) -> list[Issue]:
        """Return the findings of the whole set, and the classes left out."""
        found = self.inner.findings()
        for split in self.splits():
            counts = self.inner.load(split, self.rules()[0]).counts()
            found += [Issue(split, f"class left out: {name}", counts[name]) for name in self.dropped]
        return found


def common(a: LabelOrder, classes: Sequence[str]) -> LabelOrder:
    """Return the classes of `a` that a model or another data set also has, in the order of `a`.

    Raises:
        LabelError: they share fewer than two.
    """
    shared = [name for name in a.classes if name in {canonical(c) for c in classes}]
    if len(shared) < 2:
        raise LabelError(f"expected two classes in common, found {', '.join(shared) or 'none'}")
    return order_of(shared)
