"""Mean over a centered window of a series of which some values are unknown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def windowed_mean(values: npt.NDArray[np.float64], known: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.float64]:
    """Average the known values within a window around each, (T,) -> (T,); 0 where the window has none.

    Args:
        values: (T,) series; unknown values may be anything, NaN too.
        known: (T,) which values count.
        steps: length of the window, odd.
    """
    window = np.ones(steps)
    inside = slice(steps // 2, steps // 2 + len(values))
    total = np.convolve(np.where(known, values, 0.0), window, mode="full")[inside]
    count = np.convolve(known.astype(np.float64), window, mode="full")[inside]
    return np.asarray(total / np.maximum(count, 1), dtype=np.float64)
