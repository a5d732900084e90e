"""Data sets with one label per image: whatever the layout, it comes down to names and classes by split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DatasetError, UnknownNameError
from ..labels import LabelOrder
from .images import Bytes
from .labelled import GIVEN, Finding, Split, require_split

Labelled = tuple[str, int]
"""An image name relative to the source, and its position in the label order."""
SPLITS = ("train", "valid", "test")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Listing:
    """What a layout reader found."""

    order: LabelOrder
    """The official numbering of this data set."""
    rows: Mapping[str, Sequence[Labelled]]
    """Images by split; a split without images is left out."""
    source: Bytes
    """Where they are."""
    grey: bool = False
    """They have no colour."""
    notes: tuple[Finding, ...] = ()
    """What the reader skipped, and why."""


class Listed:
    """A `LabelledSet` out of a `Listing`; each layout is one function that makes such a listing."""

    def __init__(self, name: str, listing: Listing) -> None:
        self.name, self.listing = name, listing
        self.order = listing.order
        if not any(listing.rows.values()):
            raise DatasetError(f"expected labelled images of {name}, found none that is labelled")

    def splits(self) -> list[str]:
        """In the order train, valid, test."""
        return [split for split in SPLITS if self.listing.rows.get(split)]

    def rules(self) -> list[str]:
        """One label per image: nothing to choose."""
        return [GIVEN]

    def load(self, split: str, rule: str = GIVEN) -> Split:
        """All images of a split, in the listing's order."""
        if rule != GIVEN:
            raise UnknownNameError("rule", rule, [GIVEN], f"{self.name} has one label per image, no votes")
        require_split(self, split)
        rows = self.listing.rows[split]
        targets = np.eye(len(self.order), dtype=np.float32)[[k for _, k in rows]]
        names = tuple(name for name, _ in rows)
        return Split(self.name, split, GIVEN, self.order, names, targets, self.listing.source, self.listing.grey)

    def findings(self) -> list[Finding]:
        """The reader's notes, files that are not there, and classes without images."""
        found = list(self.listing.notes)
        present = self.listing.source.names()
        for split in self.splits():
            missing = [name for name, _ in self.listing.rows[split] if name not in present]
            if missing:
                found.append(Finding(split, "missing file", len(missing), missing[0]))
            found += [Finding(split, "empty class", 1, c) for c, n in self.load(split).counts().items() if n == 0]
        return found


Reader = Callable[[Path, Mapping[str, object]], Listing]
"""A layout: (folder, options of datasets.toml) -> what is in it."""


def position(number: int, first: int, order: LabelOrder, where: str) -> int:
    """A data set's class number as a position in its order.

    Raises:
        DatasetError: the number is out of range; says where it stands.
    """
    k = number - first
    if not 0 <= k < len(order):
        raise DatasetError(
            f"expected a class from {first} to {first + len(order) - 1} ({', '.join(order.classes)}) in {where}, "
            f"found {number}"
        )
    return k
