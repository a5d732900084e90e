"""How the faces of a folder were cut out, where that is known: a note that `datasets align` leaves beside its crops.

crop.toml     size, widen, min_face: as `align.AlignSettings`
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import to_toml
from ..contract import AS_LABELLED, widened
from ..errors import DatasetError

NOTE = "crop.toml"


def note_crop(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write down how the faces of a folder were cut."""
    (folder / NOTE).write_text(to_toml(settings), encoding="utf-8")


def crop_of(folder: Path) -> str:
    """How they were cut, as an `InputContract` says it.

    Raises:
        DatasetError: there is a note that cannot be read.
    """
    note = folder / NOTE
    if not note.is_file():
        return AS_LABELLED
    try:
        return widened(float(tomllib.loads(note.read_text(encoding="utf-8"))["widen"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"expected a number for widen in {note}, found: {error!r}") from None
