"""Any labeled set as folders: split/class/image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import DatasetError, UnknownNameError
from ..labels import canonical, order_of, order_of_set
from .base import GIVEN, SUFFIXES, Issue, Split, require_split
from .images import FolderBytes, decode, files_below

_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_GRAY_SAMPLE = 32


class Folder:
    """Classes are folder names ("happy" counts as "happiness"); their order is a known one, or is given."""

    def __init__(self, name: str, path: Path, classes: Sequence[str] = ()) -> None:
        self.name, self.path = name, path
        self._folders = {
            _SPLITS[p.name.lower()]: p for p in sorted(path.iterdir()) if p.is_dir() and p.name.lower() in _SPLITS
        }
        if "train" not in self._folders and "test" not in self._folders:
            raise DatasetError(
                f"expected folders train/CLASS/image (and valid/, test/) in {path}, "
                f"found {', '.join(sorted(p.name for p in path.iterdir())[:6]) or 'an empty folder'}"
            )
        found = frozenset(canonical(c.name) for f in self._folders.values() for c in f.iterdir() if c.is_dir())
        self.order = order_of(classes) if classes else order_of_set(found)
        if strange := sorted(found - set(self.order.classes)):
            raise DatasetError(f"expected the classes {', '.join(self.order.classes)} in {path}, found {strange[0]}")

    def splits(self) -> list[str]:
        """In the order train, valid, test."""
        return [split for split in ("train", "valid", "test") if split in self._folders]

    def rules(self) -> list[str]:
        """One label per image: nothing to choose."""
        return [GIVEN]

    def load(self, split: str, rule: str = GIVEN) -> Split:
        """All images of a split, sorted by name."""
        if rule != GIVEN:
            raise UnknownNameError("rule", rule, [GIVEN], f"{self.name} has one label per image, no votes")
        require_split(self, split)
        names, classes = [], []
        for path in sorted(files_below(self._folders[split])):
            if path.suffix.lower() in SUFFIXES and path.parent != self._folders[split]:
                names.append(path.relative_to(self.path).as_posix())
                owner = path.relative_to(self._folders[split]).parts[0]
                classes.append(self.order.classes.index(canonical(owner)))
        targets = np.eye(len(self.order), dtype=np.float32)[np.asarray(classes, dtype=np.int64)]
        return Split(self.name, split, GIVEN, self.order, tuple(names), targets, FolderBytes(self.path), self._gray)

    def findings(self) -> list[Issue]:
        """Images that no class folder holds, and classes without images."""
        found = []
        for split in self.splits():
            folder = self._folders[split]
            stray = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.is_dir())
            if stray:
                example = stray[0].relative_to(self.path).as_posix()
                found.append(Issue(split, "image outside of a class folder (skipped)", len(stray), example))
            found += [Issue(split, "empty class", 1, c) for c, n in self.load(split).counts().items() if n == 0]
        return found

    @cached_property
    def _gray(self) -> bool:
        """No color in an evenly spaced sample of the images."""
        source = FolderBytes(self.path)
        names = sorted(name for name in source.names() if Path(name).suffix.lower() in SUFFIXES)
        for name in names[:: max(1, len(names) // _GRAY_SAMPLE)]:
            try:
                image = decode(source.get(name), name, gray=False)
            except DatasetError:
                continue  # `check` reports it; it says nothing about color
            if (image != image[:, :, :1]).any():
                return False
        return bool(names)
