"""MOTChallenge text files: truth and tracks as other trackers and scorers read and write them.

    frame, id, left, top, width, height, confidence, class, visibility

Frames and ids count from 1 there and from 0 here. In a truth, confidence 0 marks optional faces.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.bounded import read_text
from rmset.errors import RmsetError
from rmset.inspect.scores import Boxed
from rmset.outputs import written

_MOST = 1 << 30
"""bytes of a table; one video has some hundred MB at most"""
TRACKER = "rmset"
"""Name of the folder of written tracks."""


def is_mot(path: Path) -> bool:
    """Whether the file has a MOTChallenge name."""
    return path.suffix == ".txt"


def read_truth(path: Path) -> tuple[Boxed, Boxed]:
    """Read required and optional faces of a truth.

    Raises:
        RmsetError: the file is missing or not a MOTChallenge table.
    """
    rows = _rows(path)
    must = rows[:, 6] != 0
    return _boxed(rows[must]), _boxed(rows[~must])


def read_tracks(path: Path) -> Boxed:
    """Read faces found by a tracker.

    Raises:
        RmsetError: the file is missing or not a MOTChallenge table.
    """
    return _boxed(_rows(path))


def write_truth(folder: Path, name: str, must: Boxed, may: Boxed, frames: int, size: tuple[int, int]) -> Path:
    """Write `folder/gt/<name>/gt/gt.txt` with its seqinfo.ini, for TrackEval."""
    both = np.concatenate([_table(must, 1.0, (1, 1)), _table(may, 0.0, (1, 0))])
    path = folder / "gt" / name / "gt" / "gt.txt"
    _write(path, both)
    about = f"[Sequence]\nname={name}\nseqLength={frames}\nimWidth={size[0]}\nimHeight={size[1]}\n"
    with written(path.parent.parent / "seqinfo.ini") as partial:
        partial.write_text(about, encoding="utf-8")
    return path


def write_tracks(folder: Path, name: str, found: Boxed) -> Path:
    """Write `folder/trackers/rmset/data/<name>.txt`, for TrackEval."""
    path = folder / "trackers" / TRACKER / "data" / f"{name}.txt"
    _write(path, _table(found, 1.0, (-1, -1)))
    return path


def _rows(path: Path) -> npt.NDArray[np.float64]:
    """(N, 7) numbers: frame, id, left, top, width, height, confidence."""
    try:
        text = read_text(path, _MOST)
    except FileNotFoundError as error:
        raise RmsetError(f"MOTChallenge file {path}: cannot be read ({error.strerror}); give a gt.txt") from error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        rows = [[float(v) for v in line.replace(",", " ").split()[:7]] for line in lines]
    except ValueError as error:
        raise RmsetError(f"MOTChallenge file {path}: expected numbers between commas, found {error}") from error
    for number, row in enumerate(rows, 1):
        if len(row) < 7 or not all(map(math.isfinite, row)) or row[0] < 1 or row[1] < 1 or row[4] <= 0 or row[5] <= 0:
            raise RmsetError(
                f"MOTChallenge file {path}, line {number}: expected frame,id,left,top,width,height,confidence with "
                f"frames and ids from 1 and sizes above 0, found {lines[number - 1]!r}"
            )
    return np.array(rows, np.float64).reshape(-1, 7)


def _boxed(rows: npt.NDArray[np.float64]) -> Boxed:
    corners = np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
    return Boxed.of(rows[:, 0] - 1, rows[:, 1] - 1, corners)


def _table(faces: Boxed, confidence: float, kind: tuple[int, int]) -> npt.NDArray[np.float64]:
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    rest = np.tile([confidence, *kind], (len(faces.frame), 1))
    return np.column_stack([faces.frame + 1, faces.name + 1, faces.boxes[:, :2], size, rest])


def _write(path: Path, rows: npt.NDArray[np.float64]) -> None:
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    form = ["%d", "%d", "%.3f", "%.3f", "%.3f", "%.3f", "%g", "%d", "%d"]
    with written(path) as partial, partial.open("w", encoding="utf-8") as file:
        np.savetxt(file, rows[order], fmt=form, delimiter=",")
