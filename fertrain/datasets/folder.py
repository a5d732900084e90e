"""Any labeled set as folders: split/class/image, or class/image, which is then split by pixel hash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .base import SPLITS, Issue, Labeled, Level, Listed, Listing
from .classes import Given, read_classes, spelled
from .label_table import split_of
from .pictures import pixel_hashes
from .sources import FolderBytes, children, files_below, folders, is_image

Found = dict[str, list[tuple[str, str]]]
"""By split: (name of an image, its class folder)."""
VALID, TEST = 10, 20
"""Percent of pictures for `valid` and `test` in a set without splits."""


def read(path: Path, options: Mapping[str, Any]) -> Listing:
    """Read class folders ("happy" counts as "happiness"); their order is a known one, or is given.

    Raises:
        DatasetError: no such folders, or two folders for one split.
        LabelError: classes of no known order, or numbers of unknown meaning.
    """
    by_split = split_folders(path)
    notes: list[Issue] = []
    found: Found
    if by_split:
        found = {split: _images(folder, path, split, notes) for split, folder in by_split.items()}
    else:
        found = _drawn(_images(path, path, "all", notes), path, notes)
    counts = {split: Counter(spelled(owner) for _, owner in rows) for split, rows in found.items()}
    classes = read_classes(counts, options.get("classes"), str(path))
    if classes.why:
        notes.append(Issue("all", classes.why, sum(map(len, found.values()))))
    rows: dict[str, list[Labeled]] = {
        split: [(name, classes.position(owner, f"the folder of {name}")) for name, owner in listed]
        for split, listed in found.items()
    }
    return Listing(classes.order, rows, FolderBytes(path), None, tuple(notes), folders=tuple(by_split))


def split_folders(path: Path) -> dict[str, Path]:
    """Return the split folders of a set by split; empty if it has none."""
    found: dict[str, Path] = {}
    for folder in folders(path):
        split = split_of(folder.name)
        if split is None:
            continue
        if split in found:
            raise DatasetError(
                f"expected one folder for the split {split} in {path}, found {found[split].name} and {folder.name}; "
                "merge them, or move one of them away"
            )
        found[split] = folder
    return {split: found[split] for split in SPLITS if split in found}


def class_folders(path: Path) -> list[str]:
    """Return the folders of images directly below a folder."""
    return [p.name for p in folders(path) if any(is_image(f) for f in children(p) if f.is_file())]


def _images(folder: Path, base: Path, split: str, notes: list[Issue]) -> list[tuple[str, str]]:
    """Images in the class folders of a split, sorted; other files are noted."""
    found: list[tuple[str, str]] = []
    stray: list[str] = []
    other: list[str] = []
    for path in sorted(files_below(folder)):
        name = path.relative_to(base).as_posix()
        if not is_image(path):
            other.append(name)
        elif path.parent == folder:
            stray.append(name)
        else:
            found.append((name, path.relative_to(folder).parts[0]))
    if stray:
        notes.append(Issue(split, "image outside of a class folder (skipped)", len(stray), stray[0], Level.WARNING))
    if other:
        notes.append(Issue(split, "file that is not an image (skipped)", len(other), other[0]))
    return found


def _drawn(found: Sequence[tuple[str, str]], path: Path, notes: list[Issue]) -> Found:
    """Split a set without splits by pixel hash, so that copies of a picture stay together."""
    if len({owner for _, owner in found}) < 2:
        here = ", ".join(p.name for p in children(path)[:6]) or "an empty folder"
        raise DatasetError(
            f"expected folders train/CLASS/image (and valid/, test/), or CLASS/image, in {path}, found {here}"
        )
    source = FolderBytes(path)
    sides: Found = {split: [] for split in SPLITS}
    for (name, owner), digest in zip(found, pixel_hashes(source, [n for n, _ in found]), strict=True):
        # an unreadable image stays in, so that training or `check` reports it
        part = int(digest[:8], 16) % 100 if digest else 99
        side = "test" if part < TEST else "valid" if part < TEST + VALID else "train"
        sides[side].append((name, owner))
    what = (
        f"no split folders: split by what the pictures show, {100 - TEST - VALID} : {VALID} : {TEST}; one person may "
        "be on several sides"
    )
    notes.append(Issue("all", what, len(found), level=Level.WARNING))
    return {split: rows for split, rows in sides.items() if rows}


class Folder(Listed):
    """A set of class folders."""

    def __init__(self, name: str, path: Path, classes: Given | Iterable[str] = ()) -> None:
        given = classes if isinstance(classes, Mapping) else list(classes)
        super().__init__(name, read(path, {"classes": given} if given else {}))
        self.path = path
