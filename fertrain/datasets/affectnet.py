"""AffectNet in both forms that its authors have given out; seven or eight classes.

training.csv, validation.csv     subDirectory_filePath … expression …; images below, or in Manually_Annotated_Images/
train_set/, val_set/             images/<n>.jpg and annotations/<n>_exp.npy

Expressions 8 to 10 (none, uncertain, no face) are no emotion and are skipped. The test set was never released:
papers report on the validation set, 500 images of each class, which is the split `valid` here.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rmset.errors import UsageError

from ..errors import DatasetError
from ..labels import ORDERS, LabelOrder
from .base import Issue, Labeled, Listing, table_text
from .images import FolderBytes

_TABLES = {"train": "training.csv", "valid": "validation.csv"}
_FOLDERS = {"train": "train_set", "valid": "val_set"}
_IMAGES = ("", "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")
_EXPRESSIONS = 11


def read(path: Path, options: Mapping[str, object]) -> Listing:
    """AffectNet; the option `expressions` says 8 (default) or 7 (contempt left out)."""
    wanted = options.get("expressions", 8)
    if wanted not in (7, 8):
        raise UsageError(f"expected 7 or 8 expressions of AffectNet, found {wanted!r}")
    order = ORDERS[f"affectnet{wanted}"]
    tables = {split: path / name for split, name in _TABLES.items() if (path / name).is_file()}
    if tables:
        numbered = {split: _from_table(file, path) for split, file in tables.items()}
    else:
        folders = {split: path / name for split, name in _FOLDERS.items() if (path / name).is_dir()}
        if not folders:
            raise DatasetError(
                f"expected training.csv and validation.csv, or train_set/ and val_set/ with images and annotations, "
                f"in {path}, found neither"
            )
        numbered = {split: _from_annotations(folder) for split, folder in folders.items()}
    return _kept(numbered, order, path)


def _from_table(file: Path, path: Path) -> list[Labeled]:
    """Name and expression number of every row, as the file has them."""
    rows: list[Labeled] = []
    with table_text(file) as stream:
        table = csv.DictReader(stream)
        if not {"subDirectory_filePath", "expression"} <= set(table.fieldnames or ()):
            raise DatasetError(
                f"expected the columns subDirectory_filePath and expression in {file}, found {table.fieldnames}"
            )
        for line, row in enumerate(table, start=2):
            name = row["subDirectory_filePath"]
            if not name:
                raise DatasetError(f"expected the path of an image in {file}, line {line}, found none")
            rows.append((name, _number(row["expression"], f"{file}, line {line}")))
    # the first image that is here tells where they all are
    prefix = next((p for name, _ in rows for p in _IMAGES if (path / p / name).is_file()), "")
    return [(f"{prefix}/{name}" if prefix else name, k) for name, k in rows]


def _from_annotations(folder: Path) -> list[Labeled]:
    rows: list[Labeled] = []
    images = {p.stem: p.name for p in (folder / "images").iterdir()} if (folder / "images").is_dir() else {}
    for file in sorted((folder / "annotations").glob("*_exp.npy")):
        stem = file.name.removesuffix("_exp.npy")
        try:
            value = str(np.load(file, allow_pickle=False).item())
        except (ValueError, OSError, EOFError) as error:
            raise DatasetError(f"expected one expression number in {file}, found: {error}") from None
        rows.append((f"{folder.name}/images/{images.get(stem, stem + '.jpg')}", _number(value, str(file))))
    return rows


def _number(text: str | None, where: str) -> int:
    try:
        value = int(text or "")
    except ValueError:
        value = -1
    if not 0 <= value < _EXPRESSIONS:
        raise DatasetError(f"expected an expression from 0 to {_EXPRESSIONS - 1} in {where}, found {text!r}")
    return value


def _kept(numbered: Mapping[str, list[Labeled]], order: LabelOrder, path: Path) -> Listing:
    rows, notes = {}, []
    for split, found in numbered.items():
        rows[split] = [(name, k) for name, k in found if k < len(order)]
        if skipped := len(found) - len(rows[split]):
            what = "none, uncertain or no face" + (", or contempt" if len(order) == 7 else "") + " (skipped)"
            notes.append(Issue(split, what, skipped))
    return Listing(order, rows, FolderBytes(path), notes=tuple(notes))
