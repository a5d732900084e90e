"""Labeled data sets: `Split` (names, targets, pixels), the protocol of a set, and sets with one label per image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, UnknownNameError
from ..labels import LabelOrder
from .images import decode
from .sources import Bytes

GIVEN = "given"
"""The "rule" of data sets with one label per image."""


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
    """Classes of the columns of `targets`."""
    names: tuple[str, ...]
    """File name of each image, relative to `source`; (N,)."""
    targets: npt.NDArray[np.float32]
    """Share of each class, rows sum to 1; (N, C)."""
    source: Bytes = field(repr=False)
    """Source of the files."""
    gray: bool = False
    """Whether the images are gray."""
    shares: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    """For sets with votes: each class's share of the votes for an emotion, before any rule; (N, C)."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Groups that a hold-out must not split, strongest first: `subject`, `sequence`, `video`; (N,)."""

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
        """Index of each target's largest share; (N,)."""
        return np.asarray(self.targets.argmax(axis=1), dtype=np.int64)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Split:
        """Return these rows, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        names = tuple(self.names[i] for i in index)
        shares = None if self.shares is None else self.shares[index]
        groups = {kind: tuple(of[i] for i in index) for kind, of in self.groups.items()}
        return replace(self, names=names, targets=self.targets[index], shares=shares, groups=groups)

    def counts(self) -> dict[str, int]:
        """Images by class (peak of the target)."""
        found = np.bincount(self.classes, minlength=len(self.order))
        return dict(zip(self.order.classes, found.tolist(), strict=True))

    def sha256(self) -> str:
        """Hash of names and targets: equal hashes mean the same images and labels."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update(np.round(self.targets, 6).astype("<f4").tobytes())
        return digest.hexdigest()


class Level(StrEnum):
    """Severity of a finding."""

    ERROR = "error"
    """Training would stop, or learn wrong labels."""
    WARNING = "warning"
    """Possibly not intended: columns that are not read, a split that was drawn."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True)
class Issue:
    """One finding of `datasets check`."""

    split: str
    """The split."""
    what: str
    """`missing file`, `unreadable`, `two rows, one image` …"""
    n: int
    """Number of cases."""
    example: str = ""
    """An example."""
    level: Level = Level.NOTE
    """Its severity."""

    def __str__(self) -> str:
        example = f", e.g. {self.example}" if self.example else ""
        return f"{self.split}: {self.what}: {self.n:,}{example}"


class LabeledSet(Protocol):
    """A labeled data set on disk. One class per layout, listed in `registry.KINDS`."""

    name: str
    order: LabelOrder

    def splits(self) -> list[str]:
        """Return the splits whose images are present."""

    def rules(self) -> list[str]:
        """Return the available rules; the first is the default."""

    def load(self, split: str, rule: str) -> Split:
        """Return the images of a split that a rule selects."""

    def findings(self) -> list[Issue]:
        """Return findings of the reader: rows without images, names that occur twice."""


def require_split(data: LabeledSet, split: str) -> None:
    """Raise DatasetError for a split that is not present."""
    if split not in data.splits():
        raise DatasetError(
            f"expected a split '{split}' of {data.name}, found {', '.join(data.splits()) or 'none'}; "
            "name one of these, or put its images in place"
        )


Labeled = tuple[str, int]
"""Image name relative to the source, and position of its class in the label order."""
SPLITS = ("train", "valid", "test")
_GRAY_SAMPLE = 32


@dataclass(frozen=True)
class Listing:
    """Result of a layout reader."""

    order: LabelOrder
    """The official numbering of this data set."""
    rows: Mapping[str, Sequence[Labeled]]
    """Images by split; a split without images is left out."""
    source: Bytes
    """Source of the images."""
    gray: bool | None = False
    """Whether the images are gray; None: decided by an evenly spaced sample."""
    notes: tuple[Issue, ...] = ()
    """Findings: what was skipped or not read, and why."""
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`subject`, `sequence` or `video` of images by their name, strongest first."""
    folders: tuple[str, ...] = ()
    """Splits that have a folder: an empty one is refused when it is opened, not passed over."""


class Listed:
    """A `LabeledSet` made of a `Listing`; each layout is one function that returns such a listing."""

    def __init__(self, name: str, listing: Listing) -> None:
        self.name, self.listing = name, listing
        self.order = listing.order
        if not any(listing.rows.values()):
            raise DatasetError(f"expected labeled images of {name}, found none that is labeled")

    def splits(self) -> list[str]:
        """In the order train, valid, test."""
        return [split for split in SPLITS if self.listing.rows.get(split) or split in self.listing.folders]

    def rules(self) -> list[str]:
        """Return the one rule of sets with one label per image."""
        return [GIVEN]

    def load(self, split: str, rule: str = GIVEN) -> Split:
        """All images of a split, in the listing's order."""
        if rule != GIVEN:
            raise UnknownNameError("rule", rule, [GIVEN], f"{self.name} has one label per image, no votes")
        require_split(self, split)
        rows = self.listing.rows[split]
        targets = np.eye(len(self.order), dtype=np.float32)[np.asarray([k for _, k in rows], dtype=np.int64)]
        names = tuple(name for name, _ in rows)
        groups = {kind: tuple(of.get(n, n) for n in names) for kind, of in self.listing.groups.items()}
        return Split(
            self.name, split, GIVEN, self.order, names, targets, self.listing.source, self._gray, groups=groups
        )

    def findings(self) -> list[Issue]:
        """Return the reader's notes, and classes without images."""
        found = list(self.listing.notes)
        for split in self.splits():
            found += [Issue(split, "empty class", 1, c) for c, n in self.load(split).counts().items() if n == 0]
        return found

    @cached_property
    def _gray(self) -> bool:
        if self.listing.gray is not None:
            return self.listing.gray
        names = sorted({name for rows in self.listing.rows.values() for name, _ in rows})
        return gray_sample(self.listing.source, names[:: max(1, len(names) // _GRAY_SAMPLE)])


def gray_sample(source: Bytes, names: Sequence[str]) -> bool:
    """Whether these images are gray; unreadable ones are ignored."""
    seen = False
    for name in names:
        try:
            image = decode(source.get(name), name, gray=False)
        except (DatasetError, FileNotFoundError):
            continue  # unreadable: `check` reports it
        seen = True
        if (image != image[:, :, :1]).any():
            return False
    return seen


Reader = Callable[[Path, Mapping[str, object]], Listing]
"""A layout reader: (folder, options of datasets.toml) -> listing."""


def position(number: int, first: int, order: LabelOrder, where: str) -> int:
    """Return a data set's class number as a position in its order.

    Raises:
        DatasetError: the number is out of range; the message names the place.
    """
    k = number - first
    if not 0 <= k < len(order):
        raise DatasetError(
            f"expected a class from {first} to {first + len(order) - 1} ({', '.join(order.classes)}) in {where}, "
            f"found {number}"
        )
    return k
