"""Candidates for pairs, as RMFER defines them (section 4.2).

For the anchor x^L_T (person L at time T):

    P = { x^l_t : l ≠ L, |t − T| ≤ d }     other people of the same video, at the same moment
    N = { x^L_t : |t − T| > d' }           the same person, far away in time

Distances are in steps: with an export stride k one step is k frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.read.crops import CropKeys
from rmset.store import Root

Rows = npt.NDArray[np.int64]


class PairSampler:
    """Draws candidates of any anchor out of compact arrays, without touching a table.

    Two orders of the same rows are kept: by (video, frame), where the positives of an anchor are one slice, and by
    (video, person, frame), where its negatives are two.
    """

    def __init__(
        self, keys: CropKeys, *, d: int = 5, d_far: int = 30, max_candidates: int = 50, stride: int = 1
    ) -> None:
        if d < 0 or d_far < 0 or max_candidates < 1 or stride < 1:
            raise UsageError(
                f"pairs: expected d >= 0, d_far >= 0, at least one candidate and stride >= 1, "
                f"found {d}, {d_far}, {max_candidates}, {stride}"
            )
        self.keys = keys
        self.max_candidates = max_candidates
        self._near, self._far = d * stride, d_far * stride
        self._by_frame = np.lexsort((keys.person, keys.frame, keys.video)).astype(np.int64)
        self._by_person = np.lexsort((keys.frame, keys.person, keys.video)).astype(np.int64)
        # One ascending number for (video, frame), so that a slice of time is two binary searches.
        span = int(keys.frame.max(initial=0)) + 1 + 2 * max(self._near, self._far)
        self._span = span
        self._moment = (keys.video.astype(np.int64) * span + keys.frame)[self._by_frame]
        track = keys.video.astype(np.int64) * (int(keys.person.max(initial=0)) + 1) + keys.person
        self._track = track
        self._presence = (track * span + keys.frame)[self._by_person]
        self.anchors = self._find_anchors()

    def _find_anchors(self) -> Rows:
        rows = np.arange(len(self.keys), dtype=np.int64)
        low, high = self._slice_near(rows)
        # The slice also holds the person's own faces of that time, so those are counted off.
        own_low, own_high = self._slice_own(rows, self._near)
        positives = (high - low) - (own_high - own_low)
        start, end = self._slice_track(rows)
        near_low, near_high = self._slice_own(rows, self._far)
        negatives = (end - start) - (near_high - near_low)
        return rows[(positives > 0) & (negatives > 0)]

    def _slice_near(self, rows: Rows) -> tuple[Rows, Rows]:
        """Where, in `_by_frame`, everybody's faces within ±d of each row lie."""
        moment = self.keys.video[rows].astype(np.int64) * self._span + self.keys.frame[rows]
        first = self.keys.video[rows].astype(np.int64) * self._span
        low = np.searchsorted(self._moment, np.maximum(moment - self._near, first), side="left")
        high = np.searchsorted(self._moment, moment + self._near, side="right")
        return low.astype(np.int64), high.astype(np.int64)

    def _slice_own(self, rows: Rows, reach: int) -> tuple[Rows, Rows]:
        """Where, in `_by_person`, the same person's faces within ±reach of each row lie."""
        base = self._track[rows] * self._span
        here = base + self.keys.frame[rows]
        low = np.searchsorted(self._presence, np.maximum(here - reach, base), side="left")
        high = np.searchsorted(self._presence, here + reach, side="right")
        return low.astype(np.int64), high.astype(np.int64)

    def _slice_track(self, rows: Rows) -> tuple[Rows, Rows]:
        """Where, in `_by_person`, all faces of the same person lie."""
        base = self._track[rows] * self._span
        low = np.searchsorted(self._presence, base, side="left")
        high = np.searchsorted(self._presence, base + self._span, side="left")
        return low.astype(np.int64), high.astype(np.int64)

    def positives(self, row: int) -> Rows:
        """All rows of P for the anchor in `row`, by frame and person."""
        (low,), (high,) = self._slice_near(np.array([row]))
        near = self._by_frame[low:high]
        return np.asarray(near[self.keys.person[near] != self.keys.person[row]], dtype=np.int64)

    def negatives(self, row: int) -> Rows:
        """All rows of N for the anchor in `row`, by frame."""
        (start,), (end,) = self._slice_track(np.array([row]))
        (low,), (high,) = self._slice_own(np.array([row]), self._far)
        return np.concatenate([self._by_person[start:low], self._by_person[high:end]])

    def draw(self, row: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """At most `max_candidates` each of P and N, drawn without replacement."""
        return self._some(self.positives(row), rng), self._some(self.negatives(row), rng)

    def _some(self, rows: Rows, rng: np.random.Generator) -> Rows:
        if len(rows) <= self.max_candidates:
            return rows
        return rows[np.sort(rng.choice(len(rows), self.max_candidates, replace=False))]


def step_of(root: Root) -> int:
    """Frames in one step: the export stride of the root's videos.

    Raises:
        UsageError: videos were exported with different strides.
    """
    strides = {
        int(entry.config.get("stride", 1))
        for v in root.video_ids()
        if (entry := root.stage_record("export", v)) is not None
    }
    if len(strides) > 1:
        raise UsageError(f"pairs: expected one export stride, found {sorted(strides)}; export all videos alike")
    return strides.pop() if strides else 1
