"""FERPlus: ten people's votes for each image of FER2013, in the layout of the authors' tools.

fer2013new.csv      the votes
FER2013Train/       fer0000000.png …      (or these folders inside one zip beside the votes)
FER2013Valid/
FER2013Test/
fer2013.csv         or Kaggle's pixels instead of the folders: row k of both files is the same image

The folders may be in `images/` or `data/`. Without fer2013new.csv, the `label.csv` in each folder is read, which the
authors' tools write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, UnknownNameError
from ..labels import ORDERS
from .base import Issue, Split, require_split
from .fer2013 import FOLDERS, find_table
from .label_table import folded, iter_rows, read_header
from .pixel_tables import USAGE, CsvPixels
from .sources import Bytes, FolderBytes, ZipBytes, children
from .vote_rules import EMOTIONS, RULES

VOTES = "fer2013new.csv"
LIST = "label.csv"
_COLUMNS = 12


@dataclass(frozen=True)
class VoteTable:
    """The rows of fer2013new.csv that name an image (173 of 35,887 do not)."""

    splits: npt.NDArray[np.str_]
    """`train`, `valid`, `test`; (N,)."""
    names: npt.NDArray[np.str_]
    """Image name, used by the folders: the number in it is not the row; (N,)."""
    votes: npt.NDArray[np.int64]
    """(N, 10), columns as in `ORDERS["ferplus-votes"]`."""
    rows: npt.NDArray[np.int64]
    """Row of the file, from 0 below the header; the same row in fer2013.csv; (N,)."""
    nameless: int
    """Rows skipped because they name no image."""


def read_votes(path: Path) -> VoteTable:
    """Read fer2013new.csv; the error for a malformed row names its line."""
    columns = read_header(path)
    if len(columns) != _COLUMNS or [folded(c) for c in columns[:2]] != ["usage", "imagename"]:
        raise DatasetError(
            f"expected the columns of fer2013new.csv (Usage, Image name, ten of votes) in {path}, "
            f"found {', '.join(columns) or 'an empty file'}; take the file from microsoft/FERPlus"
        )
    found = _Votes()
    for number, row in enumerate(iter_rows(path)):
        usage, name, *cells = row.cells.values()
        split = USAGE.get(usage)
        found.add(split, name, cells, number, f"{path}, line {row.line}")
    return found.table()


def read_folder_labels(files: Mapping[str, Path]) -> VoteTable:
    """Read the `label.csv` of each split's folder: image name, box, ten votes, without a header."""
    found = _Votes()
    for split, path in files.items():
        for row in iter_rows(path, [str(k) for k in range(_COLUMNS)]):
            name, _, *cells = row.cells.values()
            found.add(split, name, cells, len(found.names), f"{path}, line {row.line}")
    return found.table()


class _Votes:
    """Builder of a vote table."""

    def __init__(self) -> None:
        self.splits: list[str] = []
        self.names: list[str] = []
        self.votes: list[list[int]] = []
        self.rows: list[int] = []
        self.nameless = 0

    def add(self, split: str | None, name: str, cells: Sequence[str], row: int, where: str) -> None:
        """Add one row; the error for a malformed one names its place."""
        try:
            counts = [int(v) for v in cells]
        except ValueError:
            counts = []
        if split is None or len(counts) != _COLUMNS - 2:
            raise DatasetError(f"expected usage, name and ten votes in {where}; found {split}, {name}, {list(cells)}")
        if min(counts) < 0:
            raise DatasetError(f"expected ten votes of 0 or more in {where}; found {list(cells)}")
        if not name:
            self.nameless += 1
            return
        self.splits.append(split)
        self.names.append(name)
        self.votes.append(counts)
        self.rows.append(row)

    def table(self) -> VoteTable:
        """Return the table of all rows added."""
        return VoteTable(
            np.asarray(self.splits, dtype=np.str_), np.asarray(self.names, dtype=np.str_),
            np.asarray(self.votes, dtype=np.int64).reshape(-1, _COLUMNS - 2), np.asarray(self.rows, dtype=np.int64),
            self.nameless,
        )  # fmt: skip


def find_bases(path: Path) -> list[Path]:
    """Possible parents of the image folders."""
    return [path, *(path / name for name in ("images", "data", "Images", "FERPlus") if (path / name).is_dir())]


def _folders(path: Path) -> list[str]:
    return [folder for folder in FOLDERS.values() if (path / folder).is_dir()]


class FerPlus:
    """Votes beside folders of images, or beside a zip of them."""

    order = ORDERS["ferplus"]

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.base = next((p for p in find_bases(path) if _folders(p)), path)
        self._votes = next((p / VOTES for p in dict.fromkeys((path, *find_bases(path))) if (p / VOTES).is_file()), None)
        self._lists = {
            split: self.base / folder / LIST
            for split, folder in FOLDERS.items()
            if (self.base / folder / LIST).is_file()
        }
        if self._votes is None and not self._lists:
            raise DatasetError(
                f"expected the votes {VOTES} in {path}, found none; take the file from microsoft/FERPlus and "
                "put it beside FER2013Train/"
            )
        self.source = self._find_images()

    @cached_property
    def table(self) -> VoteTable:
        """The votes, read once."""
        return read_votes(self._votes) if self._votes is not None else read_folder_labels(self._lists)

    def splits(self) -> list[str]:
        """Return the splits whose folder is present."""
        if isinstance(self.source, CsvPixels):
            return [split for split in FOLDERS if (self.table.splits == split).any()]
        present = {name.split("/", 1)[0] for name in self._images}
        return [split for split, folder in FOLDERS.items() if folder in present]

    def rules(self) -> list[str]:
        """Return the four rules of the paper."""
        return list(RULES)

    def load(self, split: str, rule: str) -> Split:
        """Return the images of a split that a rule selects, in file order."""
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
        """Rows without an image, names on two rows, and ties."""
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
            v = np.where(self.table.votes[here] == 1, 0, self.table.votes[here])
            ties = int(((v == v.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
            if ties:
                found.append(Issue(split, "tie for most votes (first column wins under `argmax`)", ties))
        return found

    def image_of(self, split: str, row: int | np.intp) -> str:
        """Key of each image: its name in folders, its row in fer2013.csv; the two differ by up to 85."""
        if isinstance(self.source, CsvPixels):
            return f"{self.table.rows[row]:05d}"
        return f"{FOLDERS[split]}/{self.table.names[row]}"

    @cached_property
    def _images(self) -> set[str]:
        return self.source.names()

    def _find_images(self) -> Bytes:
        if _folders(self.base):
            return FolderBytes(self.base)
        for archive in (p for p in children(self.path) if p.suffix.lower() == ".zip"):
            source = ZipBytes(archive)
            if any(name.startswith(tuple(FOLDERS.values())) for name in source.names()):
                return source
        if (table := find_table(self.path)) is not None:
            return CsvPixels(table)
        raise DatasetError(
            f"expected {', '.join(FOLDERS.values())}, a zip of them, or fer2013.csv in {self.path}, found none; "
            "the official FERPlus tools make these folders out of fer2013.csv"
        )
