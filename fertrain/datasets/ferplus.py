"""FERPlus: ten people's votes for each image of FER2013, in the layout of the authors' tools.

fer2013new.csv      the votes
FER2013Train/       fer0000000.png …      (or these folders inside one zip beside the votes)
FER2013Valid/
FER2013Test/
fer2013.csv         or Kaggle's pixels instead of the folders: row k of the one is row k of the other
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, UnknownNameError
from ..labels import ORDERS
from .base import Issue, Split, require_split, table_text
from .fer2013 import FOLDERS, USAGE, CsvPixels, find_table
from .images import Bytes, FolderBytes, ZipBytes
from .vote_rules import EMOTIONS, RULES

VOTES = "fer2013new.csv"
_COLUMNS = 12


@dataclass(frozen=True)
class VoteTable:
    """The rows of fer2013new.csv that name an image (173 of 35,887 do not)."""

    splits: npt.NDArray[np.str_]
    """`train`, `valid`, `test`; (N,)."""
    names: npt.NDArray[np.str_]
    """Image name, which is what folders go by: the number in it and the row drift apart; (N,)."""
    votes: npt.NDArray[np.int64]
    """(N, 10), columns as in `ORDERS["ferplus-votes"]`."""
    rows: npt.NDArray[np.int64]
    """Row of the file, counted from 0 below the header, which is also the row of fer2013.csv; (N,)."""
    nameless: int
    """Rows skipped because they name no image."""


def read_votes(path: Path) -> VoteTable:
    """Read fer2013new.csv; an odd row is an error that says its line."""
    splits: list[str] = []
    names: list[str] = []
    votes: list[list[int]] = []
    numbers: list[int] = []
    nameless = 0
    with table_text(path) as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if len(header) != _COLUMNS or header[:2] != ["Usage", "Image name"]:
            raise DatasetError(
                f"expected the columns of fer2013new.csv (Usage, Image name, ten of votes) in {path}, "
                f"found {', '.join(header) or 'an empty file'}; take the file from microsoft/FERPlus"
            )
        for line, row in enumerate(rows, start=2):
            try:
                usage, name, counts = USAGE[row[0]], row[1], [int(v) for v in row[2:]]
            except (IndexError, KeyError, ValueError):
                raise DatasetError(f"expected usage, name and ten votes in {path}, line {line}; found {row}") from None
            if len(counts) != _COLUMNS - 2 or min(counts) < 0:
                raise DatasetError(f"expected ten votes of 0 or more in {path}, line {line}; found {row[2:]}")
            if not name:
                nameless += 1
                continue
            splits.append(usage)
            names.append(name)
            votes.append(counts)
            numbers.append(line - 2)
    table = np.asarray(votes, dtype=np.int64).reshape(-1, _COLUMNS - 2)
    return VoteTable(
        np.asarray(splits, dtype=np.str_), np.asarray(names, dtype=np.str_), table,
        np.asarray(numbers, dtype=np.int64), nameless,
    )  # fmt: skip


class FerPlus:
    """Votes beside folders of images, or beside a zip of them."""

    order = ORDERS["ferplus"]

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        if not (path / VOTES).is_file():
            raise DatasetError(
                f"expected the votes {VOTES} in {path}, found none; take the file from microsoft/FERPlus and "
                "put it beside FER2013Train/"
            )
        self.source = self._find_images()

    @cached_property
    def table(self) -> VoteTable:
        """The votes, read once."""
        return read_votes(self.path / VOTES)

    def splits(self) -> list[str]:
        """Those whose folder is here."""
        if isinstance(self.source, CsvPixels):
            return [split for split in FOLDERS if (self.table.splits == split).any()]
        present = {name.split("/", 1)[0] for name in self._images}
        return [split for split, folder in FOLDERS.items() if folder in present]

    def rules(self) -> list[str]:
        """The paper's four."""
        return list(RULES)

    def load(self, split: str, rule: str) -> Split:
        """The images of a split that a rule keeps, in the order of the file."""
        if rule not in RULES:
            raise UnknownNameError("rule", rule, RULES)
        require_split(self, split)
        here = self.table.splits == split
        targets = RULES[rule](self.table.votes)
        rows = np.flatnonzero(here & (targets.sum(axis=1) > 0))
        names = tuple(self.image_of(split, row) for row in rows)
        kept = targets[rows].astype(np.float32)
        emotions = self.table.votes[rows, :EMOTIONS]
        shares = (emotions / np.maximum(emotions.sum(axis=1, keepdims=True), 1)).astype(np.float32)
        return Split(self.name, split, rule, self.order, names, kept, self.source, gray=True, shares=shares)

    def findings(self) -> list[Issue]:
        """Rows without an image, names on two rows, and what ties do."""
        found: list[Issue] = []
        if self.table.nameless:
            found.append(Issue("all", "row names no image (skipped)", self.table.nameless))
        for split in FOLDERS:
            here = self.table.splits == split
            if split not in self.splits():
                found.append(Issue(split, f"no folder {FOLDERS[split]}", int(here.sum())))
                continue
            counts = Counter(self.table.names[here].tolist())
            twice = [name for name, n in counts.items() if n > 1]
            if twice:
                found.append(Issue(split, "image stands on two rows (both counted)", len(twice), twice[0]))
            named = {self.image_of(split, i): str(self.table.names[i]) for i in np.flatnonzero(here)}
            missing = sorted(name for image, name in named.items() if image not in self._images)
            if missing:
                found.append(Issue(split, "missing file", len(missing), missing[0]))
            v = np.where(self.table.votes[here] == 1, 0, self.table.votes[here])
            ties = int(((v == v.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
            if ties:
                found.append(Issue(split, "tie for most votes (first column wins under `argmax`)", ties))
        return found

    def image_of(self, split: str, row: int | np.intp) -> str:
        """Folders go by the image's name, fer2013.csv by the row: the two drift apart by up to 85."""
        if isinstance(self.source, CsvPixels):
            return f"{self.table.rows[row]:05d}"
        return f"{FOLDERS[split]}/{self.table.names[row]}"

    @cached_property
    def _images(self) -> set[str]:
        return self.source.names()

    def _find_images(self) -> Bytes:
        if any((self.path / folder).is_dir() for folder in FOLDERS.values()):
            return FolderBytes(self.path)
        for archive in sorted(self.path.glob("*.zip")):
            source = ZipBytes(archive)
            if any(name.startswith(tuple(FOLDERS.values())) for name in source.names()):
                return source
        if (table := find_table(self.path)) is not None:
            return CsvPixels(table)
        raise DatasetError(
            f"expected {', '.join(FOLDERS.values())}, a zip of them, or fer2013.csv in {self.path}, found none; "
            "the official FERPlus tools make these folders out of fer2013.csv"
        )
