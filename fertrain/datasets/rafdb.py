"""RAF-DB, basic expressions: 12,271 / 3,068 aligned images.

as its authors give it:
    EmoLabel/list_patition_label.txt      "train_00001.jpg 5", the file name's spelling is the authors'
    Image/aligned/train_00001_aligned.jpg
as Kaggle has it:
    train/1/train_00001_aligned.jpg …     (or below DATASET/), test/…; the folder is the number of the class
    train_labels.csv, test_labels.csv     image, label; if present, compared with the folders
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ..labels import ORDERS
from .base import Issue, Labeled, Level, Listing, position
from .folder import split_folders
from .label_table import read_table, table_text
from .sources import FolderBytes, children, folders, here_and_below, is_image, located

LISTS = ("list_patition_label.txt", "list_partition_label.txt")
_ORDER = ORDERS["rafdb"]
_NUMBERS = frozenset("1234567")
_PREFIXES = ("Image/aligned", "Image/original", "aligned", "original", "Image/aligned/aligned", "Image")


def find_list(path: Path) -> tuple[Path, Path] | None:
    """Return the set's folder and its list of labels, if it has the authors' layout."""
    for base in here_and_below(path):
        for name in LISTS:
            for file in (base / "EmoLabel" / name, base / name):
                if file.is_file():
                    return base, file
    return None


def find_numbered(path: Path) -> Path | None:
    """Return the folder with `train/1/` … `train/7/`, if it has Kaggle's layout."""
    for base in here_and_below(path):
        splits = split_folders(base)
        if splits and all({p.name for p in folders(f)} == _NUMBERS for f in splits.values()):
            return base
    return None


def read(path: Path, options: Mapping[str, Any]) -> Listing:
    """RAF-DB; `images = "original"` takes the photographs instead of the aligned faces (for `datasets align`)."""
    found = find_list(path)
    if found is not None:
        return _from_list(*found, original=options.get("images") == "original")
    numbered = find_numbered(path)
    if numbered is not None:
        return _from_folders(numbered, path)
    raise DatasetError(
        f"expected EmoLabel/{LISTS[0]} and Image/aligned/ (the folder that is called basic), or Kaggle's train/1/ … "
        f"test/7/, in {path}, found {', '.join(p.name for p in children(path)[:6]) or 'an empty folder'}"
    )


def _from_list(base: Path, file: Path, *, original: bool) -> Listing:
    listed: list[tuple[str, str, int]] = []
    with table_text(file) as stream:
        lines = stream.read().splitlines()
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        name, _, number = text.strip().replace("\t", " ").partition(" ")
        split = name.partition("_")[0]
        if split not in ("train", "test") or not number.strip().isdigit():
            raise DatasetError(f"expected 'train_00001.jpg 5' in {file}, line {line}; found {text!r}")
        k = position(int(number), 1, _ORDER, f"{file}, line {line}")
        stem = name.removesuffix(".jpg").removesuffix("_aligned")
        listed.append((split, f"{stem}.jpg" if original else f"{stem}_aligned.jpg", k))
    kind = "original" if original else "aligned"
    named = [f"Image/{kind}/{name}" for _, name, _ in listed]
    here, moved = located(named, base, _PREFIXES)
    rows: dict[str, list[Labeled]] = {"train": [], "test": []}
    for (split, _, k), name in zip(listed, here, strict=True):
        rows[split].append((name, k))
    notes = (Issue("all", moved, len(here)),) if moved else ()
    return Listing(_ORDER, rows, FolderBytes(base), notes=notes)


def _from_folders(base: Path, path: Path) -> Listing:
    rows: dict[str, list[Labeled]] = {}
    notes: list[Issue] = []
    for split, folder in split_folders(base).items():
        rows[split] = [
            (f"{folder.name}/{of.name}/{image.name}", int(of.name) - 1)
            for of in folders(folder)
            for image in children(of)
            if image.is_file() and is_image(image)
        ]
        table = next((f for f in (base / f"{split}_labels.csv", path / f"{split}_labels.csv") if f.is_file()), None)
        if table is not None:
            notes += _compared(table, split, rows[split])
    return Listing(_ORDER, rows, FolderBytes(base), notes=tuple(notes))


def _compared(file: Path, split: str, rows: list[Labeled]) -> list[Issue]:
    """Compare the table with the folders: other classes, other images."""
    table = read_table(file)
    image, label = table.column("image", {}), table.column("label", {})
    said = {row.cells[image].replace("\\", "/").rpartition("/")[2]: row for row in table.rows}
    plain = {name.rpartition("/")[2]: (name, k) for name, k in rows}
    other = [
        name
        for key, (name, k) in plain.items()
        if key in said and said[key].cells[label].removesuffix(".0") != str(k + 1)
    ]
    absent = sorted(said.keys() - plain.keys())
    found = []
    if other:
        what = f"class in {file.name} is not that of the folder"
        found.append(Issue(split, what, len(other), other[0], Level.ERROR))
    if absent:
        found.append(Issue(split, "missing file", len(absent), absent[0], Level.ERROR))
    return found
