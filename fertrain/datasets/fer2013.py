"""FER2013 as published on Kaggle, and its pixels as a source of images for FERPlus.

fer2013.csv          emotion, pixels (48·48 numbers), Usage          the archive's file
icml_face_data.csv   the same with the columns in another order      the later release
train.csv            emotion, pixels                                 the competition's; its test.csv has no labels
Training/Angry/…     class folders, in split folders of any usual names (Training, PublicTest, …; train, test) or none
fer2013_labels.csv   row, usage, image_name, emotion beside the folders FER2013Train/ … of the FERPlus tools
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rmset.errors import UsageError

from ..errors import DatasetError
from ..labels import ORDERS
from . import folder
from .base import Issue, Labeled, Level, Listing, position
from .label_table import read_header, read_table
from .pixel_tables import USAGE, CsvPixels
from .sources import FolderBytes, children, folders, here_and_below

FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
TABLES = ("fer2013.csv", "icml_face_data.csv")
COMPETITION = ("train.csv", "test.csv")
NAMES = "fer2013_labels.csv"
_ORDER = ORDERS["fer2013"]


def find_table(path: Path) -> Path | None:
    """Return the pixel table of a folder or its subfolder, if any (the archive unpacks to `fer2013/`)."""
    for base in here_and_below(path):
        for name in TABLES:
            if (base / name).is_file():
                return base / name
    return None


def find_competition(path: Path) -> Path | None:
    """Return the competition's train.csv, if it holds pixels."""
    file = path / COMPETITION[0]
    return file if file.is_file() and {"emotion", "pixels"} <= set(read_header(file)) else None


def read(path: Path, options: Mapping[str, Any]) -> Listing:
    """FER2013 from its table, from names beside image folders, or from class folders."""
    table = find_table(path)
    skip_ambiguous = bool(options.get("skip_ambiguous", False))
    names = path / NAMES
    if skip_ambiguous and (table is not None or not names.is_file()):
        raise UsageError(f"expected {NAMES}, which says what is ambiguous, for skip_ambiguous; found {table or 'none'}")
    if table is not None:
        return _from_pixels(table)
    if names.is_file():
        return _from_names(path, skip_ambiguous=skip_ambiguous)
    if (competition := find_competition(path)) is not None:
        return _from_competition(competition)
    if folder.split_folders(path) or folder.class_folders(path):
        # class numbers of this kind: 0 angry … 6 neutral
        owners = {p.name for base in (folder.split_folders(path).values() or (path,)) for p in folders(base)}
        numbered = bool(owners) and all(name.isdecimal() for name in owners)
        given = {str(k): name for k, name in enumerate(_ORDER.classes)} if numbered else list(_ORDER.classes)
        return replace(folder.read(path, {"classes": given}), gray=True)
    raise DatasetError(
        f"expected {' or '.join(TABLES)}, train.csv with emotion and pixels, {NAMES} beside "
        f"{', '.join(FOLDERS.values())}, or class folders, in {path}, found "
        f"{', '.join(p.name for p in children(path)[:6]) or 'an empty folder'}"
    )


def _from_pixels(table: Path) -> Listing:
    source = CsvPixels(table)
    rows: dict[str, list[Labeled]] = {split: [] for split in FOLDERS}
    for name, split, emotion, where in source.labeled():
        rows[split].append((name, position(emotion, 0, _ORDER, where)))
    return Listing(_ORDER, rows, source, gray=True)


def _from_competition(train: Path) -> Listing:
    """Read `train.csv`, and `test.csv` if it has emotions; the published one has none."""
    test = train.with_name(COMPETITION[1])
    labeled = test.is_file() and "emotion" in read_header(test)
    source = CsvPixels(train, *([test] if labeled else []))
    rows: dict[str, list[Labeled]] = {split: [] for split in FOLDERS}
    for name, split, emotion, where in source.labeled():
        rows[split].append((name, position(emotion, 0, _ORDER, where)))
    notes: tuple[Issue, ...] = ()
    if not labeled:
        what = "test.csv has no emotions" if test.is_file() else "no test.csv"
        what += ": every image is a training image; icml_face_data.csv has all three splits"
        notes = (Issue("all", what, len(rows["train"]), level=Level.WARNING),)
    return Listing(_ORDER, rows, source, gray=True, notes=notes)


def _from_names(path: Path, *, skip_ambiguous: bool) -> Listing:
    rows: dict[str, list[Labeled]] = {split: [] for split in FOLDERS}
    ambiguous = 0
    table = read_table(path / NAMES)
    for row in table.rows:
        where = table.at(row)
        try:
            split, name, emotion = USAGE[row.cells["usage"]], row.cells["image_name"], int(row.cells["emotion"])
        except (KeyError, ValueError):  # no such column, a short row, no number
            name = ""
        if not name:
            raise DatasetError(f"expected usage, image_name and emotion in {where}; found {dict(row.cells)}")
        doubtful = row.cells.get("ambiguous") == "1"
        ambiguous += doubtful
        if not (doubtful and skip_ambiguous):
            rows[split].append((f"{FOLDERS[split]}/{name}", position(emotion, 0, _ORDER, where)))
    here = {split: found for split, found in rows.items() if (path / FOLDERS[split]).is_dir()}
    what = "near-duplicates with different labels " + ("(left out)" if skip_ambiguous else "(counted)")
    notes = (Issue("all", what, ambiguous),) if ambiguous else ()
    return Listing(_ORDER, here, FolderBytes(path), gray=True, notes=notes)
