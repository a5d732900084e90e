"""Candidates of an anchor: the mashup's positives and negatives, or a control without its priors.

mashup   P: other people within ± d steps, N: the same person beyond ± d' steps (RMFER, section 4.2)
random   as many of each, drawn from anywhere: the control without both priors (authors')
random-positives   N as in mashup, as many P drawn from anywhere: the control without the shared moment
shuffled-identities   P as in mashup; each of N is another person's face at the same moment as the mashup's: the control
         without the same person
delay    P: other people within ± d steps of T + δ_l − δ_L, the moment of *their* reaction to what the anchor sees at T,
         δ the delay of each person as `fertrain pairs-quality` has estimated it; N as in mashup. Beyond the paper

Delays are a JSON file:

    {"schema": 1, "root": …, "run": …, "unit": "frames",
     "videos": {video_id: {person_id: {"delay": frames or null, "correlation": …}}}}

They are relative to the mean of a video's people, so only their differences mean anything.

A further kind is a function from (crops, settings) to `Candidates` and one entry in `CANDIDATES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rmset.bounded import read_json
from rmset.errors import UsageError
from rmset.files import sha256_of
from rmset.read.columns import Column
from rmset.read.crops import CropKeys
from rmset.read.pairindex import open_sampler
from rmset.read.pairs import PairRule, PairSampler

from ..config.methods import RmferConfig
from ..errors import DatasetError
from ..files import write_json
from .crops import Crops, tracks_of

Rows = npt.NDArray[np.integer]


class Candidates(Protocol):
    """Interface of a sampler of candidates, such as `PairSampler`."""

    @property
    def anchors(self) -> Rows | Column:
        """(A,) rows that can be anchors, ascending."""

    def draw_many(self, rows: Rows, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
        """Return rows of positives and of negatives for each of several anchors (n,), at least one of each."""


class RandomCandidates:
    """Positives and negatives from anywhere: any other images, without repetition.

    Args:
        total: number of images.
        most: most positives, and most negatives, of an anchor.
        like: source of anchors and numbers of candidates, so that only the priors differ.

    Raises:
        DatasetError: fewer than an anchor, a positive and a negative.
    """

    def __init__(self, total: int, most: int, like: Candidates | None = None) -> None:
        if total < 3:
            raise DatasetError(f"expected three unlabeled images or more for random candidates, found {total}")
        self.total, self.most, self.like = total, most, like
        self.anchors: Rows | Column = np.arange(total) if like is None else like.anchors

    def draw_many(self, rows: Rows, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
        """Draw as many as `like` would, or `most` of each; half and half if there are too few images."""
        drawn: list[tuple[Rows, Rows]] = []
        for row, (p, n) in zip(rows.tolist(), self._numbers(rows, rng), strict=True):
            if p + n > self.total - 1:
                p, n = self.total // 2, (self.total - 1) // 2
            others = _others(self.total, [row], p + n, rng)
            drawn.append((others[:p], others[p:]))
        return drawn

    def _numbers(self, rows: Rows, rng: np.random.Generator) -> list[tuple[int, int]]:
        if self.like is None:
            return [(self.most, self.most)] * len(rows)
        return [(len(p), len(n)) for p, n in self.like.draw_many(rows, rng)]


class RandomPositives:
    """Anchors and negatives of another sampler, with as many positives drawn from anywhere.

    Args:
        total: number of images.
        like: the other sampler.
    """

    def __init__(self, total: int, like: Candidates) -> None:
        self.total, self.like = total, like
        self.anchors: Rows | Column = like.anchors

    def draw_many(self, rows: Rows, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
        """Draw candidates; positives are neither the anchor nor one of its negatives."""
        drawn: list[tuple[Rows, Rows]] = []
        for row, (positives, negatives) in zip(rows.tolist(), self.like.draw_many(rows, rng), strict=True):
            taken = sorted({row, *negatives.tolist()})
            drawn.append((_others(self.total, taken, min(len(positives), self.total - len(taken)), rng), negatives))
        return drawn


class ShuffledIdentities:
    """Anchors and positives of another sampler; each negative is replaced by a face of another person at its moment.

    A negative beside whom no other face is shown stays.

    Args:
        keys: person and time of the crops.
        like: the other sampler.
    """

    def __init__(self, keys: CropKeys, like: Candidates) -> None:
        self.like = like
        self.anchors: Rows | Column = like.anchors
        # rows of one moment stand side by side
        self._order = np.lexsort((keys.person, keys.frame, keys.video))
        changes = np.flatnonzero(np.diff(keys.video[self._order]) | np.diff(keys.frame[self._order])) + 1
        starts = np.concatenate([[0], changes]).astype(np.int64)
        sizes = np.diff(np.concatenate([starts, [len(self._order)]]))
        self._place = np.empty(len(self._order), np.int64)
        self._place[self._order] = np.arange(len(self._order))
        moment = np.repeat(np.arange(len(starts)), sizes)[self._place]
        self._start, self._size = starts[moment], sizes[moment]

    def draw_many(self, rows: Rows, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
        """Draw candidates; the negatives' distances in time and their number are those of the other sampler."""
        return [(p, self._swapped(n, rng)) for p, n in self.like.draw_many(rows, rng)]

    def _swapped(self, rows: Rows, rng: np.random.Generator) -> Rows:
        start, size = self._start[rows], self._size[rows]
        own = self._place[rows] - start
        # one of the others of the moment, counted on from the face itself
        step = 1 + (rng.random(len(rows)) * np.maximum(size - 1, 1)).astype(np.int64)
        return np.asarray(self._order[start + (own + step) % size])


def _others(total: int, taken: Sequence[int], n: int, rng: np.random.Generator) -> Rows:
    """Draw `n` different rows below `total`, none of those in `taken` (ascending)."""
    found = rng.choice(total - len(taken), size=n, replace=False)
    for row in taken:
        # taken rows are skipped by arithmetic: a list of the others would be as long as the data set
        found += found >= row
    return found


def mashup(crops: Crops, settings: RmferConfig) -> PairSampler:
    """RMFER's candidates.

    Raises:
        DatasetError: no crop has both a positive and a negative.
    """
    return _with_anchors(_sampler(crops, settings), crops, settings)


def _with_anchors(sampler: PairSampler, crops: Crops, settings: RmferConfig) -> PairSampler:
    if len(sampler.anchors) == 0:
        raise DatasetError(
            f"expected anchors with another person within {settings.d} steps and themselves beyond "
            f"{settings.d_far} steps in {crops.store.root.place}, found none among {crops.described()}; "
            "export longer videos with two people or more, lower `rmfer.d_far`, or take `rmfer.candidates='random'`"
        )
    return sampler


def random(crops: Crops, settings: RmferConfig) -> RandomCandidates:
    """Make the control: the mashup's anchors and numbers without its priors; any anchor if the mashup has none."""
    sampler = _sampler(crops, settings)
    return RandomCandidates(len(crops), settings.max_candidates, like=sampler if len(sampler.anchors) else None)


def random_positives(crops: Crops, settings: RmferConfig) -> RandomPositives:
    """Make the control without the shared moment.

    Raises:
        DatasetError: no crop has both a positive and a negative.
    """
    return RandomPositives(len(crops), mashup(crops, settings))


def shuffled_identities(crops: Crops, settings: RmferConfig) -> ShuffledIdentities:
    """Make the control without the same person.

    Raises:
        DatasetError: no crop has both a positive and a negative.
    """
    return ShuffledIdentities(crops.keys, mashup(crops, settings))


def delay(crops: Crops, settings: RmferConfig) -> PairSampler:
    """Shift each person's frames back by their delay, then use P as in the paper.

    People without a known delay are not shifted.

    Raises:
        DatasetError: the file has no person of this root, or no crop has both a positive and a negative.
    """
    assert settings.delays is not None
    late = read_delays(Path(settings.delays)).of(crops.keys)
    if np.isnan(late).all():
        raise DatasetError(
            f"expected delays of people in {crops.store.root.place}, found those of others in {settings.delays}; "
            "run `fertrain pairs-quality` on this root"
        )
    # whole frames: with fractions, |t − T| = d would sometimes be inside, sometimes outside
    back = np.nan_to_num(late).round().astype(crops.keys.frame.dtype)
    rule = PairRule(d=settings.d, d_far=settings.d_far, stride=crops.stride)
    on_time = replace(crops.keys, frame=crops.keys.frame - back)
    return _with_anchors(PairSampler(on_time, rule=rule, max_candidates=settings.max_candidates), crops, settings)


def _sampler(crops: Crops, settings: RmferConfig) -> PairSampler:
    rule = PairRule(d=settings.d, d_far=settings.d_far, stride=crops.stride)
    if crops.whole:
        # its arrays are cached in the root, so that the next run starts at once
        return open_sampler(crops.store, rule, max_candidates=settings.max_candidates)
    return PairSampler(crops.keys, rule=rule, max_candidates=settings.max_candidates)


CANDIDATES: dict[str, Callable[[Crops, RmferConfig], Candidates]] = {
    "mashup": mashup, "random": random, "random-positives": random_positives,
    "shuffled-identities": shuffled_identities, "delay": delay,
}  # fmt: skip
"""Candidate strategies by name."""


@dataclass(frozen=True)
class Anchors:
    """Anchors, and a seeded draw of their candidates."""

    candidates: Candidates
    """Sampler of candidates."""
    seed: int
    """Seed of the run."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """Values for a run's config.toml."""

    def __len__(self) -> int:
        return len(self.candidates.anchors)

    def draw(self, epoch: int, step: int, n: int) -> list[tuple[list[int], int]]:
        """Rows for a step's anchors, each as ([anchor, positives…, negatives…], number of positives).

        Depends only on (seed, epoch, step), not on earlier draws or the decoding process.
        """
        rng = np.random.default_rng([self.seed, 3, epoch, step])
        # places are drawn, so that an index is read at these alone
        rows = self.candidates.anchors[rng.choice(len(self), size=n, replace=n > len(self))]
        return [
            ([int(row), *positives.tolist(), *negatives.tolist()], len(positives))
            for row, (positives, negatives) in zip(rows, self.candidates.draw_many(rows, rng), strict=True)
        ]


def require_delays(settings: RmferConfig) -> None:
    """Validate the candidate strategy; `delay` requires a delays file.

    Raises:
        UsageError: the file is not given.
    """
    if settings.candidates == "delay" and settings.delays is None:
        raise UsageError(
            "expected a file of delays for `rmfer.candidates='delay'`, found none; `fertrain pairs-quality` writes it, "
            "give it with `rmfer.delays`"
        )


def open_anchors(crops: Crops, settings: RmferConfig, seed: int) -> Anchors:
    """Open the anchors of a root's crops, with candidates by the strategy in the settings.

    Raises:
        UsageError: a strategy without its file.
        DatasetError: the crops have no such candidates.
    """
    require_delays(settings)
    candidates = CANDIDATES[settings.candidates](crops, settings)
    measured: dict[str, Any] = {}
    if settings.candidates == "delay" and settings.delays is not None:
        path = Path(settings.delays)
        late = read_delays(path).of(crops.keys)
        unknown = np.unique(tracks_of(crops.keys)[np.isnan(late)])
        measured = {"delays_sha256": sha256_of(path), "people_without_delay": len(unknown)}
    return Anchors(candidates, seed, measured)


SCHEMA = 1


@dataclass(frozen=True)
class Delays:
    """Delays by person and video."""

    frames: Mapping[tuple[str, int], float | None]
    """(video_id, person_id) -> frames later than the video's mean; None if it could not be estimated."""

    def of(self, keys: CropKeys) -> npt.NDArray[np.float64]:
        """Look up the delay (N,) of each crop's person, frames; NaN if unknown."""
        track = tracks_of(keys)
        tracks = np.unique(track)
        known = [self.frames.get((keys.video_ids[t >> 16], t & 0xFFFF)) for t in tracks.tolist()]
        return np.array([np.nan if d is None else d for d in known], dtype=np.float64)[np.searchsorted(tracks, track)]


def write_delays(
    path: Path, videos: Mapping[str, Mapping[int, tuple[float | None, float]]], *, root: str, run: str
) -> None:
    """Write estimates: video_id -> person_id -> (frames or None, correlation)."""
    table = {
        video: {
            str(person): {"delay": None if delay is None else round(delay, 2), "correlation": round(correlation, 4)}
            for person, (delay, correlation) in people.items()
        }
        for video, people in videos.items()
    }
    values = {"schema": SCHEMA, "root": root, "run": run, "unit": "frames", "videos": table}
    write_json(path, values)


def read_delays(path: Path) -> Delays:
    """Read a file of `write_delays`.

    Raises:
        DatasetError: the file is missing or invalid.
    """
    try:
        raw = read_json(path)
        if raw["schema"] > SCHEMA or raw["unit"] != "frames":
            raise DatasetError(
                f"expected delays of schema {SCHEMA} in frames in {path}, found schema {raw['schema']} in "
                f"{raw['unit']}; update, or write it again with `fertrain pairs-quality`"
            )
        return Delays({
            (video, int(person)): None if entry["delay"] is None else float(entry["delay"])
            for video, people in raw["videos"].items()
            for person, entry in people.items()
        })  # fmt: skip
    except FileNotFoundError:
        raise DatasetError(
            f"expected a file of delays at {path}, found none; `fertrain pairs-quality RUN --root ROOT` writes it"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"expected a file of delays at {path}, found something else ({error!r}); `fertrain pairs-quality` writes it"
        ) from None
