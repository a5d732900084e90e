"""Crops and pairs as Python objects: `crops[1337].image`, `for anchor, positives, negatives in pairs`.

Crops are lazy: a crop holds its row number, and reads its picture and its box when they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError, UsageError
from rmset.files import Stamp
from rmset.geometry import Box
from rmset.parts.frames import Image
from rmset.parts.shards import keys_of, packed_keys, read_faces
from rmset.read.columns import Column, Rows
from rmset.read.crops import CropKeys, CropStore
from rmset.read.pairs import PairSampler
from rmset.root import Root

_VIDEOS_KEPT = 8


@dataclass(frozen=True)
class Crop:
    """One face crop: person, time, and pixels.

    >>> crop = rmset.open("data/rmset").crops()[0]
    >>> crop.image.shape, crop.image.dtype
    ((64, 64, 3), dtype('uint8'))
    >>> x0, y0, x1, y1 = crop.box
    >>> crop.frame_idx, 0 <= x0 < x1 <= 640
    (0, True)
    """

    row: int
    """Row number among all crops of the root."""
    video_id: str
    person_id: int
    frame_idx: int
    """Frame of the source video, from 0."""
    time_ms: float
    """Time of that frame in the video."""
    store: CropStore = field(repr=False, compare=False)
    """Store that holds its pixels."""

    @property
    def encoded(self) -> bytes:
        """The encoded picture, as stored in its shard (JPEG unless exported otherwise)."""
        return self.store.read([self.row])[0]

    @property
    def image(self) -> Image:
        """The decoded picture: uint8 (H, W, 3), RGB."""
        return self.store.images([self.row])[0]

    @property
    def box(self) -> Box:
        """The face in the source frame: xyxy, px. The crop is wider than this box (`rmset export --widen`).

        Raises:
            RootError: the root has no face row for this crop.
        """
        faces = _faces(self.store.root, self.video_id)
        box = faces.box(self.person_id, self.frame_idx)
        if box is None:
            raise RootError(
                f"crop {self}: expected its face in {self.store.root.tracks_key(self.video_id)}, found none; track and "
                "export the video again"
            )
        return box

    def __str__(self) -> str:
        return f"{self.video_id}:{self.person_id}:{self.frame_idx}"


class Crops(Sequence[Crop]):
    """A sequence of crops. An index gives one `Crop`; a slice, a mask or an array of indices gives `Crops`.

    >>> crops = rmset.open("data/rmset").crops()
    >>> first = crops[:4]
    >>> len(first), np.stack(first.images()).shape
    (4, (4, 64, 64, 3))
    >>> alone = crops[crops.person == 0]
    >>> {crop.person_id for crop in alone}
    {0}
    """

    def __init__(self, store: CropStore, rows: Rows | Column | None = None) -> None:
        self.store = store
        self._rows = rows

    @property
    def rows(self) -> Rows:
        """(n,) row numbers among all crops of the root."""
        return np.arange(len(self.store)) if self._rows is None else np.asarray(self._rows)

    @property
    def video(self) -> npt.NDArray[np.str_]:
        """(n,) video_id of each."""
        return np.asarray(np.asarray(self._keys.video_ids, dtype=np.str_)[self._of(self._keys.video)])

    @property
    def person(self) -> npt.NDArray[np.integer]:
        """(n,) person_id of each."""
        return self._of(self._keys.person)

    @property
    def frame(self) -> npt.NDArray[np.integer]:
        """(n,) frame_idx of each."""
        return self._of(self._keys.frame)

    @property
    def time_ms(self) -> npt.NDArray[np.float64]:
        """(n,) time of each in its video."""
        return self._of(self._keys.time_ms)

    def images(self) -> list[Image]:
        """All decoded pictures, uint8 (H, W, 3) each; take slices if they exceed memory."""
        return self.store.images(self.rows)

    @property
    def _keys(self) -> CropKeys:
        return self.store.keys

    def _of(self, column: npt.NDArray | Column) -> npt.NDArray:
        return np.asarray(column if self._rows is None else column[self._rows])

    def __len__(self) -> int:
        return len(self.store) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Crop: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | npt.NDArray) -> Crops: ...
    def __getitem__(self, index: int | slice | Sequence[int] | npt.NDArray) -> Crop | Crops:
        if isinstance(index, slice):
            chosen = range(len(self))[index]
            return self._chosen(np.arange(chosen.start, chosen.stop, chosen.step))
        if np.ndim(index):
            return self._chosen(self._checked(np.asarray(index)))
        place = int(index)  # type: ignore[arg-type]  # numpy's integers are meant, too
        if not -len(self) <= place < len(self):
            raise IndexError(f"expected an index below {len(self)}, found {place}")
        place %= len(self)
        return self._crop(place if self._rows is None else int(self._rows[place]))

    def _checked(self, index: npt.NDArray) -> npt.NDArray[np.int64]:
        """Convert a mask, or indices that may be negative, to positions (n,)."""
        if index.dtype == np.bool_:
            if index.shape != (len(self),):
                raise IndexError(f"expected a mask of {len(self)} crops, found one of shape {index.shape}")
            return np.flatnonzero(index)
        places = index.astype(np.int64)
        if places.size and not (-len(self) <= places.min() and places.max() < len(self)):
            raise IndexError(f"expected indices below {len(self)}, found {places.min()} to {places.max()}")
        return places % max(len(self), 1)

    def _chosen(self, places: npt.NDArray[np.int64]) -> Crops:
        return Crops(self.store, places if self._rows is None else self._rows[places])

    def _crop(self, row: int) -> Crop:
        keys = self._keys
        video_id = keys.video_ids[keys.video[row]]
        return Crop(row, video_id, int(keys.person[row]), int(keys.frame[row]), float(keys.time_ms[row]), self.store)

    def __repr__(self) -> str:
        return f"<{len(self):,} crops of {self.store.root.place}>"


class Pair(NamedTuple):
    """An anchor with a draw of its candidates."""

    anchor: Crop
    positives: Crops
    """Other people of the video, at most d steps away."""
    negatives: Crops
    """The same person, more than d_far steps away."""


class Pairs:
    """Every anchor of a root once, in a seeded order, each with a draw of its candidates.

    The order and each anchor's draw are functions of the seed alone: the first eight are the same whether eight or
    all are taken.

    >>> pairs = rmset.open("data/rmset").pairs(d=5, d_far=10, seed=0)
    >>> for anchor, positives, negatives in pairs.take(2):
    ...     assert {c.person_id for c in negatives} == {anchor.person_id}
    ...     assert anchor.person_id not in {c.person_id for c in positives}
    """

    def __init__(self, store: CropStore, sampler: PairSampler, seed: int = 0) -> None:
        if seed < 0:
            raise UsageError(f"expected a seed of 0 or more, found {seed}")
        self.store, self.sampler, self.seed = store, sampler, seed

    @property
    def anchors(self) -> Crops:
        """All crops that have candidates of both kinds, in the order of their rows."""
        return Crops(self.store, self.sampler.anchors)

    def __len__(self) -> int:
        """Return the number of anchors."""
        return len(self.sampler.anchors)

    def __iter__(self) -> Iterator[Pair]:
        for row in _shuffled(self.sampler.anchors, np.random.default_rng([self.seed, 0])):
            positives, negatives = self.sampler.draw(row, np.random.default_rng([self.seed, 1, row]))
            yield self._pair(row, positives, negatives)

    def take(self, n: int) -> Iterator[Pair]:
        """Yield the first `n` pairs; fewer if the root has fewer anchors."""
        return islice(self, n)

    def of(self, crop: Crop) -> Pair:
        """Return one crop with all its candidates instead of a draw; both sets may be empty."""
        return self._pair(crop.row, self.sampler.positives(crop.row), self.sampler.negatives(crop.row))

    def _pair(self, row: int, positives: Rows, negatives: Rows) -> Pair:
        return Pair(Crops(self.store)[row], Crops(self.store, positives), Crops(self.store, negatives))

    def __repr__(self) -> str:
        rule = self.sampler.rule
        return f"<{len(self):,} anchors of {self.store.root.place}, d = {rule.d:g}, d_far = {rule.d_far:g} {rule.unit}>"


def _shuffled(values: Rows | Column, rng: np.random.Generator) -> Iterator[int]:
    """Yield each value once, in random order; memory grows with the values taken, not with all values."""
    moved: dict[int, int] = {}
    for place in range(len(values)):
        other = int(rng.integers(place, len(values)))
        # Fisher-Yates shuffle that stores only exchanged positions
        yield int(values[moved.get(other, other)])
        moved[other] = moved.pop(place, place)


class _Faces:
    """Boxes of one video's faces, by person and frame."""

    def __init__(self, root: Root, video_id: str) -> None:
        key = root.tracks_key(video_id)
        if not root.files.exists(key):
            raise RootError(f"video {video_id}: expected its tracks in {key}, found none; track it again")
        table = read_faces(root.files.local(key), ["person_id", "frame_idx", "x0", "y0", "x1", "y1"])
        place = keys_of(table)
        order = np.argsort(place, kind="stable")
        self._place = place[order]
        self._boxes = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)[order]

    def box(self, person: int, frame: int) -> Box | None:
        """Box of a face, xyxy px; None if the face is not in the tracks."""
        wanted = int(packed_keys(person, frame))
        at = int(np.searchsorted(self._place, wanted))
        if at == len(self._place) or self._place[at] != wanted:
            return None
        x0, y0, x1, y1 = self._boxes[at].tolist()
        return (x0, y0, x1, y1)


@lru_cache(maxsize=_VIDEOS_KEPT)
def _cached_faces(root: Root, video_id: str, changed: Stamp | None) -> _Faces:  # noqa: ARG001 - a changed file is another key
    return _Faces(root, video_id)


def _faces(root: Root, video_id: str) -> _Faces:
    try:
        changed = root.files.stamp(root.tracks_key(video_id))
    except FileNotFoundError:
        changed = None
    return _cached_faces(root, video_id, changed)
