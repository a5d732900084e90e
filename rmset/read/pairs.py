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

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.outputs import written
from rmset.progress import Progress, silent
from rmset.read.arrange import PairArrays, PairRule, Rows, Unit, arrange
from rmset.read.crops import CropKeys

__all__ = ["PairArrays", "PairRule", "PairSampler", "Rows", "Unit", "drawn", "write"]

_NONE = np.empty(0, np.int64)
# Chunk sizes: cells of a matrix, anchors of a draw, anchors of a row group.
_CELLS = 1 << 20
_LINES = 256
_ANCHORS_AT_ONCE = 20_000


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
        self._arrays = arrays = arrays if arrays is not None else arrange(keys, self.rule)
        self.anchors = arrays.anchors
        """(A,) rows that have at least one candidate of each kind, ascending"""
        row = arrays.row
        self._own_clock = keys.time_ms if self.rule.clock == "time_ms" else keys.frame
        self._clock = self._own_clock if row is None else self._own_clock[row]
        self._who = keys.who
        self._person = self._who if row is None else self._who[row]
        self._segment = keys.segment if row is None or not self.rule.same_segment else keys.segment[row]

    def positives(self, row: int) -> Rows:
        """All rows of P for the anchor in `row`, by time and person."""
        anchor = np.array([row])
        (low,), (high,) = self._near(anchor)
        positions = np.arange(low, high)
        return self._rows(positions[self._other(positions[None], anchor)[0]])

    def negatives(self, row: int) -> Rows:
        """All rows of N for the anchor in `row`, by time."""
        (start,), (low,), (high,), (end,) = self._far(np.array([row]))
        by_person = self._arrays.by_person
        return self._rows(np.concatenate([by_person[start:low], by_person[high:end]]))

    def draw(self, row: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """At most `max_candidates` each of P and N, drawn without replacement, each in the order of its set."""
        return self.draw_many(np.array([row]), rng)[0]

    def draw_many(self, rows: Rows, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
        """Return a draw for each of several anchors (n,); batching dozens costs little more than a few."""
        rows = np.asarray(rows, np.int64)
        if not len(rows):
            return []
        return list(zip(self._draw_near(rows, rng), self._draw_far(rows, rng), strict=True))

    def _draw_near(self, rows: Rows, rng: np.random.Generator) -> list[Rows]:
        low, high = self._near(rows)
        width = int((high - low).max(initial=0))
        most, drawn = self.max_candidates, []
        # One line per anchor, padded to the longest; a wide rule gives long lines, so fewer are taken at a time.
        lines = max(1, _CELLS // max(width, 1))
        for some in (slice(i, i + lines) for i in range(0, len(rows), lines)):
            positions = low[some, None] + np.arange(width)
            possible = positions < high[some, None]
            np.minimum(positions, len(self._clock) - 1, out=positions)
            possible &= self._other(positions, rows[some])
            lot = rng.random(positions.shape)
            lot[~possible] = 2
            if width > most:
                # The columns with the smallest random lots, sorted by time again.
                columns = np.sort(np.argpartition(lot, most - 1, axis=1)[:, :most], axis=1)
                positions = np.take_along_axis(positions, columns, axis=1)
                possible = np.take_along_axis(possible, columns, axis=1)
            found = self._rows(positions)
            drawn += [line[here] for line, here in zip(found, possible, strict=True)]
        return drawn

    def _draw_far(self, rows: Rows, rng: np.random.Generator) -> list[Rows]:
        start, low, high, end = self._far(rows)
        before = low - start
        total = before + end - high
        most = self.max_candidates
        # When few of many are drawn, repetitions are rare; rows with one are drawn again.
        many = np.flatnonzero(total > 50 * most)
        chosen = np.empty((len(many), most), np.int64)
        again = np.arange(len(many))
        while len(again):
            chosen[again] = np.sort(rng.integers(0, total[many[again], None], (len(again), most)), axis=1)
            again = again[np.any(np.diff(chosen[again], axis=1) == 0, axis=1)]
        picks: list[npt.NDArray[np.int64]] = [_few(int(t), most, rng) if t <= 50 * most else _NONE for t in total]
        for line, number in zip(chosen, many.tolist(), strict=True):
            picks[number] = line
        counts = [len(pick) for pick in picks]
        of = np.repeat(np.arange(len(rows)), counts)
        pick = np.concatenate([_NONE, *picks])
        # The gap around the anchor is skipped by arithmetic, so undrawn positions are never visited.
        places = np.where(pick < before[of], start[of] + pick, high[of] + pick - before[of])
        return np.split(self._rows(self._arrays.by_person[places]), np.cumsum(counts)[:-1])

    def _near(self, rows: Rows) -> tuple[Rows, Rows]:
        """First and one past the last position (n,) of all people's faces within ± d of each anchor."""
        reach = self.rule.reach[0]
        video, at = self.keys.video[rows], self._own_clock[rows]
        first, last = self._arrays.video_start[video], self._arrays.video_start[video + 1]
        low = _bisect(self._clock, None, at - reach, first, last, right=False)
        return low, _bisect(self._clock, None, at + reach, low, last, right=True)

    def _far(self, rows: Rows) -> tuple[Rows, Rows, Rows, Rows]:
        """Start of the track, first and one past the last that is too near, end of the track; (n,) in `by_person`."""
        arrays, reach, at = self._arrays, self.rule.reach[1], self._own_clock[rows]
        track = (self.keys.video[rows].astype(np.int64) << 16) + self._who[rows]
        number = np.searchsorted(arrays.track, track)
        number = np.minimum(number, max(len(arrays.track) - 1, 0))
        # A person without participating crops has an empty track.
        known = arrays.track[number] == track if len(arrays.track) else np.zeros(len(rows), np.bool_)
        start = np.where(known, arrays.track_start[number], 0)
        end = np.where(known, arrays.track_start[np.minimum(number + 1, len(arrays.track_start) - 1)], 0)
        low = _bisect(self._clock, arrays.by_person, at - reach, start, end, right=False)
        return start, low, _bisect(self._clock, arrays.by_person, at + reach, low, end, right=True), end

    def _other(self, positions: Rows, rows: Rows) -> npt.NDArray[np.bool_]:
        """Mask of positions (n, m) with another person than each anchor (n,), and in its segment if required."""
        other = self._person[positions] != self._who[rows][:, None]
        if self.rule.same_segment:
            other &= self._segment[positions] == self.keys.segment[rows][:, None]
        return np.asarray(other)

    def _rows(self, positions: Rows) -> Rows:
        row = self._arrays.row
        return positions if row is None else row[positions]


def _bisect(
    values: npt.NDArray, order: Rows | None, target: npt.NDArray, low: Rows, high: Rows, *, right: bool
) -> npt.NDArray[np.int64]:
    """Return the insertion point of each target (n,) in `values[order]`, ascending from `low` to `high` (n,).

    Vectorized bisection, because `np.searchsorted` cannot use a different slice for each target.
    """
    first, high = np.asarray(low, np.int64), np.asarray(high, np.int64)
    last = (len(values) if order is None else len(order)) - 1
    for _ in range(int((high - first).max(initial=0)).bit_length()):
        middle = (first + high) >> 1
        place = np.minimum(middle, last)
        value = values[place] if order is None else values[order[place]]
        below = (value <= target if right else value < target) & (first < high)
        first = np.where(below, middle + 1, first)
        high = np.where(below, high, middle)
    return first


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
