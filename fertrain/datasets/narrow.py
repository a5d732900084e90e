"""Fewer classes, by name: eight to seven, or whatever two data sets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import LabelError
from ..labels import LabelOrder, canonical, order_of
from .labelled import Finding, LabelledSet, Split


def without(split: Split, order: LabelOrder) -> Split:
    """A split in an order that has fewer classes: images whose peak is no longer there are left out.

    What a soft target gave to a class that is gone is shared out among the others in proportion.
    """
    columns = [split.order.classes.index(name) for name in order.classes]
    rows = np.flatnonzero(np.isin(split.classes, columns))
    targets = split.targets[rows][:, columns]
    targets = targets / targets.sum(axis=1, keepdims=True) if len(rows) else targets
    shares = None
    if split.shares is not None:
        shares = split.shares[rows][:, columns]
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    names = tuple(split.names[i] for i in rows)
    return replace(split, order=order, names=names, targets=targets.astype(np.float32), shares=shares)


class Narrowed:
    """A data set without some of its classes. The others keep their sequence."""

    def __init__(self, inner: LabelledSet, drop: Sequence[str]) -> None:
        self.inner, self.name = inner, inner.name
        gone = {canonical(name) for name in drop}
        if strange := sorted(gone - set(inner.order.classes)):
            raise LabelError(
                f"expected classes of {inner.name} to drop ({', '.join(inner.order.classes)}), found {strange[0]}"
            )
        self.order = order_of([name for name in inner.order.classes if name not in gone])
        self.dropped = tuple(name for name in inner.order.classes if name in gone)

    def splits(self) -> list[str]:
        """Those of the whole set."""
        return self.inner.splits()

    def rules(self) -> list[str]:
        """Those of the whole set."""
        return self.inner.rules()

    def load(self, split: str, rule: str) -> Split:
        """The images that a rule keeps and whose class is still there."""
        return without(self.inner.load(split, rule), self.order)

    def findings(self) -> list[Finding]:
        """Those of the whole set, and what is left out."""
        found = self.inner.findings()
        for split in self.splits():
            counts = self.inner.load(split, self.rules()[0]).counts()
            found += [Finding(split, f"class left out: {name}", counts[name]) for name in self.dropped]
        return found


def common(a: LabelOrder, classes: Sequence[str]) -> LabelOrder:
    """The classes of `a` that a model or another data set knows too, in the sequence of `a`.

    Raises:
        LabelError: they share fewer than two.
    """
    shared = [name for name in a.classes if name in {canonical(c) for c in classes}]
    if len(shared) < 2:
        raise LabelError(f"expected two classes in common, found {', '.join(shared) or 'none'}")
    return order_of(shared)
