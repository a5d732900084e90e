"""A hash of what moves in a frame, 64 bits: it tells neighboring frames apart, where a hash of the picture hardly does.

Edges of a thumbnail are projected on fixed directions, and the mean of half a second before and after is subtracted, so
that all that stands still cancels; the bits are the signs of the rest. Re-encoding, scaling and another rate change few
of them. Of a picture that stands still they are noise, so each frame also has the strength of its motion.
"""

from __future__ import annotations

import hashlib
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

BITS = 64
BYTES = BITS // 8
_SIZE = (96, 54)
"""width and height of the thumbnail: fine enough for edges, coarse enough for 240 lines"""
_CELLS = _SIZE[0] * _SIZE[1]
_WINDOW_MS = 500.0

Projected = npt.NDArray[np.float32]
"""(N, BITS)"""


@cache
def _directions() -> npt.NDArray[np.float32]:
    """Return (cells, BITS) of ±1 / √cells, the same everywhere and always."""
    data = b"".join(hashlib.sha256(f"rmset motion {n}".encode()).digest() for n in range(_CELLS * BITS // 256))
    signs = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(_CELLS, BITS)
    return np.asarray((signs.astype(np.float32) * 2 - 1) / np.sqrt(_CELLS), dtype=np.float32)


def projected(gray: npt.NDArray[np.uint8]) -> Projected:
    """Return the edges of a frame, uint8 (H, W), on the fixed directions: (BITS,)."""
    small = cv2.resize(gray, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    edges = small - cv2.blur(small, (5, 5))
    return np.asarray(edges.reshape(-1) @ _directions(), dtype=np.float32)


def motion(rows: Projected, time_ms: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Hash the motion of each frame.

    Args:
        rows: `projected` frames.
        time_ms: (N,) ascending.

    Returns:
        uint8 (N, 8) hashes, and float32 (N,) strength in gray levels of a cell.
    """
    first = np.searchsorted(time_ms, time_ms - _WINDOW_MS, side="left")
    last = np.searchsorted(time_ms, time_ms + _WINDOW_MS, side="right")
    sums = np.concatenate([np.zeros((1, BITS)), np.cumsum(rows, axis=0, dtype=np.float64)])
    moved = rows - (sums[last] - sums[first]) / (last - first)[:, None]
    strength = np.sqrt((moved**2).mean(axis=1))
    return np.packbits(moved > 0, axis=1), strength.astype(np.float32)
