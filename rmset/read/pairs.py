"""Candidates for pairs, as RMFER defines them (section 4.2).

For the anchor x^L_T (person L at time T):

    P = { x^l_t : l ≠ L, |t − T| ≤ d }     other people of the same video, at the same moment
    N = { x^L_t : |t − T| > d' }           the same person, far away in time

`PairSampler` answers from arrays, for the training loop; `rmset.read.queries.candidates` is the same question put to
DuckDB. Both give the same sets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.read.arrange import PairArrays, PairRule, Rows, Unit, arrange
from rmset.read.crops import CropKeys

__all__ = ["PairArrays", "PairRule", "PairSampler", "Rows", "Unit", "drawn", "write"]

_ANCHORS_AT_ONCE = 20_000


class PairSampler:
    """Draws candidates of any anchor out of compact arrays, without touching a table.

    Args:
        keys: who and when, of all crops.
        d: positives lie within ± this many steps.
        d_far: negatives lie beyond ± this many steps.
        max_candidates: of each kind, at most, in a draw.
        stride: frames in one step.
        rule: says all of the above but the cap; then d, d_far and stride are not used.
        arrays: kept ones (`rmset.read.pairindex`); made here if omitted.
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
        self._near, self._far = self.rule.reach
        clock = keys.time_ms if self.rule.clock == "time_ms" else keys.frame
        row = arrays.row
        self._clock = clock if row is None else clock[row]
        self._person = keys.person if row is None else keys.person[row]
        self._segment = keys.segment if row is None or not self.rule.same_segment else keys.segment[row]
        self._starts = arrays.video_start.tolist()
        tracks = arrays.track.tolist()
        ends = arrays.track_start.tolist()
        self._tracks = {key: (ends[i], ends[i + 1]) for i, key in enumerate(tracks)}

    def positives(self, row: int) -> Rows:
        """All rows of P for the anchor in `row`, by time and person."""
        return self._rows(self._near_positions(row))

    def negatives(self, row: int) -> Rows:
        """All rows of N for the anchor in `row`, by time."""
        start, low, high, end = self._far_bounds(row)
        by_person = self._arrays.by_person
        return self._rows(np.concatenate([by_person[start:low], by_person[high:end]]))

    def draw(self, row: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """At most `max_candidates` each of P and N, drawn without replacement, each in the order of its set."""
        most = self.max_candidates
        positive = self._near_positions(row)
        if len(positive) > most:
            positive = positive[_some(len(positive), most, rng)]
        start, low, high, end = self._far_bounds(row)
        before, after = low - start, end - high
        total = before + after
        chosen = _some(total, most, rng) if total > most else np.arange(total)
        # The hole around the anchor is stepped over, so the thousands that are not drawn are never looked at.
        negative = self._arrays.by_person[np.where(chosen < before, chosen + start, chosen - before + high)]
        return self._rows(positive), self._rows(negative)

    def _near_positions(self, row: int) -> Rows:
        keys, clock = self.keys, self._clock
        video, at = int(keys.video[row]), self._time(row)
        low, high = self._starts[video], self._starts[video + 1]
        low = bisect_left(clock, at - self._near, low, high)
        high = bisect_right(clock, at + self._near, low, high)
        mine = self._person[low:high] != keys.person[row]
        if self.rule.same_segment:
            mine &= self._segment[low:high] == keys.segment[row]
        return np.flatnonzero(mine) + low

    def _far_bounds(self, row: int) -> tuple[int, int, int, int]:
        """Start of the track, first and one past the last that is too near, end of the track; in `by_person`."""
        keys, clock, by_person = self.keys, self._clock, self._arrays.by_person
        start, end = self._tracks.get((int(keys.video[row]) << 16) + int(keys.person[row]), (0, 0))
        at = self._time(row)
        # A bisection touches a dozen places of the track; reading its times first would touch all of them.
        low = bisect_left(by_person, at - self._far, start, end, key=clock.__getitem__)
        high = bisect_right(by_person, at + self._far, low, end, key=clock.__getitem__)
        return start, low, high, end

    def _time(self, row: int) -> float:
        keys = self.keys
        return float(keys.time_ms[row]) if self.rule.clock == "time_ms" else int(keys.frame[row])

    def _rows(self, positions: Rows) -> Rows:
        row = self._arrays.row
        return positions if row is None else row[positions]


def _some(total: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`most` different numbers below `total`, ascending, every choice equally likely."""
    if total > 50 * most:
        # Few meet; drawing again the few that do is cheaper than any bookkeeping.
        chosen = np.unique(rng.integers(0, total, most))
        while len(chosen) < most:
            more = rng.integers(0, total, most - len(chosen))
            chosen = np.unique(np.concatenate([chosen, more]))
        return chosen
    return np.sort(rng.permutation(total)[:most])


def drawn(sampler: PairSampler, rows: Rows, rng: np.random.Generator) -> Iterator[tuple[int, Rows, Rows]]:
    """Each anchor with a draw of its positives and negatives, in the order given."""
    for row in rows.tolist():
        yield (row, *sampler.draw(row, rng))


def write(sampler: PairSampler, rows: Rows, rng: np.random.Generator, path: Path, progress: Progress = silent) -> int:
    """Draw for many anchors and write one line per candidate to a Parquet file; returns how many.

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
    partial = path.with_name(f".{path.name}.partial")
    writer: pq.ParquetWriter | None = None
    try:
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
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return count
