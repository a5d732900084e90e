"""Contact sheet of a labeled set: classes × splits, with the labels that training uses.

It makes label mix-ups visible: a row of happy faces titled sadness.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rmset.progress import Progress, silent

from ..errors import DatasetError
from ..files import whole
from .base import LabeledSet, Split
from .images import decode, resized

Pixels = npt.NDArray[np.uint8]
_LEFT, _TOP, _GAP = 104, 44, 10
_PAPER, _INK, _PALE = 250, (30, 30, 30), (150, 150, 150)


@dataclass(frozen=True)
class Sheet:
    """The sheet and its counts."""

    file: Path
    """The PNG."""
    rows: list[dict[str, object]]
    """By class: how many images each split has."""


def draw(
    data: LabeledSet, out: Path, *, rule: str | None = None, each: int = 6, tile: int = 64, seed: int = 0,
    progress: Progress = silent,
) -> Sheet:  # fmt: skip
    """Write the sheet as PNG.

    Args:
        data: the set.
        out: the file.
        rule: rule that selects images by votes; None: the set's first.
        each: images per class and split.
        tile: side of an image, px.
        seed: of the images that are drawn.
        progress: progress callback.
    """
    splits = {name: data.load(name, rule or data.rules()[0]) for name in data.splits()}
    classes = data.order.classes
    width = each * tile
    sheet = np.full((_TOP + len(classes) * (tile + 4) + 8, _LEFT + len(splits) * (width + _GAP), 3), _PAPER, np.uint8)
    _text(sheet, f"{data.name}  (order {data.order.name})", (8, 16), _INK)
    rows: list[dict[str, object]] = []
    for line, name in enumerate(classes):
        top = _TOP + line * (tile + 4)
        _text(sheet, f"{line} {name}", (8, top + tile // 2), _INK)
        row: dict[str, object] = {"class": name}
        for column, (split_name, split) in enumerate(splits.items()):
            left = _LEFT + column * (width + _GAP)
            if not line:
                _text(sheet, f"{split_name}  {len(split):,}", (left, _TOP - 8), _INK)
            mine = np.flatnonzero(split.classes == line)
            row[split_name] = len(mine)
            for k, i in enumerate(np.random.default_rng([seed, line, column]).permutation(mine)[:each]):
                _put(sheet, split, int(i), (left + k * tile, top), tile)
        rows.append(row)
        progress("draw", line + 1, len(classes))
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as part:
        part.write_bytes(bytes(cv2.imencode(".png", sheet[:, :, ::-1])[1]))
    return Sheet(out, rows)


def _put(sheet: Pixels, split: Split, row: int, at: tuple[int, int], tile: int) -> None:
    x, y = at
    name = split.names[row]
    try:
        image = resized(decode(split.source.get(name), name, gray=split.gray), tile - 2)
    except (DatasetError, FileNotFoundError):
        _text(sheet, "?", (x + tile // 2 - 4, y + tile // 2), _PALE)  # reported by `check`
        return
    sheet[y : y + tile - 2, x : x + tile - 2] = image


def _text(sheet: Pixels, text: str, at: tuple[int, int], ink: tuple[int, int, int]) -> None:
    # the font has no letters beyond ASCII
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
