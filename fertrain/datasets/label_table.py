"""Tolerant reader of label tables: any delimiter, any case of column names, spaces, blank lines; true line numbers.

All layouts read tables by `read_table`; `COLUMNS` lists the accepted names of each column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rmset.bounded import open_regular
from rmset.errors import UsageError

from ..errors import DatasetError

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": (
        "name", "image", "path", "file", "filename", "image_name", "img", "pth", "img_name", "image_path", "img_path",
        "file_path", "filepath", "image_file", "image_id", "subDirectory_filePath", "pic", "picture", "photo",
    ),
    "label": (
        "label", "labels", "emotion", "expression", "class", "class_name", "emotions", "label_name", "category",
        "target", "expr",
    ),
    "split": ("split", "usage", "set", "subset", "partition", "phase", "split_name"),
    "subject": (
        "subject", "subject_id", "person_key", "person", "person_id", "identity", "actor", "participant", "user_id",
    ),
    "video": ("video", "video_id", "clip", "clip_id", "movie"),
    "sequence": ("sequence", "sequence_id", "session"),
}  # fmt: skip
"""Accepted column names, in any case and with or without `_`; the first match is used."""

SPLIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trainset", "trainingset", "trn", "traindata"), "train"),
    **dict.fromkeys(
        ("valid", "val", "validation", "dev", "valset", "validset", "validationset", "publictest", "eval"), "valid"
    ),
    **dict.fromkeys(("test", "testing", "tst", "testset", "privatetest", "testdata"), "test"),
}
"""Accepted names of a split, in any case and with or without `_`, in folders, files and columns."""
_DELIMITERS = (",", "\t", ";", "|")
csv.field_size_limit(1 << 24)


def folded(name: str) -> str:
    """Normalize a name: lower case, no spaces, `_` or `-`: "Image_Name" -> "imagename"."""
    return "".join(c for c in name.lower() if c not in " _-\t")


def split_of(name: str) -> str | None:
    """Return the split that a name means: "PublicTest" -> "valid"; None for other names."""
    return SPLIT_NAMES.get(folded(name))


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    line: int
    """First line in the file, from 1."""
    cells: Mapping[str, str]
    """Text by column, without spaces around it; "" where the row is short."""


@dataclass(frozen=True)
class Table:
    """A table in memory."""

    path: Path
    """The file."""
    columns: tuple[str, ...]
    """Column names as in the file, without surrounding spaces."""
    rows: tuple[Row, ...]
    """Rows, without blank lines."""

    def at(self, row: Row) -> str:
        """Return the place of a row, for messages."""
        return f"{self.path}, line {row.line}"

    def column(self, what: str, given: Mapping[str, str]) -> str:
        """Return the column for `what`.

        Raises:
            DatasetError: there is none.
        """
        found = self.find(what, given)
        if found is None:
            raise DatasetError(
                f"expected a column {' or '.join(COLUMNS[what][:6])} in {self.path}, found {', '.join(self.columns)}; "
                f"name it with `columns='{what}=COLUMN'`"
            )
        return found

    def find(self, what: str, given: Mapping[str, str]) -> str | None:
        """Return the column for `what`: the one named by the user, else by its usual names; None if there is none."""
        return find_column(self.columns, what, given, self.path)


def find_column(columns: Sequence[str], what: str, given: Mapping[str, str], path: Path) -> str | None:
    """Return the column for `what`: the one named by the user, else by its usual names.

    Raises:
        UsageError: the user named a column that is not there.
    """
    if what in given:
        if given[what] not in columns:
            raise UsageError(
                f"expected the column {given[what]} (`columns='{what}={given[what]}'`) in {path}, found "
                f"{', '.join(columns)}"
            )
        return given[what]
    by_name = {folded(column): column for column in reversed(columns)}
    return next((by_name[folded(name)] for name in COLUMNS[what] if folded(name) in by_name), None)


_LARGEST, _LONGEST = 4 << 30, 1 << 20
"""Limits: bytes of a table, letters of one line; the FER2013 competition file has 300 MB in lines of 10 KB."""


class _Lines(io.TextIOWrapper):
    """Text stream that limits the length of a line."""

    def __next__(self) -> str:  # type: ignore[override]
        line = self.readline(_LONGEST)
        if not line:
            raise StopIteration
        if len(line) == _LONGEST and not line.endswith("\n"):
            raise csv.Error(f"a line of more than {_LONGEST:,} letters")
        return line


@contextmanager
def table_text(path: Path) -> Iterator[TextIO]:
    """Open a table for the `csv` module.

    Raises:
        DatasetError: in the body of the `with`, for invalid UTF-8 or invalid CSV.
    """
    # Opening a FIFO would block, and a file of zeros is one endless line.
    with _Lines(open_regular(path, _LARGEST), encoding="utf-8-sig", newline="") as stream:
        try:
            yield stream
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"expected UTF-8 text in {path}, found the byte 0x{error.object[error.start]:02x}; save it as UTF-8"
            ) from None
        except csv.Error as error:
            raise DatasetError(f"expected a CSV table in {path}, found: {error}") from None


def delimiter_of(head: str) -> str:
    """Return the most frequent delimiter of a header; a space if there is no other."""
    counts = {d: head.count(d) for d in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda d: counts[d])
    return best if counts[best] else (" " if " " in head.strip() else ",")


def read_table(path: Path, columns: Sequence[str] = ()) -> Table:
    """Return a table of labels.

    Args:
        path: CSV, TSV or the like.
        columns: names of the columns where the file has no header.

    Raises:
        DatasetError: the file is not a table; a row has more cells than there are columns.
    """
    names = tuple(columns) or read_header(path)
    return Table(path, names, tuple(iter_rows(path, columns)))


def read_header(path: Path) -> tuple[str, ...]:
    """Return the column names of a table; an empty list for an empty file."""
    return next((tuple(cells) for _, cells in _lines(path)), ())


def iter_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the rows of a table one by one; tables of pixels are too large to keep as text."""
    names = list(columns)
    for line, cells in _lines(path):
        if not names:
            names = cells
            continue
        if len(cells) > len(names) and any(cells[len(names) :]):
            raise DatasetError(
                f"expected {len(names)} cells ({', '.join(names)}) in {path}, line {line}; found {len(cells)}; put "
                "quotes around text that holds the delimiter"
            )
        yield Row(line, dict(zip(names, cells + [""] * (len(names) - len(cells)), strict=False)))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's first line and its stripped cells; blank lines are skipped."""
    with table_text(path) as stream:
        first = stream.readline()
        stream.seek(0)
        reader = csv.reader(stream, delimiter=delimiter_of(first), skipinitialspace=True)
        begin = 1
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            plain = [cell.strip() for cell in cells]
            if any(plain):
                yield line, plain
