"""Files that appear whole or not at all: what a killed process was writing is never taken for a result."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rmset.outputs import written


def whole(path: Path) -> AbstractContextManager[Path]:
    """Give a path to write to, whose file replaces `path` once it is on disk, as those of a root do.

    Raises:
        RmsetError: on leaving, if the disk is full or the folder cannot be written.
    """
    return written(path, mode=None)


def write_text(path: Path, text: str) -> None:
    """UTF-8."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Any) -> None:
    """Indented, with a newline at the end."""
    write_text(path, json.dumps(values, indent=1) + "\n")
