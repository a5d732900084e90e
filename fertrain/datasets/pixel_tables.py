"""Tables that hold pixels as text: fer2013.csv, icml_face_data.csv, the competition's train.csv, ckextended.csv."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from .classes import spelled
from .label_table import iter_rows, read_header, split_of

SIDE = 48
USAGE = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}


@dataclass(frozen=True)
class PixelRows:
    """The rows of a table of pixels."""

    pixels: npt.NDArray[np.uint8]
    """(N, 48, 48)."""
    splits: list[str]
    """Split, by the column Usage, else by the file's name."""
    emotions: list[int]
    """Class number; -1 where the file has none."""
    places: list[str]
    """File and line, for messages."""


class CsvPixels:
    """The images of a table as PNG bytes; an image's name is its row, "00000", counted from 0.

    Several tables are read as one, in order.
    """

    def __init__(self, path: Path, *more: Path) -> None:
        self.path = path
        self.paths = (path, *more)

    @cached_property
    def table(self) -> PixelRows:
        """Every row, read once."""
        pixels, splits, emotions, places = [], [], [], []
        for path in self.paths:
            if "pixels" not in read_header(path):
                raise DatasetError(
                    f"expected the columns emotion, pixels, Usage in {path}, found {list(read_header(path))}"
                )
            for row in iter_rows(path):
                where = f"{path}, line {row.line}"
                values = row.cells["pixels"].split()
                emotion = spelled(row.cells.get("emotion") or "-1")
                try:
                    image = np.asarray(values, dtype=np.uint8).reshape(SIDE, SIDE)
                    number = int(emotion)
                except (ValueError, OverflowError):
                    raise DatasetError(
                        f"expected {SIDE * SIDE} pixels from 0 to 255 and an emotion in {where}; found {len(values)} "
                        "values"
                    ) from None
                usage = row.cells.get("Usage") or path.stem
                split = split_of(usage)
                if split is None:
                    raise DatasetError(f"expected one of {', '.join(USAGE)} in {where}; found {usage!r}")
                pixels.append(image)
                splits.append(split)
                emotions.append(number)
                places.append(where)
        stacked = np.stack(pixels) if pixels else np.empty((0, SIDE, SIDE), np.uint8)
        return PixelRows(stacked, splits, emotions, places)

    def labeled(self) -> Iterator[tuple[str, str, int, str]]:
        """Name, split, emotion and place of every row."""
        for row, (split, emotion, where) in enumerate(
            zip(self.table.splits, self.table.emotions, self.table.places, strict=True)
        ):
            yield f"{row:05d}", split, emotion, where

    def get(self, name: str) -> bytes:
        """Return the row of that name, as PNG."""
        try:
            image = self.table.pixels[int(Path(name).name)]
        except (ValueError, IndexError):
            raise FileNotFoundError(f"{self.path}:{name}") from None
        return bytes(cv2.imencode(".png", image)[1])

    def names(self) -> set[str]:
        """Names of all rows."""
        return {f"{row:05d}" for row in range(len(self.table.pixels))}
