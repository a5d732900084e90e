"""The noun of every labelled data set: rows with a name, a target and a split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
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
    grey: bool = False
    """The images have no colour."""
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
class Finding:
    """Something that `datasets check` has to say."""

    split: str
    """Where."""
    what: str
    """`missing file`, `unreadable`, `two rows, one image` …"""
    n: int
    """How often."""
    example: str = ""
    """One of them."""


class LabelledSet(Protocol):
    """A labelled data set on disk. One class per layout, listed in `registry.KINDS`."""

    name: str
    order: LabelOrder

    def splits(self) -> list[str]:
        """The splits whose images are here."""

    def rules(self) -> list[str]:
        """The rules that may be asked for; the first is the default."""

    def load(self, split: str, rule: str) -> Split:
        """The images of a split that a rule keeps."""

    def findings(self) -> list[Finding]:
        """What the files themselves cannot tell: rows without images, names that stand twice."""


def require_split(data: LabelledSet, split: str) -> None:
    """Refuse a split that is not here, in one line."""
    if split not in data.splits():
        raise DatasetError(
            f"expected a split '{split}' of {data.name}, found {', '.join(data.splits()) or 'none'}; "
            "name one of these, or put its images in place"
        )
