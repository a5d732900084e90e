"""Crops that wait on disk between two stages, in a file without a name: nothing is left of it after a kill."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
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

    def rows(
        self,
        frames: npt.NDArray[np.int32],
        boxes: npt.NDArray[np.float32],
        bounds: Sequence[Box],
        which: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.int64] | None:
        """Return the rows of crops (N,), or None if one is missing.

        Args:
            frames: (N,).
            boxes: (N, 4).
            bounds: distinct bounds.
            which: (N,) index in `bounds`.
        """
        known = self._entries[: self._count]
        numbers = np.array([self._bounds.get(b, -1) for b in bounds], np.int32)[which]
        if not len(known) or not len(frames):
            return None if len(frames) else np.empty(0, np.int64)
        theirs = _mixed(known["frame"], known["bounds"], known["box"])
        order = np.argsort(theirs, kind="stable")
        at = np.searchsorted(theirs, _mixed(frames, numbers, boxes), sorter=order)
        found = order[np.minimum(at, len(order) - 1)]
        there = known[found]
        same = (there["frame"] == frames) & (there["bounds"] == numbers) & (there["box"] == boxes).all(axis=1)
        return found if same.all() else None

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


def _mixed(
    frame: npt.NDArray[np.int32], bounds: npt.NDArray[np.int32], box: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint64]:
    """Mix what identifies each crop into one number (N,); equal numbers are compared in full."""
    box_bits = np.ascontiguousarray(box, np.float32).view(np.uint32)
    mixed = np.zeros(len(frame), np.uint64)
    for word in (frame, bounds, *box_bits.T):
        mixed = (mixed ^ word.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
