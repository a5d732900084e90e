"""Labeled data sets: `Split` (names, targets, pixels), the protocol of a set, and sets with one label per image."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, UnknownNameError
from ..labels import LabelOrder
from .images import Bytes

GIVEN = "given"
"""The "rule" of data sets that come with one label per image."""


@dataclass(frozen=True)
class Split:
    """The images of one split that one rule keeps."""

    dataset: str
    """The data set's name."""
    split: str
    """`train`, `valid` or `test`."""
    rule: str
    """The rule that kept these images: a key of `rules.RULES`, or `given`."""
    order: LabelOrder
    """What the columns of `targets` mean."""
    names: tuple[str, ...]
    """File name of each image, relative to `source`; (N,)."""
    targets: npt.NDArray[np.float32]
    """Share of each class, rows sum to 1; (N, C)."""
    source: Bytes = field(repr=False)
    """Where the files are."""
    gray: bool = False
    """The images have no color."""
    shares: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    """Where there are votes: each class's share of all votes for an emotion, whatever the rule made of them; (N, C)."""

    def __post_init__(self) -> None:
        if self.targets.shape != (len(self.names), len(self.order)):
            raise DatasetError(
                f"expected targets {(len(self.names), len(self.order))} for {len(self.names)} images "
                f"of {len(self.order)} classes, found {self.targets.shape}"
            )
        if len(self.names) and not np.allclose(self.targets.sum(axis=1), 1, atol=1e-4):
            raise DatasetError(f"expected targets of {self.dataset} that sum to 1 in each row")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The peak of each target; (N,)."""
        return np.asarray(self.targets.argmax(axis=1), dtype=np.int64)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Split:
        """These rows, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        names = tuple(self.names[i] for i in index)
        shares = None if self.shares is None else self.shares[index]
        return replace(self, names=names, targets=self.targets[index], shares=shares)

    def counts(self) -> dict[str, int]:
        """Images by class (peak of the target)."""
        found = np.bincount(self.classes, minlength=len(self.order))
        return dict(zip(self.order.classes, found.tolist(), strict=True))

    def sha256(self) -> str:
        """Hash of names and targets: two runs with the same hash counted the same images."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update(np.round(self.targets, 6).astype("<f4").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Issue:
    """Something that `datasets check` has to say."""

    split: str
    """Where."""
    what: str
    """`missing file`, `unreadable`, `two rows, one image` …"""
    n: int
    """How often."""
    example: str = ""
    """One of them."""


class LabeledSet(Protocol):
    """A labeled data set on disk. One class per layout, listed in `registry.KINDS`."""

    name: str
    order: LabelOrder

    def splits(self) -> list[str]:
        """The splits whose images are here."""

    def rules(self) -> list[str]:
        """The rules that may be asked for; the first is the default."""

    def load(self, split: str, rule: str) -> Split:
        """The images of a split that a rule keeps."""

    def findings(self) -> list[Issue]:
        """What the files themselves cannot tell: rows without images, names that stand twice."""


def require_split(data: LabeledSet, split: str) -> None:
    """Refuse a split that is not here, in one line."""
    if split not in data.splits():
        raise DatasetError(
            f"expected a split '{split}' of {data.name}, found {', '.join(data.splits()) or 'none'}; "
            "name one of these, or put its images in place"
        )


Labeled = tuple[str, int]
"""An image name relative to the source, and its position in the label order."""
SPLITS = ("train", "valid", "test")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Listing:
    """What a layout reader found."""

    order: LabelOrder
    """The official numbering of this data set."""
    rows: Mapping[str, Sequence[Labeled]]
    """Images by split; a split without images is left out."""
    source: Bytes
    """Where they are."""
    gray: bool = False
    """They have no color."""
    notes: tuple[Issue, ...] = ()
    """What the reader skipped, and why."""


class Listed:
    """A `LabeledSet` out of a `Listing`; each layout is one function that makes such a listing."""

    def __init__(self, name: str, listing: Listing) -> None:
        self.name, self.listing = name, listing
        self.order = listing.order
        if not any(listing.rows.values()):
            raise DatasetError(f"expected labeled images of {name}, found none that is labeled")

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
        return Split(self.name, split, GIVEN, self.order, names, targets, self.listing.source, self.listing.gray)

    def findings(self) -> list[Issue]:
        """The reader's notes, files that are not there, and classes without images."""
        found = list(self.listing.notes)
        present = self.listing.source.names()
        for split in self.splits():
            missing = [name for name, _ in self.listing.rows[split] if name not in present]
            if missing:
                found.append(Issue(split, "missing file", len(missing), missing[0]))
            found += [Issue(split, "empty class", 1, c) for c, n in self.load(split).counts().items() if n == 0]
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


@contextmanager
def table_text(path: Path) -> Iterator[TextIO]:
    """A table opened for the `csv` module. Every table of every layout is read by way of this.

    Raises:
        DatasetError: in the body of the `with`, at a byte that is no UTF-8 or a row that is no CSV.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        try:
            yield stream
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"expected UTF-8 text in {path}, found the byte 0x{error.object[error.start]:02x}; save it as UTF-8"
            ) from None
        except csv.Error as error:
            raise DatasetError(f"expected a CSV table in {path}, found: {error}") from None
