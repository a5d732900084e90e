"""RAF-DB, basic expressions: 12,271 / 3,068 aligned images.

EmoLabel/list_patition_label.txt      "train_00001.jpg 5", the file name's spelling is the authors'
Image/aligned/train_00001_aligned.jpg
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import DatasetError
from ..labels import ORDERS
from .base import Labeled, Listing, position, table_text
from .images import FolderBytes

LIST = "list_patition_label.txt"
_ORDER = ORDERS["rafdb"]


def read(path: Path, options: Mapping[str, object]) -> Listing:
    """RAF-DB; `images = "original"` takes the photographs instead of the aligned faces (for `datasets align`)."""
    base = next((p for p in (path, path / "basic") if (p / "EmoLabel" / LIST).is_file()), None)
    if base is None:
        raise DatasetError(f"expected EmoLabel/{LIST} in {path}, found none; give the folder that is called basic")
    original = options.get("images") == "original"
    rows: dict[str, list[Labeled]] = {"train": [], "test": []}
    file = base / "EmoLabel" / LIST
    with table_text(file) as stream:
        lines = stream.read().splitlines()
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        name, _, number = text.strip().partition(" ")
        split = name.partition("_")[0]
        if split not in rows or not number.strip().isdigit():
            raise DatasetError(f"expected 'train_00001.jpg 5' in {file}, line {line}; found {text!r}")
        k = position(int(number), 1, _ORDER, f"{file}, line {line}")
        stem = name.removesuffix(".jpg")
        rows[split].append((f"Image/original/{name}" if original else f"Image/aligned/{stem}_aligned.jpg", k))
    return Listing(_ORDER, rows, FolderBytes(base))
