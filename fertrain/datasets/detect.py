"""Detect the kind of data set in a folder: by layout first, then by published class counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rmset.errors import UsageError

from ..errors import DatasetError
from . import affectnet, fer2013, ferplus, posed, rafdb
from .folder import class_folders, split_folders
from .label_table import find_column, read_header
from .packed import NOTE
from .sources import children, files_below, folders

_JAFFE = re.compile(r"[A-Za-z]{2}\.(AN|DI|FE|HA|NE|SA|SU)\d\.\d+\.tiff?", re.IGNORECASE)
_FERG = re.compile(r"[a-z]+_(anger|disgust|fear|joy|neutral|sadness|surprise)")
_TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Guess:
    """The detected kind of a folder."""

    kind: str
    """A kind of `registry.KINDS`, or `rmset`."""
    path: Path
    """The folder that the kind reads."""
    why: str
    """The evidence, in words."""


Look = Callable[[Path], str | None]
"""Test for one kind: evidence for it in a folder; None if there is none."""


def _rmset(path: Path) -> str | None:
    found = [name for name in ("videos", "layouts", "tracks", "crops") if (path / name).is_dir()]
    return f"{', '.join(f'{name}/' for name in found)} of an RMset root" if len(found) > 1 or "crops" in found else None


def _packed(path: Path) -> str | None:
    return f"{NOTE} of a packed set" if (path / NOTE).is_file() else None


def _ferplus(path: Path) -> str | None:
    for base in ferplus.find_bases(path):
        if (base / ferplus.VOTES).is_file():
            return f"{ferplus.VOTES} (votes of FERPlus)"
        if (base / fer2013.FOLDERS["train"] / ferplus.LIST).is_file():
            return f"{ferplus.LIST} in {fer2013.FOLDERS['train']}/ (votes of FERPlus)"
    return None


def _fer2013(path: Path) -> str | None:
    if (table := fer2013.find_table(path)) is not None:
        return f"{table.name} (emotion, pixels, Usage)"
    if (path / fer2013.NAMES).is_file():
        return f"{fer2013.NAMES} beside FER2013Train/"
    return "train.csv with emotion and pixels" if fer2013.find_competition(path) else None


def _rafdb(path: Path) -> str | None:
    if (found := rafdb.find_list(path)) is not None:
        return f"{found[1].name} (labels of RAF-DB)"
    base = rafdb.find_numbered(path)
    if base is None:
        return None
    for split in split_folders(base).values():
        for image in children(split / "1")[:1]:
            if re.fullmatch(r"(train|test)_\d+_aligned", image.stem):
                return f"folders 1 to 7 with {image.name} (RAF-DB of Kaggle)"
    return None


def _affectnet(path: Path) -> str | None:
    if tables := affectnet.find_tables(path):
        return f"{', '.join(p.name for p in tables.values())} (AffectNet's tables)"
    if annotated := affectnet.find_annotated(path):
        return f"annotations/ in {', '.join(p.name for p in annotated.values())} (AffectNet's folders)"
    if affectnet.find_yolo(path) is not None:
        return "images/ and labels/ in each split (YOLO layout)"
    return "labels.csv with pth and label (AffectNet of Kaggle)" if affectnet.find_kaggle(path) else None


def _ckplus(path: Path) -> str | None:
    if posed.find_ck(path) is not None:
        return "cohn-kanade-images/ (CK+)"
    if posed.find_ck48(path) is not None:
        return "class folders with files like S010_004_00000017.png (CK+48)"
    return f"{posed.CK_TABLE} (CK+ of Kaggle)" if (path / posed.CK_TABLE).is_file() else None


def _jaffe(path: Path) -> str | None:
    first = next((p.name for p in files_below(path) if p.suffix.lower() in (".tiff", ".tif")), "")
    return f"files like {first} (JAFFE)" if _JAFFE.fullmatch(first) else None


def _ferg(path: Path) -> str | None:
    base = path / "FERG_DB_256" if (path / "FERG_DB_256").is_dir() else path
    found = [inner.name for outer in folders(base) for inner in folders(outer)]
    return f"folders like {found[0]} (FERG)" if found and all(_FERG.fullmatch(name) for name in found) else None


def _parquet(path: Path) -> str | None:
    found = next((p.name for p in sorted(files_below(path)) if p.suffix == ".parquet"), None)
    return f"{found} (Parquet)" if found else None


def _csv(path: Path) -> str | None:
    for file in children(path):
        if file.suffix.lower() not in _TABLES or not file.is_file():
            continue
        try:
            columns = read_header(file)
        except DatasetError:
            continue
        image, label = (find_column(columns, what, {}, file) for what in ("image", "label"))
        if image and label:
            return f"{file.name} with the columns {image} and {label}"
    return None


def _folder(path: Path) -> str | None:
    splits = split_folders(path)
    if splits and any(folders(folder) for folder in splits.values()):
        return f"{', '.join(p.name + '/' for p in splits.values())} with a folder for each class"
    owners = class_folders(path)
    return f"a folder for each class ({', '.join(owners[:4])} …), no splits" if len(owners) > 1 else None


LOOKS: dict[str, Look] = {
    "packed": _packed, "rmset": _rmset, "ferplus": _ferplus, "fer2013": _fer2013, "rafdb": _rafdb,
    "affectnet": _affectnet, "ckplus": _ckplus, "ferg": _ferg, "jaffe": _jaffe, "parquet": _parquet, "csv": _csv,
    "folder": _folder,
}  # fmt: skip
"""Tests by kind, the most specific layouts first."""


def detect(path: Path) -> Guess:
    """Return the kind of data set in a folder, or in its only subfolder.

    Raises:
        UsageError: there is no such folder, or its layout is unknown.
    """
    if not path.is_dir():
        raise UsageError(f"expected a folder for the data set, found none at {path}")
    here = path
    for _ in range(3):
        for kind, look in LOOKS.items():
            if (why := look(here)) is not None:
                return Guess(kind, here, why)
        inner = folders(here)
        if len(inner) != 1:
            break
        here = inner[0]
    names = ", ".join(p.name for p in children(path)[:6]) or "an empty folder"
    raise UsageError(
        f"expected a layout of a labeled set or a root in {path}, found {names}; give its `kind` "
        f"({', '.join(LOOKS)}), or put images into split/class folders"
    )
