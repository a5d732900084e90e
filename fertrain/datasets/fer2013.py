"""FER2013 as Kaggle gave it out, and its pixels as a source of images for FERPlus.

fer2013.csv          emotion, pixels (48·48 numbers), Usage          the competition's file
icml_face_data.csv   the same with the columns in another order       the later release
train/angry/…        class folders: the kind `folder` reads these
fer2013_labels.csv   row, usage, image_name, emotion beside the folders FER2013Train/ … of the FERPlus tools
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError

from ..errors import DatasetError
from ..labels import ORDERS
from .base import Issue, Labeled, Listing, position, table_text
from .images import FolderBytes

USAGE = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
TABLES = ("fer2013.csv", "icml_face_data.csv")
NAMES = "fer2013_labels.csv"
SIDE = 48
_ORDER = ORDERS["fer2013"]


class CsvPixels:
    """The images of fer2013.csv as PNG bytes; an image's name is its row, "00000", counted from 0."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def table(self) -> tuple[npt.NDArray[np.uint8], list[str], list[int]]:
        """Pixels (N, 48, 48), usage and emotion of each row (-1 where the file has none), read once."""
        pixels, usages, emotions = [], [], []
        csv.field_size_limit(1 << 20)
        with table_text(self.path) as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            if not {"pixels", "Usage"} <= {(f or "").strip() for f in rows.fieldnames or []}:
                raise DatasetError(
                    f"expected the columns emotion, pixels, Usage in {self.path}, found {rows.fieldnames}"
                )
            for line, row in enumerate(rows, start=2):
                plain = {(k or "").strip(): v for k, v in row.items()}
                try:
                    image = np.asarray((plain["pixels"] or "").split(), dtype=np.uint8).reshape(SIDE, SIDE)
                    emotion = int(plain.get("emotion") or -1)
                except (ValueError, OverflowError):
                    raise DatasetError(
                        f"expected {SIDE * SIDE} pixels from 0 to 255 and an emotion in {self.path}, line {line}; "
                        f"found {len((plain['pixels'] or '').split())} values"
                    ) from None
                if plain["Usage"] not in USAGE:
                    raise DatasetError(
                        f"expected one of {', '.join(USAGE)} in {self.path}, line {line}; found {plain['Usage']!r}"
                    )
                pixels.append(image)
                usages.append(plain["Usage"])
                emotions.append(emotion)
        return np.stack(pixels) if pixels else np.empty((0, SIDE, SIDE), np.uint8), usages, emotions

    def get(self, name: str) -> bytes:
        """The row of that name, as PNG."""
        try:
            image = self.table[0][int(Path(name).name)]
        except (ValueError, IndexError):
            raise FileNotFoundError(f"{self.path}:{name}") from None
        return bytes(cv2.imencode(".png", image)[1])

    def names(self) -> set[str]:
        """Every row."""
        return {f"{row:05d}" for row in range(len(self.table[0]))}


def find_table(path: Path) -> Path | None:
    """The pixel table of a folder, if there is one."""
    return next((path / name for name in TABLES if (path / name).is_file()), None)


def read(path: Path, options: Mapping[str, object]) -> Listing:
    """FER2013 out of its table, or out of names beside image folders."""
    table = find_table(path)
    skip_ambiguous = bool(options.get("skip_ambiguous", False))
    if table is not None:
        if skip_ambiguous:
            raise UsageError(f"expected {NAMES}, which says what is ambiguous, for skip_ambiguous; found {table}")
        return _from_pixels(table)
    if (path / NAMES).is_file():
        return _from_names(path, skip_ambiguous=skip_ambiguous)
    raise DatasetError(
        f"expected {' or '.join(TABLES)}, or {NAMES} beside {', '.join(FOLDERS.values())}, in {path}, found neither; "
        "class folders (train/angry/…) are of the kind `folder`"
    )


def _from_pixels(table: Path) -> Listing:
    source = CsvPixels(table)
    rows: dict[str, list[Labeled]] = {split: [] for split in FOLDERS}
    _, usages, emotions = source.table
    for row, (usage, emotion) in enumerate(zip(usages, emotions, strict=True)):
        rows[USAGE[usage]].append((f"{row:05d}", position(emotion, 0, _ORDER, f"{table}, line {row + 2}")))
    return Listing(_ORDER, rows, source, gray=True)


def _from_names(path: Path, *, skip_ambiguous: bool) -> Listing:
    rows: dict[str, list[Labeled]] = {split: [] for split in FOLDERS}
    ambiguous = 0
    with table_text(path / NAMES) as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                split, name, emotion = USAGE[row["usage"]], row["image_name"], int(row["emotion"])
            except (KeyError, TypeError, ValueError):  # no such column, a short row, no number
                name = None
            if not name:
                raise DatasetError(
                    f"expected usage, image_name and emotion in {path / NAMES}, line {line}; found {row}"
                )
            doubtful = row.get("ambiguous") == "1"
            ambiguous += doubtful
            if not (doubtful and skip_ambiguous):
                k = position(emotion, 0, _ORDER, f"{path / NAMES}, line {line}")
                rows[split].append((f"{FOLDERS[split]}/{name}", k))
    here = {split: found for split, found in rows.items() if (path / FOLDERS[split]).is_dir()}
    what = "near-duplicates with different labels " + ("(left out)" if skip_ambiguous else "(counted)")
    notes = (Issue("all", what, ambiguous),) if ambiguous else ()
    return Listing(_ORDER, here, FolderBytes(path), gray=True, notes=notes)
