"""Crops that wait on disk between two stages, in a file without a name: nothing is left of it after a kill."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box
from rmset.parts.cropping import EncodedCrop

_ENTRY = np.dtype(
    [
        ("frame", np.int32),
        ("bounds", np.int32),
        ("box", np.float32, 4),
        ("time_ms", np.float64),
        ("offset", np.int64),
        ("bytes", np.int32),
        ("sharpness", np.float64),
        ("brightness", np.float64),
        ("padding", np.float64),
    ]
)
_GROWTH = 4096
_OUTSIDE = -1
"""stands for the bytes of a face outside its bounds"""


@dataclass(frozen=True)
class Cut:
    """What is cut out: a face's box within bounds, both xyxy px, at a time of the video."""

    frame_idx: int
    time_ms: float
    box: npt.NDArray[np.float32]
    """(4,)"""
    bounds: Box


class Spool:
    """Crops by frame, box and bounds.

    Args:
        folder: folder on the disk that holds the file.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._entries = np.empty(0, _ENTRY)
        self._count = self._end = 0
        self._bounds: dict[Box, int] = {}
        self._order: npt.NDArray[np.int64] | None = None

    def close(self) -> None:
        """Free the disk."""
        with suppress(OSError):
            self._file.close()

    def add(self, cut: Cut, crop: EncodedCrop | None) -> None:
        """Add a crop; None if the face lies outside its bounds.

        Raises:
            OSError: the disk is full.
        """
        if self._count == len(self._entries):
            self._entries = np.concatenate([self._entries, np.empty(max(_GROWTH, self._count // 4), _ENTRY)])
        bounds = self._bounds.setdefault(cut.bounds, len(self._bounds))
        entry = self._entries[self._count]
        if crop is None:
            stored: tuple[float, ...] = (0, _OUTSIDE, 0.0, 0.0, 0.0)
        else:
            stored = (self._end, len(crop.data), crop.sharpness, crop.brightness, crop.padding)
            self._file.write(crop.data)
            self._end += len(crop.data)
        for name, value in zip(_ENTRY.names or (), (cut.frame_idx, bounds, cut.box, cut.time_ms, *stored), strict=True):
            entry[name] = value
        self._count += 1
        self._order = None

    def rows(self, cuts: list[tuple[int, npt.NDArray[np.float32], Box]]) -> npt.NDArray[np.int64] | None:
        """Return the rows of crops by (frame, box, bounds), or None if one is missing."""
        if self._order is None:
            self._order = np.argsort(self._entries["frame"][: self._count], kind="stable")
        frames = self._entries["frame"][self._order]
        found = np.empty(len(cuts), np.int64)
        for number, (frame_idx, box, bounds) in enumerate(cuts):
            low, high = np.searchsorted(frames, [frame_idx, frame_idx + 1])
            there = self._order[low:high]
            known = self._entries[there]
            same = (known["bounds"] == self._bounds.get(bounds, -1)) & (known["box"] == box).all(axis=1)
            if not same.any():
                return None
            found[number] = there[int(same.argmax())]
        return found

    def read(self, row: int) -> tuple[float, EncodedCrop | None]:
        """Return the time of a crop's frame, ms, and the crop; None for a face outside its bounds.

        Raises:
            OSError: the disk fails.
        """
        entry = self._entries[row]
        if entry["bytes"] == _OUTSIDE:
            return float(entry["time_ms"]), None
        self._file.flush()
        data = os.pread(self._file.fileno(), int(entry["bytes"]), int(entry["offset"]))
        if len(data) != entry["bytes"]:
            raise OSError("the spool is shorter than was written")
        measured = (float(entry[name]) for name in ("sharpness", "brightness", "padding"))
        return float(entry["time_ms"]), EncodedCrop(data, *measured)
