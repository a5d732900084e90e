"""AffectNet in its published and common layouts; seven or eight classes.

training.csv, validation.csv     subDirectory_filePath … expression …; here or in Manually_Annotated_file_lists/,
                                 images below, or in Manually_Annotated_Images/
train_set/, val_set/             images/<n>.jpg and annotations/<n>_exp.npy
labels.csv                       pth, label, relFCs: Kaggle's, beside anger/ …; it has no splits
train/, valid/, test/            images/<n>.jpg and labels/<n>.txt (YOLO: class x y w h), names in data.yaml

Expressions 8 to 10 (none, uncertain, no face) are not emotions and are skipped. The test set was never released:
papers report on the validation set, 500 images of each class, which is the split `valid` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rmset.bounded import read_text
from rmset.errors import UnreadableError, UsageError

from ..errors import DatasetError
from ..labels import ORDERS, LabelOrder, canonical
from .base import Issue, Labeled, Level, Listing
from .classes import spelled
from .folder import split_folders
from .label_table import Table, read_header, read_table
from .sources import FolderBytes, children, here_and_below, is_image, located

_TABLES = {"train": "training.csv", "valid": "validation.csv"}
_FOLDERS = {"train": "train_set", "valid": "val_set"}
_LISTS = ("", "Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_file_lists", "Manually_Annotated")
_IMAGES = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated")
_COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
_EXPRESSIONS = 11


def find_tables(path: Path) -> dict[str, Path]:
    """Return the authors' tables by split; empty if there are none."""
    for place in _LISTS:
        found = {split: path / place / name for split, name in _TABLES.items() if (path / place / name).is_file()}
        if found:
            return found
    return {}


def find_annotated(path: Path) -> dict[str, Path]:
    """Return the authors' folders with annotations by split; empty if there are none."""
    return {split: path / name for split, name in _FOLDERS.items() if (path / name / "annotations").is_dir()}


def find_yolo(path: Path) -> Path | None:
    """Return the folder of a YOLO layout: split/images beside split/labels."""
    for base in here_and_below(path):
        splits = split_folders(base).values()
        if any((folder / "labels").is_dir() and (folder / "images").is_dir() for folder in splits):
            return base
    return None


def find_kaggle(path: Path) -> Path | None:
    """Return Kaggle's table with the columns pth, label, relFCs."""
    file = path / "labels.csv"
    return file if file.is_file() and {"pth", "label"} <= set(read_header(file)) else None


def read(path: Path, options: Mapping[str, Any]) -> Listing:
    """AffectNet; the option `expressions` says 8 (default) or 7 (contempt left out)."""
    wanted = options.get("expressions", 8)
    if wanted not in (7, 8):
        raise UsageError(f"expected 7 or 8 expressions of AffectNet, found {wanted!r}")
    order = ORDERS[f"affectnet{wanted}"]
    notes: list[Issue] = []
    base = path
    if tables := find_tables(path):
        numbered = {split: _from_table(_table(file), path, notes) for split, file in tables.items()}
    elif annotated := find_annotated(path):
        numbered = {split: _from_annotations(folder) for split, folder in annotated.items()}
    elif (yolo := find_yolo(path)) is not None:
        numbered, base = _from_yolo(yolo, path, notes), yolo
    elif (kaggle := find_kaggle(path)) is not None:
        numbered = {"train": _from_kaggle(read_table(kaggle), path, notes)}
    else:
        raise DatasetError(
            "expected training.csv and validation.csv, or train_set/ and val_set/ with images and annotations, or "
            f"labels.csv (pth, label), or train/images and train/labels, in {path}, found "
            f"{', '.join(p.name for p in children(path)[:6]) or 'an empty folder'}"
        )
    return _kept(numbered, order, base, notes)


def _table(file: Path) -> Table:
    """Return a table of the authors, with or without its header; some copies lack it."""
    columns = read_header(file)
    if not {"subDirectory_filePath", "expression"} <= set(columns):
        if len(columns) == len(_COLUMNS) and columns[0].lower().endswith((".jpg", ".jpeg", ".png", ".bmp", ".tif")):
            return read_table(file, _COLUMNS)
        raise DatasetError(
            f"expected the columns subDirectory_filePath and expression in {file}, found {list(columns)}"
        )
    return read_table(file)


def _from_table(table: Table, path: Path, notes: list[Issue]) -> list[Labeled]:
    """Name and expression number of every row, as in the file."""
    named: list[str] = []
    numbers: list[int] = []
    for row in table.rows:
        name = row.cells["subDirectory_filePath"]
        if not name:
            raise DatasetError(f"expected the path of an image in {table.at(row)}, found none")
        named.append(name)
        numbers.append(_number(row.cells["expression"], table.at(row)))
    here, moved = located(named, path, _IMAGES)
    if moved and not any(here[0].startswith(place) for place in _IMAGES):
        notes.append(Issue("all", moved, len(here)))
    return list(zip(here, numbers, strict=True))


def _from_annotations(folder: Path) -> list[Labeled]:
    rows: list[Labeled] = []
    images = {p.stem: p.name for p in children(folder / "images")} if (folder / "images").is_dir() else {}
    for file in children(folder / "annotations"):
        if not file.name.endswith("_exp.npy"):
            continue
        stem = file.name.removesuffix("_exp.npy")
        try:
            value = str(np.load(file, allow_pickle=False).item())
        except (ValueError, OSError, EOFError) as error:
            raise DatasetError(f"expected one expression number in {file}, found: {error}") from None
        rows.append((f"{folder.name}/images/{images.get(stem, stem + '.jpg')}", _number(value, str(file))))
    return rows


def _from_kaggle(table: Table, path: Path, notes: list[Issue]) -> list[Labeled]:
    order = ORDERS["affectnet8"]
    named = [row.cells["pth"] for row in table.rows]
    here, moved = located(named, path)
    if moved:
        notes.append(Issue("all", moved, len(here)))
    rows: list[Labeled] = []
    for row, name in zip(table.rows, here, strict=True):
        value = row.cells["label"]
        if canonical(value) in order.classes:
            rows.append((name, order.classes.index(canonical(value))))
        else:
            rows.append((name, _number(value, table.at(row))))
    what = f"no split column in {table.path.name}: every image is a training image"
    notes.append(Issue("all", what, len(rows), level=Level.WARNING))
    return rows


def _from_yolo(base: Path, path: Path, notes: list[Issue]) -> dict[str, list[Labeled]]:
    """Class of the first box of each image; `data.yaml` says what the numbers mean."""
    names = _yolo_names(base, path)
    order = ORDERS["affectnet8"]
    found: dict[str, list[Labeled]] = {}
    for split, folder in split_folders(base).items():
        rows: list[Labeled] = []
        several: list[str] = []
        bare: list[str] = []
        for image in children(folder / "images") if (folder / "images").is_dir() else ():
            if not is_image(image):
                continue
            name, file = f"{folder.name}/images/{image.name}", folder / "labels" / f"{image.stem}.txt"
            classes = (
                [line.split()[0] for line in read_text(file).splitlines() if line.strip()] if file.is_file() else []
            )
            if not classes:
                bare.append(name)
                continue
            if len(set(classes)) > 1:
                several.append(name)
                continue
            number = int(classes[0]) if classes[0].isdecimal() else -1
            if not 0 <= number < len(names):
                raise DatasetError(f"expected a class from 0 to {len(names) - 1} in {file}, found {classes[0]!r}")
            rows.append((name, order.classes.index(canonical(names[number]))))
        found[split] = rows
        for what, listed in (
            ("image without a label (skipped)", bare),
            ("faces of several classes (skipped)", several),
        ):
            if listed:
                notes.append(Issue(split, what, len(listed), listed[0], Level.WARNING))
    return found


def _yolo_names(base: Path, path: Path) -> Sequence[str]:
    file = next((p / "data.yaml" for p in (base, path) if (p / "data.yaml").is_file()), None)
    if file is None:
        raise DatasetError(f"expected data.yaml with the names of the classes in {base}, found none")
    try:
        names = (yaml.safe_load(read_text(file, 1 << 20)) or {}).get("names")
    except (yaml.YAMLError, UnreadableError, RecursionError, AttributeError) as error:
        raise DatasetError(
            f"expected names of classes in {file}, found: {' '.join(str(error).split())[:160]}"
        ) from None
    names = [names[k] for k in sorted(names)] if isinstance(names, dict) else names
    known = ORDERS["affectnet8"].classes
    if not isinstance(names, list) or not names or any(canonical(str(n)) not in known for n in names):
        raise DatasetError(f"expected AffectNet's classes as names in {file}, found {names}")
    return [str(n) for n in names]


def _number(text: str | None, where: str) -> int:
    plain = spelled(text or "")
    value = int(plain) if plain.lstrip("-").isdecimal() else -1
    if not 0 <= value < _EXPRESSIONS:
        raise DatasetError(f"expected an expression from 0 to {_EXPRESSIONS - 1} in {where}, found {text!r}")
    return value


def _kept(numbered: Mapping[str, list[Labeled]], order: LabelOrder, path: Path, notes: list[Issue]) -> Listing:
    rows = {}
    for split, found in numbered.items():
        rows[split] = [(name, k) for name, k in found if k < len(order)]
        if skipped := len(found) - len(rows[split]):
            what = "none, uncertain or no face" + (", or contempt" if len(order) == 7 else "") + " (skipped)"
            notes.append(Issue(split, what, skipped))
    return Listing(order, rows, FolderBytes(path), notes=tuple(notes))
