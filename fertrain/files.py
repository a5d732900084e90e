"""Atomic file writes: a killed process leaves the old file or the new one, never a partial result."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rmset.outputs import written


def whole(path: Path) -> AbstractContextManager[Path]:
    """Yield a temporary path; its file replaces `path` once it is on disk.

    Raises:
        RmsetError: on leaving, if the disk is full or the folder cannot be written.
    """
    return written(path, mode=None)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same columns as CSV, none if empty; None becomes an empty cell."""
    with whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_figure(path: Path, figure: Any, **settings: Any) -> None:
    """Write a figure of matplotlib, in the form that the file's ending names.

    Args:
        path: the file.
        figure: the figure.
        **settings: of `savefig`.
    """
    with whole(path) as part:
        figure.savefig(part, format=path.suffix[1:], **settings)


def write_json(path: Path, values: Any) -> None:
    """Write indented JSON, with a newline at the end."""
    write_text(path, json.dumps(values, indent=1) + "\n")
