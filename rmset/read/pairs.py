"""Candidates for pairs, as RMFER defines them (section 4.2).

For the anchor x^L_T (person L at time T):

    P = { x^l_t : l ≠ L, |t − T| ≤ d }     other people of the same video, at the same moment
    N = { x^L_t : |t − T| > d' }           the same person, far away in time

A person is a track, or all tracks of the video that `persons.parquet` gives to one person: none of them is a positive
of another, and all of them give negatives. Negatives come from the anchor's video only: times of two videos cannot be
compared, and another room and camera would make any face unlike.

`PairSampler` works on arrays, for the training loop; `rmset.read.queries.candidates` is the same rule in SQL. Both give
the same sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.outputs import written
from rmset.progress import Progress, silent
from rmset.read.arrange import PairArrays, PairRule, Unit, arrange
from rmset.read.columns import Reader, Rows, as_column
from rmset.read.crops import CropKeys

__all__ = ["PairArrays", "PairRule", "PairSampler", "Rows", "Unit", "drawn", "write"]

_NONE = np.empty(0, np.int64)
# Chunk sizes: cells of a matrix, anchors of a draw, anchors of a row group.
_CELLS = 1 << 20
_LINES = 256
_ANCHORS_AT_ONCE = 20_000
# n of m numbers, each drawn by itself, all differ with a chance of about exp(−n² / 2m): more than a quarter by this.
_TRIES = 2.5
# Candidates per draw above which rejection of repeated draws, for all anchors at once, is faster than a permutation for
# each anchor.
_RARE = 30


class PairSampler:
    """Draw candidates of any anchor from compact arrays, without reading tables.

    Args:
        keys: person and time of all crops.
        d: positives lie within ± this many steps.
        d_far: negatives lie beyond ± this many steps.
        max_candidates: most candidates of each kind in a draw.
        stride: frames in one step.
        rule: replaces d, d_far and stride.
        arrays: cached arrays (`rmset.read.pairindex`); made here if omitted.
    """

    def __init__(
        self,
        keys: CropKeys,
        *,
        d: float = 5,
        d_far: float = 30,
        max_candidates: int = 50,
        stride: int = 1,
        rule: PairRule | None = None,
        arrays: PairArrays | None = None,
    ) -> None:
        if max_candidates < 1:
            raise UsageError(f"pairs: expected at least one candidate, found {max_candidates}")
        self.keys = keys
        self.rule = rule if rule is not None else PairRule(d=d, d_far=d_far, stride=stride)
        self.max_candidates = max_candidates
        self._arrays = arrays if arrays is not None else arrange(keys, self.rule)
        self.anchors = self._arrays.anchors
        """(A,) rows that have at least one candidate of each kind, ascending; read like an array"""
        self._starts = keys.starts
        self._video = as_column(keys.video)
        self._clock = as_column(keys.time_ms if self.rule.clock == "time_ms" else keys.frame)
        self._who = as_column(keys.who)
        self._segment = as_column(keys.segment) if self.rule.same_segment else None

    def positives(self, row: int) -> Rows:
        """All rows of P for the anchor in `row`, by time and person."""
        anchor = self._anchor(np.array([row]))
        return self._others(anchor, *self._near(anchor))

    def negatives(self, row: int) -> Rows:
        """All rows of N for the anchor in `row`, by time."""
        anchor = self._anchor(np.array([row]))
        (start,), (low,), (high,), (end,) = self._far(anchor)
        places = np.concatenate([np.arange(start, low), np.arange(high, end)])
        return self._rows(self._by_person(anchor.video)(places), anchor.video)

    def draw(self, row: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """At most `max_candidates` each of P and N, drawn without replacement, each in the order of its set."""
        return self.draw_many(np.array([row]), rng)[0]

    def draw_many(self, rows: Rows, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
        """Return a draw for each of several anchors (n,); batching dozens costs little more than a few."""
        rows = np.asarray(rows, np.int64)
        if not len(rows):
            return []
        anchors = self._anchor(rows)
        return list(zip(self._draw_near(anchors, rng), self._draw_far(anchors, rng), strict=True))

    def _anchor(self, rows: Rows) -> _Anchors:
        video = self._video.take(rows)
        return _Anchors(video, self._clock.take(rows, video), self._who.take(rows, video), rows)

    def _draw_near(self, anchors: _Anchors, rng: np.random.Generator) -> list[Rows]:
        low, high = self._near(anchors)
        width = int((high - low).max(initial=0))
        most, drawn = self.max_candidates, []
        # One line per anchor, padded to the longest; a wide rule gives long lines, so fewer are taken at a time.
        lines = max(1, _CELLS // max(width, 1))
        for some in (slice(i, i + lines) for i in range(0, len(low), lines)):
            positions = low[some, None] + np.arange(width)
            possible = positions < high[some, None]
            possible[possible] = self._is_other(anchors.some(some), positions, possible)
            lot = rng.random(positions.shape)
            lot[~possible] = 2
            if width > most:
                # The columns with the smallest random lots, sorted by time again.
                columns = np.sort(np.argpartition(lot, most - 1, axis=1)[:, :most], axis=1)
                positions = np.take_along_axis(positions, columns, axis=1)
                possible = np.take_along_axis(possible, columns, axis=1)
            counts = possible.sum(axis=1)
            found = self._rows(positions[possible], np.repeat(anchors.video[some], counts))
            drawn += np.split(found, np.cumsum(counts)[:-1])
        return drawn

    def _draw_far(self, anchors: _Anchors, rng: np.random.Generator) -> list[Rows]:
        start, low, high, end = self._far(anchors)
        before = low - start
        total = before + end - high
        most = self.max_candidates
        # When few of many are drawn, repetitions are rare enough; rows with one are drawn again.
        rare = (total > _RARE * most) & (total * _TRIES >= most * most)
        many = np.flatnonzero(rare)
        chosen = np.empty((len(many), most), np.int64)
        again = np.arange(len(many))
        while len(again):
            chosen[again] = np.sort(rng.integers(0, total[many[again], None], (len(again), most)), axis=1)
            again = again[np.any(np.diff(chosen[again], axis=1) == 0, axis=1)]
        picks: list[npt.NDArray[np.int64]] = [
            _NONE if is_rare else _few(t, most, rng) for t, is_rare in zip(total.tolist(), rare.tolist(), strict=True)
        ]
        for line, number in zip(chosen, many.tolist(), strict=True):
            picks[number] = line
        counts = [len(pick) for pick in picks]
        of = np.repeat(np.arange(len(total)), counts)
        pick = np.concatenate([_NONE, *picks])
        # The gap around the anchor is skipped by arithmetic, so undrawn positions are never visited.
        places = np.where(pick < before[of], start[of] + pick, high[of] + pick - before[of])
        video = anchors.video[of]
        return np.split(self._rows(self._by_person(video)(places), video), np.cumsum(counts)[:-1])

    def _near(self, anchors: _Anchors) -> tuple[Rows, Rows]:
        """First and one past the last position (n,) of all people's faces within ± d of each anchor."""
        reach, video = self.rule.reach[0], anchors.video
        first, last = self._arrays.video_start[video], self._arrays.video_start[video + 1]

        def times(some: Rows) -> Reader:
            own = video[some]
            rows, clock = self._row_reader(own), self._clock.reader(own)
            return lambda positions: clock(rows(positions))

        return _bisect(times, anchors.at, reach, first, last)

    def _far(self, anchors: _Anchors) -> tuple[Rows, Rows, Rows, Rows]:
        """Start of the track, first and one past the last that is too near, end of the track; (n,) in `by_person`."""
        arrays, reach, video = self._arrays, self.rule.reach[1], anchors.video
        track = (video.astype(np.int64) << 16) + anchors.who
        number = np.searchsorted(arrays.track, track)
        number = np.minimum(number, max(len(arrays.track) - 1, 0))
        # A person without participating crops has an empty track.
        known = arrays.track[number] == track if len(arrays.track) else np.zeros(len(track), np.bool_)
        start = np.where(known, arrays.track_start[number], 0)
        end = np.where(known, arrays.track_start[np.minimum(number + 1, len(arrays.track_start) - 1)], 0)

        def times(some: Rows) -> Reader:
            own = video[some]
            places, rows, clock = self._by_person(own), self._row_reader(own), self._clock.reader(own)
            return lambda positions: clock(rows(places(positions)))

        return start, *_bisect(times, anchors.at, reach, start, end), end

    def _others(self, anchors: _Anchors, low: Rows, high: Rows) -> Rows:
        """Return the rows at the positions from low to high with another person than the anchor."""
        positions = np.arange(low[0], high[0])[None]
        mask = self._is_other(anchors, positions, np.ones(positions.shape, np.bool_))
        found = positions[0, mask]
        return self._rows(found, np.repeat(anchors.video, len(found)))

    def _is_other(self, anchors: _Anchors, positions: Rows, possible: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Mask of the possible ones (k,) of positions (n, m) with another person than the anchor, in its segment."""
        of = np.nonzero(possible)[0]
        video = anchors.video[of]
        rows = self._rows(positions[possible], video)
        other = self._who.take(rows, video) != anchors.who[of]
        if self._segment is not None:
            own = self._segment.take(anchors.rows, anchors.video)
            other &= self._segment.take(rows, video) == own[of]
        return np.asarray(other)

    def _by_person(self, video: Rows) -> Reader:
        """Return a function from places in `by_person` to positions, for known videos."""
        read, first = self._arrays.by_person.reader(video), self._arrays.video_start[video]
        return lambda places: read(places) + first

    def _row_reader(self, video: Rows) -> Reader:
        """Return a function from positions to rows, for known videos."""
        row, start = self._arrays.row, self._starts[video]
        if row is None:
            shift = start - self._arrays.video_start[video]
            return lambda positions: positions + shift
        read = row.reader(video)
        return lambda positions: read(positions) + start

    def _rows(self, positions: Rows, video: Rows) -> Rows:
        return self._row_reader(video)(positions)


class _Anchors(NamedTuple):
    """Anchors of a draw, (n,) each."""

    video: Rows
    at: npt.NDArray
    """frame_idx or time_ms"""
    who: Rows
    rows: Rows

    def some(self, some: slice) -> _Anchors:
        """Return some of them."""
        return _Anchors(*(values[some] for values in self))


def _bisect(
    times: Callable[[Rows], Reader], at: npt.NDArray, reach: float, low: Rows, high: Rows
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and one past the last place (n,) whose value is within `at` ± `reach`.

    Vectorized bisection, because `np.searchsorted` cannot use a different slice for each line. Both ends are looked
    for together: for some dozen anchors NumPy's calls cost more than the arithmetic.

    Args:
        times: lines -> function from their places to values, which ascend from place `low` to `high`.
        at: middle of each line's range of values (n,).
        reach: how far it reaches to both sides.
        low: first place of each line.
        high: one past the last.
    """
    found = np.tile(np.asarray(low, np.int64), 2)
    # Nothing is looked up for an empty range: its video may have no values at all.
    some = np.flatnonzero(low < high)
    value = times(np.tile(some, 2))
    target = np.concatenate([at[some] - reach, at[some] + reach])
    is_end = np.repeat([False, True], len(some))
    first, end = np.tile(np.asarray(low, np.int64)[some], 2), np.tile(np.asarray(high, np.int64)[some], 2)
    last = end - 1
    for _ in range(int((end - first).max(initial=0)).bit_length()):
        middle = (first + end) >> 1
        there = value(np.minimum(middle, last))
        # the end comes after equal values
        below = ((there < target) | (is_end & (there == target))) & (first < end)
        first = np.where(below, middle + 1, first)
        end = np.where(below, end, middle)
    found[np.concatenate([some, some + len(low)])] = first
    return found[: len(low)], found[len(low) :]


def _few(total: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw at most `most` different numbers below `total`, ascending, all sets equally likely."""
    return np.arange(total) if total <= most else np.sort(rng.permutation(total)[:most])


def drawn(sampler: PairSampler, rows: Rows, rng: np.random.Generator) -> Iterator[tuple[int, Rows, Rows]]:
    """Yield each anchor with a draw of its positives and negatives, in the given order."""
    for low in range(0, len(rows), _LINES):
        some = rows[low : low + _LINES]
        for row, (positives, negatives) in zip(some.tolist(), sampler.draw_many(some, rng), strict=True):
            yield row, positives, negatives


def write(sampler: PairSampler, rows: Rows, rng: np.random.Generator, path: Path, progress: Progress = silent) -> int:
    """Draw for many anchors and write one row per candidate to a Parquet file; return the number of rows.

    Columns: video_id, person_id, frame_idx of the anchor, kind (`positive`, `negative`), other_person_id and
    other_frame_idx of the candidate, and the crop rows of both (`row`, `other_row`).

    Raises:
        UsageError: the file does not end in .parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix != ".parquet":
        raise UsageError(f"{path}: expected a file that ends in .parquet, found {path.suffix!r}")
    keys, kinds, count = sampler.keys, pa.array(["positive", "negative"]), 0
    videos = pa.array(keys.video_ids)
    writer: pq.ParquetWriter | None = None
    with written(path) as partial:
        for low in range(0, max(1, len(rows)), _ANCHORS_AT_ONCE):
            found = list(drawn(sampler, rows[low : low + _ANCHORS_AT_ONCE], rng))
            sizes = np.array([len(c) for _, p, n in found for c in (p, n)], dtype=np.int64)
            anchor = np.repeat(np.array([row for row, _, _ in found for _ in range(2)], dtype=np.int64), sizes)
            kind = np.repeat(np.tile(np.array([0, 1], np.int8), len(found)), sizes)
            other = np.concatenate([np.empty(0, np.int64), *(c for _, p, n in found for c in (p, n))]).astype(np.int64)
            table = pa.table(
                {
                    "video_id": pa.DictionaryArray.from_arrays(keys.video[anchor].astype(np.int32), videos),
                    "person_id": keys.person[anchor],
                    "frame_idx": keys.frame[anchor],
                    "kind": pa.DictionaryArray.from_arrays(kind, kinds),
                    "other_person_id": keys.person[other],
                    "other_frame_idx": keys.frame[other],
                    "row": anchor,
                    "other_row": other,
                }
            )
            writer = writer if writer is not None else pq.ParquetWriter(partial, table.schema, compression="zstd")
            writer.write_table(table)
            count += len(other)
            progress("pairs", min(low + _ANCHORS_AT_ONCE, len(rows)), len(rows))
        if writer is not None:
            writer.close()
    return count
