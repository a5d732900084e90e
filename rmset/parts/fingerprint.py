"""Fingerprints of videos: changes of brightness over time, by which a copy is known after re-encoding or editing.

A fingerprint has the mean brightness of 32 x 32 blocks of the picture, four times a second, without its mean over the
surrounding eight seconds. So what never changes (borders, logos, templates, black bars, faces at rest) is not in it,
and no picture can be made of it. `rmset.parts.twins` compares two fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 32
RATE = 4
"""samples per second"""
_AROUND = 4 * RATE
"""samples on each side whose mean is subtracted"""
GAIN = 2
"""steps per gray level"""
VERSION = 1

Signal = npt.NDArray[np.int8]
"""(T, 32, 32)"""
Gray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fingerprint:
    """Changes of brightness of one video."""

    signal: Signal

    def __post_init__(self) -> None:
        """Check the shape."""
        if self.signal.ndim != 3 or self.signal.shape[1:] != (SIDE, SIDE) or self.signal.dtype != np.int8:
            raise ValueError(f"expected int8 (T, {SIDE}, {SIDE}), found {self.signal.dtype} {self.signal.shape}")

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return len(self.signal) / RATE


def moments(time_ms: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Frames to sample: the one that is shown at each moment, ascending; a frame may be shown at several.

    Args:
        time_ms: (N,) times of all frames, ascending.
    """
    if not len(time_ms):
        return np.empty(0, np.int64)
    last = float(time_ms[-1])
    at = np.arange(0, last + 1, 1000 / RATE)
    return np.clip(np.searchsorted(time_ms, at + 1e-6, side="right") - 1, 0, None).astype(np.int64)


def blocks(gray: Gray) -> npt.NDArray[np.float32]:
    """Mean brightness of the blocks of a picture (H, W): float32 (32, 32)."""
    return np.asarray(cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def is_empty(found: Fingerprint) -> bool:
    """Whether nothing in the video moves, so that no copy can be recognized."""
    return not found.signal.any()


def fingerprint(samples: Iterable[npt.NDArray[np.float32]]) -> Fingerprint:
    """Make a fingerprint of `blocks` at each moment."""
    values = np.asarray(list(samples), np.float32).reshape(-1, SIDE, SIDE)
    total = np.concatenate([np.zeros((1, SIDE, SIDE)), np.cumsum(values, axis=0, dtype=np.float64)])
    at = np.arange(len(values))
    low, high = np.maximum(at - _AROUND, 0), np.minimum(at + _AROUND + 1, len(values))
    mean = (total[high] - total[low]) / (high - low)[:, None, None]
    return Fingerprint(np.clip(np.rint((values - mean) * GAIN), -127, 127).astype(np.int8))
