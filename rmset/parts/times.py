"""Presentation times of frames: milliseconds since the first, never decreasing.

The container's times are used if possible. They are missing in some files (AVI), and restart in the middle of others
(two recordings in one transport stream).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A longer pause in a transport stream starts a new recording, as in FFmpeg, seconds.
_PAUSE_S = 10.0
Stamps = Sequence[int | None]


@dataclass(frozen=True)
class Times:
    """Presentation times."""

    ms: npt.NDArray[np.float64]
    """float64 (N,), not decreasing, the first 0"""
    source: str
    """source of the times: `pts`, `dts` or `rate`"""
    continued: tuple[int, ...] = ()
    """frames at which the container's time restarts; time continues from the previous frame"""


def shown_at(
    packets: Sequence[int], pts: Stamps, dts: Stamps, base: float, rate: float, *, restarts: bool = False
) -> Times:
    """Time of each frame.

    Args:
        packets: number of the packet that each frame, in the order in which they are shown, comes from.
        pts: presentation time of each packet in units of `base`.
        dts: decoding time of each packet in units of `base`.
        base: seconds.
        rate: frames per second, for packets without any times.
        restarts: whether the container's time may restart after a long pause, as in transport streams.

    >>> shown_at([0, 2, 1], [0, 80, 40], [None] * 3, 0.001, 25).ms.tolist()
    [0.0, 40.0, 80.0]
    >>> shown_at([0, 2, 1], [None] * 3, [0, 40, 80], 0.001, 25).ms.tolist()
    [0.0, 40.0, 80.0]
    """
    step = 1 / (rate * base) if rate > 0 and base > 0 else 1.0
    recording = _recordings(packets, dts)
    chosen: Stamps = [pts[p] for p in packets]
    source = "pts"
    if not _rising(chosen, recording):
        sorted_dts = _sorted_within([dts[p] for p in packets], recording)
        if _rising(sorted_dts, recording):
            chosen, source = sorted_dts, "dts"
        elif all(stamp is None for stamp in chosen):
            source = "rate"
    stamps, continued = _continued(_filled(chosen, step), recording, step, _PAUSE_S / base if restarts else np.inf)
    ms = np.maximum.accumulate((stamps - stamps[:1]) * base * 1000)
    return Times(np.asarray(ms, np.float64), source, tuple(continued))


def _recordings(packets: Sequence[int], dts: Stamps) -> npt.NDArray[np.int64]:
    """Assign a recording to each frame: decoding times decrease where another begins."""
    known = np.array([at for at, d in enumerate(dts) if d is not None], np.int64)
    back = np.zeros(len(dts), np.int64)
    back[known[1:]] = np.diff(np.array([dts[at] for at in known], np.int64)) < 0
    # Frames buffered from one recording are shown before the next.
    return np.asarray(np.maximum.accumulate(np.cumsum(back)[np.asarray(packets, np.int64)]), np.int64)


def _rising(stamps: Stamps, recording: npt.NDArray[np.int64]) -> bool:
    """Whether all times are known and increase within each recording."""
    if any(stamp is None for stamp in stamps):
        return False
    values = np.array(stamps, np.int64)
    return bool((np.diff(values)[np.diff(recording) == 0] > 0).all())


def _sorted_within(stamps: Stamps, recording: npt.NDArray[np.int64]) -> Stamps:
    """Sort times within each recording: the k-th frame is shown when the k-th is decoded, later by a constant."""
    if any(stamp is None for stamp in stamps):
        return stamps
    values = np.array(stamps, np.int64)
    ordered: list[int | None] = values[np.lexsort((values, recording))].tolist()
    return ordered


def _filled(stamps: Stamps, step: float) -> npt.NDArray[np.float64]:
    """Fill missing times: evenly between neighbors, or one frame apart at the ends."""
    known = np.array([at for at, stamp in enumerate(stamps) if stamp is not None], np.int64)
    places = np.arange(len(stamps), dtype=np.float64)
    if not len(known):
        return np.asarray(places * step)
    values = np.array([stamps[at] for at in known], np.float64)
    filled = np.interp(places, known, values)
    filled[: known[0]] = values[0] - (known[0] - places[: known[0]]) * step
    filled[known[-1] + 1 :] = values[-1] + (places[known[-1] + 1 :] - known[-1]) * step
    return np.asarray(filled)


def _continued(
    stamps: npt.NDArray[np.float64], recording: npt.NDArray[np.int64], step: float, pause: float
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Shift each recording to start one frame after the previous one; also returns where that was needed."""
    steps = np.diff(stamps)
    anew = (np.diff(recording) > 0) & (steps <= 0) | (steps > pause)
    usual = steps[(steps > 0) & ~anew]
    steps[anew] = float(np.median(usual)) if len(usual) else step
    places = [int(at) + 1 for at in np.flatnonzero(anew)]
    return np.concatenate([stamps[:1], stamps[:1] + np.cumsum(steps.clip(min=0))]), places
