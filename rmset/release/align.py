"""Which released frame each frame of another encoding shows, found by the perceptual hashes of all frames.

The other encoding may have another rate, begin later or earlier, run slightly faster, or lack parts. So the times of
the two are related by pieces of a line, released = tempo · found + offset. Every offset is tried on some frames, the
best are refined on many: one frame says little in a video that hardly moves, thousands decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.parts.window import windowed_mean
from rmset.release.hashes import Frames

_STILL = 0.5
"""strength of motion, gray levels, below which its hash is noise"""
MOST_BITS = 30.0
"""Mean difference of hashes, of 256 bits, up to which two videos are taken for the same"""
_TEMPOS = (1.0, 1.001, 1 / 1.001, 25 / 24, 24 / 25, 1.025, 1 / 1.025, 1.05, 1 / 1.05)
"""released time by found time: the same; 30 and 29.97; film and PAL; 2.5 and 5 % faster or slower"""
_SURE = 12.0
"""bits at which no other tempo is tried"""
_COARSE, _FINE = 200, 4000
"""frames compared for each offset"""
_STEPS = 20
"""offsets tried per frame when refining"""
_OVERLAP = 0.5
"""least share of the shorter video that both must have"""
_WINDOW = 15
"""frames over which differences are averaged to find parts that do not fit"""
_FEWEST = 30
"""frames that must fit for two videos to be the same"""
_MOST_MOVED = 22.0
"""mean difference of motions, of 64 bits, up to which they are the same; 32 by chance"""
_CAP = 60
"""most bits that a frame counts when a line is fitted, so that parts that do not fit do not decide"""
_SHORTEST_PIECE = 90
"""frames that do not fit from which another offset is looked for"""
_BLOCK = 1 << 15

Numbers = npt.NDArray[np.int32]
Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """Frames of another encoding, and the released frames that they show."""

    released: Numbers
    """(N,) released frame that each found frame shows; -1 if none, or if another shows it better"""
    time_ms: Times
    """(N,) released time that each found frame shows"""
    offset_ms: float
    """released time of the found time 0, in the longest piece"""
    tempo: float
    bits: float
    """mean difference of the hashes of these frames, of 256 bits"""
    margin: float
    """bits that a shift by one frame would add: near 0, the frame cannot be told"""
    pieces: int
    """parts with offsets of their own"""

    @property
    def frames(self) -> int:
        """Count the released frames that are left."""
        return int((self.released >= 0).sum())


@dataclass(frozen=True)
class _Line:
    tempo: float
    offset: float
    bits: float

    def at(self, time_ms: Times) -> Times:
        return self.tempo * time_ms + self.offset


def align(released: Frames, found: Frames) -> Alignment | None:
    """Align another encoding with a released video; None if it is not the same video."""
    if len(released.time_ms) < 2 or len(found.time_ms) < 2:
        return None
    pair = _Pair(released, found)
    everything = np.arange(len(found.time_ms))
    line = pair.fit(everything)
    if line is None:
        return None
    shown, bits, fits = pair.shown(line, everything)
    if fits.sum() < min(_FEWEST, len(fits) / 2):
        return None
    pieces = 1
    for run in _runs(~fits, _SHORTEST_PIECE):
        other = pair.fit(run, (line.tempo,), overlap=0.9)
        if other is None:
            continue
        times, apart, here = pair.shown(other, run)
        if here.mean() > 0.5:
            shown[run], bits[run], fits[run] = times, apart, here
            pieces += 1
    shown[~fits] = np.nan
    numbers = pair.unique(shown)
    kept = numbers >= 0
    if not kept.any():
        return None
    return Alignment(
        numbers,
        shown,
        line.offset,
        line.tempo,
        float(bits[kept].mean()),
        pair.margin(line, np.flatnonzero(kept)),
        pieces,
    )


class _Pair:
    """Two videos to be compared."""

    def __init__(self, released: Frames, found: Frames) -> None:
        self.r, self.f = released.time_ms, found.time_ms
        looks = (np.ascontiguousarray(each.hashes).view(np.uint64) for each in (released, found))
        moves = (np.ascontiguousarray(each.motion).view(np.uint64)[:, 0] for each in (released, found))
        (self._r, self._f), (self._rm, self._fm) = looks, moves
        self._moves = np.ones(len(self.f), np.bool_) if found.strength is None else found.strength > _STILL
        self.step = float(np.median(np.diff(self.r))) or 1.0

    def nearest(self, time_ms: Times) -> Numbers:
        """Return the released frame nearest to each time, of any shape."""
        after = np.clip(np.searchsorted(self.r, time_ms), 1, len(self.r) - 1)
        before_is_nearer = time_ms - self.r[after - 1] <= self.r[after] - time_ms
        return np.asarray(after - before_is_nearer, dtype=np.int32)

    def apart(self, released: Numbers, found: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the different bits of pictures of released frames (…, N) and found frames (N,)."""
        return np.asarray(np.bitwise_count(self._r[released] ^ self._f[found]).sum(axis=-1), dtype=np.int64)

    def moved_apart(self, released: Numbers, found: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the different bits of motions, 0 where nothing moves."""
        bits = np.bitwise_count(self._rm[released] ^ self._fm[found]).astype(np.int64)
        return np.where(self._moves[found], bits, 0)

    def costs(self, tempo: float, offsets: Times, frames: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the mean different bits of picture and motion at each offset (K,); infinite without overlap."""
        costs = np.full(len(offsets), np.inf)
        block = max(1, _BLOCK // len(frames))
        for low in range(0, len(offsets), block):
            at = tempo * self.f[frames][None] + offsets[low : low + block, None]
            inside = (at > -0.75 * self.step) & (at < self.r[-1] + 0.75 * self.step)
            numbers = self.nearest(at)
            each = np.minimum(self.apart(numbers, frames) + self.moved_apart(numbers, frames), _CAP)
            bits = np.where(inside, each, 0).sum(axis=1)
            count = inside.sum(axis=1)
            costs[low : low + block] = np.where(count > 0, bits / np.maximum(count, 1), np.inf)
        return costs

    def fit(
        self, frames: npt.NDArray[np.integer], tempos: tuple[float, ...] = _TEMPOS, overlap: float = _OVERLAP
    ) -> _Line | None:
        """Return the line that fits these found frames best."""
        best: _Line | None = None
        coarse, fine = _some(frames, _COARSE), _some(frames, _FINE)
        for tempo in tempos:
            start, end = tempo * self.f[frames[0]], tempo * self.f[frames[-1]]
            least = overlap * min(end - start, self.r[-1])
            offsets = np.arange(least - end, self.r[-1] - least - start + self.step, self.step / 2)
            if not len(offsets):
                continue
            costs = self.costs(tempo, offsets, coarse)
            for at in _lowest(costs, 5, apart=8):
                near = offsets[at] + self.step * np.arange(-1.5, 1.5, 1 / _STEPS)
                offset, bits, width = _lowest_run(near, self.costs(tempo, near, fine))
                if width <= 2:
                    # Two rates may agree in a small range only.
                    near = offset + self.step * np.arange(-2 / _STEPS, 2 / _STEPS, 1 / _STEPS**2)
                    offset, bits, _ = _lowest_run(near, self.costs(tempo, near, fine))
                found = _Line(tempo, offset, bits)
                if best is None or found.bits < best.bits:
                    best = found
            if best is not None and best.bits <= _SURE:
                break
        return best

    def shown(
        self, line: _Line, frames: npt.NDArray[np.integer]
    ) -> tuple[Times, npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Return released times of found frames, different bits of the pictures, and which fit with their neighbors."""
        at = line.at(self.f[frames])
        inside = (at > -0.75 * self.step) & (at < self.r[-1] + 0.75 * self.step)
        numbers = self.nearest(at)
        bits = self.apart(numbers, frames).astype(np.float64)
        moves = inside & self._moves[frames]
        fits = inside & (windowed_mean(bits, inside, _WINDOW) <= MOST_BITS)
        moved = self.moved_apart(numbers, frames).astype(np.float64)
        fits &= windowed_mean(moved, moves, _WINDOW) <= _MOST_MOVED
        return at, bits, fits

    def unique(self, shown: Times) -> Numbers:
        """Return the released frame of each time; of several that show one, only the nearest in time."""
        known = np.isfinite(shown)
        numbers = np.full(len(shown), -1, np.int32)
        numbers[known] = self.nearest(shown[known])
        off = np.full(len(shown), np.inf)
        off[known] = np.abs(self.r[numbers[known]] - shown[known])
        order = np.lexsort((np.arange(len(shown)), off))
        _, first = np.unique(numbers[order], return_index=True)
        kept = np.zeros(len(shown), np.bool_)
        kept[order[first]] = True
        return np.where(kept & known, numbers, -1).astype(np.int32)

    def margin(self, line: _Line, frames: npt.NDArray[np.integer]) -> float:
        """Return how many bits a shift by a frame to either side adds."""
        shifts = line.offset + self.step * np.array([0.0, -1.0, 1.0])
        costs = self.costs(line.tempo, shifts, _some(frames, _FINE))
        return float(costs[1:].min() - costs[0])


def _lowest_run(offsets: Times, costs: npt.NDArray[np.float64]) -> tuple[float, float, int]:
    """Return the middle of the run of offsets with the lowest cost, the cost, and the length of the run."""
    low = high = int(costs.argmin())
    while high + 1 < len(costs) and costs[high + 1] <= costs[low] + 1e-9:
        high += 1
    return float(offsets[low] + offsets[high]) / 2, float(costs[low]), high - low + 1


def _some(frames: npt.NDArray[np.integer], most: int) -> npt.NDArray[np.integer]:
    return frames[np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(np.int64))]


def _lowest(costs: npt.NDArray[np.float64], count: int, apart: int) -> list[int]:
    """Return the positions of the lowest costs, at least `apart` from one another."""
    found: list[int] = []
    for at in np.argsort(costs, kind="stable").tolist():
        if not np.isfinite(costs[at]) or len(found) == count:
            break
        if all(abs(at - other) >= apart for other in found):
            found.append(at)
    return found


def _runs(wrong: npt.NDArray[np.bool_], least: int) -> list[npt.NDArray[np.int64]]:
    """Return the positions of each run of true values of at least this length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wrong, [False]]).astype(np.int8)))
    return [np.arange(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]
