"""Recognize copies of a video by fingerprints: re-encoded, mirrored, cropped, sped up, with parts cut off.

1. time:   offset and speed, by correlating features that neither mirroring nor cropping changes much
2. space:  mirrored or not, and the window of one picture that the other shows, by correlating all blocks
3. proof:  the share of moving blocks that change alike. Two mashups of one film agree only in the film's panel
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from rmset.parts.fingerprint import RATE, Fingerprint
from rmset.parts.fingerprint import SIDE as FINE

SPEEDS = tuple(round(0.88 + 0.01 * n, 2) for n in range(26))
"""speeds of one video relative to the other that are tried, 0.88 to 1.13"""
ALIKE = 0.8
"""least share of moving blocks that change alike in a copy"""
AGAINST = 0.05
"""largest share of moving blocks that have nothing in common in a copy"""
SIDE = FINE // 2
"""blocks of a side that are compared"""
SHORTEST_S = 6.0
"""least length in common, s: shorter parts agree by chance"""
_WINDOW = 48 * RATE
_WINDOWS = 3
_CANDIDATES = 3
# Least correlation of the features for an offset to be examined, and least overlap, samples.
_POSSIBLE = 0.25
_OVERLAP = 8 * RATE
# Least share of the shorter video that must be found in the other.
_PART = 0.5
# A block moves if its brightness varies by this much (standard deviation, steps of the fingerprint).
_MOVES = 1.6
# Fewest moving blocks, and least correlation of two that change alike.
_FEWEST = 10
_SAME = 0.5
_NOTHING = 0.25
# Largest part of the picture cut off on one side.
_CUT = 0.2

Array = npt.NDArray[np.float32]
Window = tuple[float, float, float, float]
_WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Twin:
    """How one video is found in another."""

    share: float
    """share of moving blocks that change alike"""
    against: float
    """share of moving blocks that have nothing in common: other people over the same film"""
    correlation: float
    """over all blocks"""
    speed: float
    """seconds of the first per second of the second"""
    offset_s: float
    """time of the first when the second starts"""
    mirrored: bool
    window: tuple[float, float, float, float]
    """(x0, y0, x1, y1) of the first's picture that the second shows, as shares of its sides"""
    seconds: float
    """length of what was compared"""
    whole: float
    """share of the shorter video that was compared"""

    def __str__(self) -> str:
        """Describe the edit in a few words.

        >>> str(Twin(0.99, 0.0, 0.95, 1.1, 0.0, True, (0.0, 0.0, 1.0, 0.9), 20.0, 1.0))
        'mirrored, cropped, at 1.10 of its speed'
        """
        edits = ["mirrored"] if self.mirrored else []
        edits += ["cropped"] if max(abs(v - (e > 1)) for e, v in enumerate(self.window)) > 0.02 else []
        edits += [f"at {self.speed:.2f} of its speed"] if abs(self.speed - 1) > 0.005 else []
        return ", ".join(edits) or "encoded again"

    @property
    def is_copy(self) -> bool:
        """Whether the one is a copy of the other."""
        long_enough = self.whole >= _PART and self.seconds >= SHORTEST_S
        return self.share >= ALIKE and self.against <= AGAINST and long_enough


def twin(one: Fingerprint, two: Fingerprint) -> Twin | None:
    """Find the second video in the first; None if there is no common part at all.

    The result may still be another video, such as one that shows the same film: see `Twin.is_copy`.
    """
    fine_a, fine_b = one.signal.astype(np.float32), two.signal.astype(np.float32)
    a, b = _pooled(fine_a), _pooled(fine_b)
    best: Twin | None = None
    for start in _starts(len(b)):
        part = b[start : start + _WINDOW]
        for speed, offset in _times(a, part):
            fitted = _examined(a, b, start, len(part), speed, offset - speed * start)
            found = _proof(fine_a, fine_b, *fitted)
            if found is not None and (
                best is None or (found.share, found.correlation) > (best.share, best.correlation)
            ):
                best = found
            if best is not None and best.is_copy:
                return best
    return best


def _starts(length: int) -> list[int]:
    """Return the starts of the windows that are searched for."""
    if length <= _WINDOW:
        return [0]
    return sorted({int(v) for v in np.linspace(0, length - _WINDOW, _WINDOWS)})


# 1. Time.


def _features(signal: Array) -> Array:
    """(8, T) series that mirroring does not change and cropping only little: bands of rows, inner and outer columns."""
    ring = np.minimum(np.arange(SIDE), SIDE - 1 - np.arange(SIDE))
    bands = signal.reshape(len(signal), 4, SIDE // 4, SIDE).mean(axis=2)
    inner, outer = bands[:, :, ring >= SIDE // 4].mean(axis=2), bands[:, :, ring < SIDE // 4].mean(axis=2)
    found = np.concatenate([inner, outer], axis=1).T
    # Large changes, such as cuts, must not hide the others.
    return np.asarray(np.clip(found / (found.std(axis=1, keepdims=True) + 1.0), -3, 3), np.float32)


def _times(a: Array, part: Array) -> list[tuple[float, float]]:
    """Likely (speed, offset in samples) of a part of the second video in the first."""
    mine, other = _features(a), _features(part)
    found: list[tuple[float, float, float]] = []
    for speed in SPEEDS:
        count = int((other.shape[1] - 1) * speed) + 1
        at = np.arange(count) / speed
        series = np.stack([np.interp(at, np.arange(other.shape[1]), row) for row in other]).astype(np.float32)
        score = _correlated(mine, series)
        peaks = np.argsort(-score, kind="stable")[:_CANDIDATES].tolist()
        found += [(float(score[k]), speed, float(k - (count - 1))) for k in peaks if score[k] >= _POSSIBLE]
    found.sort(key=lambda f: -f[0])
    kept: list[tuple[float, float]] = []
    for _, speed, offset in found:
        if all(abs(offset - o) > RATE or abs(speed - s) > 0.025 for s, o in kept):
            kept.append((speed, offset))
        if len(kept) == _CANDIDATES:
            break
    return kept


def _correlated(mine: Array, series: Array) -> npt.NDArray[np.float64]:
    """Return the normalized correlation of two sets of series for each shift: entry k is for offset k - (n - 1)."""
    n, m = mine.shape[1], series.shape[1]
    size = 1 << (n + m - 1).bit_length()

    def convolved(x: npt.NDArray, y: npt.NDArray) -> npt.NDArray[np.float64]:
        spectrum = (np.fft.rfft(x, size) * np.fft.rfft(y[:, ::-1], size)).sum(axis=0)
        return np.asarray(np.fft.irfft(spectrum, size)[: n + m - 1])

    ones = np.ones_like(mine), np.ones_like(series)
    cross = convolved(mine, series)
    energy = convolved(mine**2, ones[1]) * convolved(ones[0], series**2)
    overlap = convolved(ones[0][:1], ones[1][:1])
    score = cross / np.sqrt(np.maximum(energy, 1e-3))
    # A short overlap agrees by chance.
    least = min(_OVERLAP, min(n, m) // 2)
    score[overlap < least - 0.5] = -1
    return np.asarray(score * np.minimum(1, overlap / (2 * least)) ** 0.5)


# 2. Space, and 3. proof.


def _pooled(signal: Array) -> Array:
    """(T, 16, 16) of (T, 32, 32)."""
    return np.asarray(signal.reshape(len(signal), SIDE, 2, SIDE, 2).mean(axis=(2, 4)), np.float32)


def _examined(
    a: Array, b: Array, start: int, length: int, speed: float, offset: float
) -> tuple[float, float, bool, Window]:
    """Fit time and space in a window, and extend it to all that both videos have in common."""
    low, high = start, start + length
    speed, offset, mirrored, window = _fitted(a, b, (low, high), speed, offset)
    while (low, high) != (0, len(b)):
        # The longer the part, the finer its speed is known.
        more = high - low
        low, high = max(0, low - more // 2), min(len(b), high + more // 2)
        speed, offset = _in_time(a, b, (low, high), speed, offset, mirrored, window)
    return speed, offset, mirrored, window


def _proof(a: Array, b: Array, speed: float, offset: float, mirrored: bool, window: Window) -> Twin | None:
    """Compare the blocks of all that both videos have in common, at twice the resolution before the window is cut."""
    seen, shown = _in_step(a, b, (0, len(b)), speed, offset)
    window = _edges(seen, shown, mirrored, window)
    mine, other, valid = _in_place(seen, shown, mirrored, window)
    if len(mine) < min(_OVERLAP, len(b) // 2):
        return None
    share, against = _shares(mine, other, valid)
    whole = len(mine) / max(1, min(len(b), len(a) / speed))
    correlation = _score(mine, other, valid)
    time = round(speed, 4), round(offset / RATE, 2)
    return Twin(share, against, correlation, *time, mirrored, window, len(mine) / RATE, min(1.0, whole))


def _fitted(
    a: Array, b: Array, part: tuple[int, int], speed: float, offset: float
) -> tuple[float, float, bool, Window]:
    """Climb to the best time, side and window."""
    best = (-1.0, speed, offset, False, _WHOLE)
    for mirrored in (False, True):
        for inset in (0.0, 0.07):
            window: Window = (inset, inset, 1 - inset, 1 - inset)
            s, o = speed, offset
            for step in (0.06, 0.03, 0.015):
                s, o = _in_time(a, b, part, s, o, mirrored, window)
                window = _in_space(a, b, part, s, o, mirrored, window, step)
            score = _score(*_laid_over(a, b, part, s, o, mirrored, window))
            if score > best[0] + 1e-6:
                best = (score, s, o, mirrored, window)
    return best[1:]


def _in_time(
    a: Array, b: Array, part: tuple[int, int], speed: float, offset: float, mirrored: bool, window: Window
) -> tuple[float, float]:
    """Climb in speed and offset, turning the line of times about the middle of the part."""
    length = part[1] - part[0]
    middle = (part[0] + part[1]) / 2
    at = offset + speed * middle

    def score(s: float, m: float) -> float:
        return _score(*_laid_over(a, b, part, s, m - s * middle, mirrored, window))

    best = score(speed, at)
    for step in (1.0, 0.5, 0.25):
        turn = 2 * step / max(length, 1)
        moved = True
        while moved:
            moved = False
            for ds, dm in ((turn, 0), (-turn, 0), (0, step), (0, -step)):
                new = score(speed + ds, at + dm)
                if new > best + 1e-4 and SPEEDS[0] - 0.01 <= speed + ds <= SPEEDS[-1] + 0.01:
                    best, speed, at, moved = new, speed + ds, at + dm, True
    return speed, at - speed * middle


def _in_space(
    a: Array, b: Array, part: tuple[int, int], speed: float, offset: float, mirrored: bool, window: Window, step: float
) -> Window:
    """Climb in the edges of the window."""
    return _climbed(*_in_step(a, b, part, speed, offset), mirrored, window, step)


def _edges(mine: Array, other: Array, mirrored: bool, window: Window) -> Window:
    """Fit the edges of the window to a hundredth of a side."""
    few = slice(None, None, max(1, len(mine) // 120))
    for step in (0.02, 0.01):
        window = _climbed(mine[few], other[few], mirrored, window, step)
    return window


def _climbed(mine: Array, other: Array, mirrored: bool, window: Window, step: float) -> Window:
    """Climb in the edges of the window by steps."""

    def score(w: Window) -> float:
        return _score(*_in_place(mine, other, mirrored, w))

    best, moved = score(window), True
    while moved:
        moved = False
        for edge in range(4):
            for by in (step, -step):
                new = list(window)
                new[edge] = round(new[edge] + by, 4)
                if not all(abs(v - (e > 1)) <= _CUT for e, v in enumerate(new)):
                    continue
                tried: Window = (new[0], new[1], new[2], new[3])
                found = score(tried)
                if found > best + 1e-4:
                    best, window, moved = found, tried, True
    return window


def _laid_over(
    a: Array, b: Array, part: tuple[int, int], speed: float, offset: float, mirrored: bool, window: Window
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    return _in_place(*_in_step(a, b, part, speed, offset), mirrored, window)


def _in_step(a: Array, b: Array, part: tuple[int, int], speed: float, offset: float) -> tuple[Array, Array]:
    """Both signals (n, 16, 16) at the moments of the second that the first has too."""
    at = offset + speed * np.arange(*part)
    inside = (at >= 0) & (at <= len(a) - 1)
    at = at[inside]
    low = np.minimum(np.floor(at).astype(np.int64), max(len(a) - 2, 0))
    share = (at - low).astype(np.float32)[:, None, None]
    high = np.minimum(low + 1, len(a) - 1)
    return a[low] * (1 - share) + a[high] * share, b[part[0] : part[1]][inside]


def _in_place(mine: Array, other: Array, mirrored: bool, window: Window) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return the first's signal in the window, the second's, and the blocks (16, 16) that lie in both pictures."""
    x0, y0, x1, y1 = window
    across, inside_x = _resampling(x0, x1, mine.shape[2])
    down, inside_y = _resampling(y0, y1, mine.shape[1])
    seen = np.matmul(np.matmul(down, mine), across.T)
    other = other if other.shape[1] == SIDE else _pooled(other)
    return seen, other[:, :, ::-1] if mirrored else other, inside_y[:, None] & inside_x[None]


@cache
def _resampling(low: float, high: float, cells_of: int) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Weights (16, n) that give blocks of a window from the n of the whole side, and which of them lie inside."""
    edges = (low + (high - low) * np.arange(SIDE + 1) / SIDE) * cells_of
    cells = np.arange(cells_of)
    weights = np.clip(np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells), 0, None)
    total = weights.sum(axis=1, keepdims=True)
    inside = total[:, 0] >= 0.5 * (edges[1:] - edges[:-1])
    return np.asarray(weights / np.maximum(total, 1e-6), np.float32), inside


def _score(mine: Array, other: Array, valid: npt.NDArray[np.bool_]) -> float:
    """Correlation over all blocks and moments; each block counts alike, however much it moves."""
    if len(mine) < 2:
        return -1.0
    r, moving = _by_block(mine, other, valid)
    return float(r[moving].mean()) if moving.any() else -1.0


def _shares(mine: Array, other: Array, valid: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Shares of moving blocks that change alike, and that have nothing in common."""
    r, moving = _by_block(mine, other, valid)
    if moving.sum() < _FEWEST:
        return 0.0, 1.0
    return float((r[moving] >= _SAME).mean()), float((r[moving] < _NOTHING).mean())


def _by_block(
    mine: Array, other: Array, valid: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Correlation over time of each block (16, 16), and which blocks move in one of the videos at least."""
    a, b = mine - mine.mean(axis=0), other - other.mean(axis=0)
    va, vb = np.einsum("tij,tij->ij", a, a) / len(a), np.einsum("tij,tij->ij", b, b) / len(b)
    r = np.einsum("tij,tij->ij", a, b) / len(a) / np.sqrt(np.maximum(va * vb, 1e-3))
    return np.asarray(r, np.float32), np.asarray(valid & (np.sqrt(np.minimum(va, vb)) >= _MOVES))
