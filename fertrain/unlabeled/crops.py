"""RMset for torch: a root, its crops by row, and who they show when.

rmset itself knows no torch. Who is compared with whom is said in `candidates`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from torch import Tensor

from rmset.parts.pictures import JPEG
from rmset.read.crops import CropKeys, CropStore
from rmset.read.pairindex import recorded_step
from rmset.root import Root

from ..datasets.images import decode, resized, stacked
from ..errors import DatasetError
from ..transforms.input_spec import InputSpec

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Crops:
    """The crops that take part in a run: all of a root, or whole videos of it. Rows count these, from 0."""

    store: CropStore
    """All crops of the root."""
    keys: CropKeys
    """Who and when, of those that take part; N."""
    rows: npt.NDArray[np.int64] | None
    """(N,) their rows in the store, ascending; None for all."""
    stride: int
    """Frames in one step."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def whole(self) -> bool:
        """Whether all of the root takes part."""
        return self.rows is None

    def sha256(self) -> str:
        """Hash of the shards that the crops lie in and of who is seen when: another export has another."""
        ids = [self.keys.video_ids[v] for v in np.unique(self.keys.video).tolist()]
        shards = [[s.key, s.bytes] for s in self.store.index.shards if s.video_id in set(ids)]
        digest = hashlib.sha256(json.dumps(shards).encode())
        for column in (self.keys.video, self.keys.person, self.keys.frame):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def described(self) -> str:
        """Counts, for messages: crops, people, videos with one person alone, the longest track."""
        track = tracks_of(self.keys)
        # searched for: np.unique's own inverse would sort every crop, and there may be tens of millions
        people = np.unique(track)
        of = np.searchsorted(people, track)
        videos, company = np.unique(people >> 16, return_counts=True)
        # of the frames' own type: numpy casts one by one here, forty times slower
        first = np.full(len(people), np.iinfo(self.keys.frame.dtype).max, self.keys.frame.dtype)
        last = np.zeros_like(first)
        np.minimum.at(first, of, self.keys.frame)
        np.maximum.at(last, of, self.keys.frame)
        longest, lonely = int((last - first).max(initial=0)) // self.stride, int((company == 1).sum())
        return (
            f"{len(self):,} crops of {len(people):,} people in {len(videos):,} videos, {lonely:,} of them "
            f"with one person alone, the longest track spans {longest:,} steps"
        )


def tracks_of(keys: CropKeys) -> npt.NDArray[np.int64]:
    """Who each crop shows, as one number (N,): video · 2¹⁶ + person.

    Raises:
        DatasetError: a person's number has no place there.
    """
    if len(keys) and (keys.person.min() < 0 or keys.person.max() >= 1 << 16):
        raise DatasetError(
            f"expected person numbers from 0 to 65,535, found {keys.person.min()} to {keys.person.max()}; export again"
        )
    return keys.video.astype(np.int64) << 16 | keys.person


def open_crops(root: Root, fraction: float = 1.0, seed: int = 0) -> Crops:
    """The crops of a root, or of a seeded share of its videos.

    Pairs live within videos, so whole videos are taken: the nearest number of them, one at least, and those of a
    smaller share are among those of a larger one. Of a root with one video its people are taken, two at least.

    Raises:
        UsageError: videos were exported with different strides, so that a step means nothing.
    """
    store = CropStore(root)
    keys, stride = store.keys, recorded_step(root) or stride_of(store.keys.frame)
    if fraction >= 1:
        return Crops(store, keys, None, stride)
    many = len(np.unique(keys.video)) > 1
    group, least = (keys.video, 1) if many else (keys.person, 2)
    groups = np.random.default_rng([seed, 9]).permutation(np.unique(group))
    rows = np.flatnonzero(np.isin(group, groups[: max(least, round(fraction * len(groups)))]))
    own = {name: getattr(keys, name)[rows] for name in ("video", "person", "frame", "time_ms")}
    segment = keys.segment[rows] if len(keys.segment) else keys.segment
    return Crops(store, replace(keys, **own, segment=segment), rows, stride)


class CropImages:
    """Crops as `Images`; JPEG is decoded near the size wanted, which is most of the cost."""

    def __init__(self, crops: Crops, spec: InputSpec) -> None:
        self.store, self.rows = crops.store, crops.rows
        self.size, self.gray, self.total = spec.size, spec.gray, len(crops)

    def __len__(self) -> int:
        return self.total

    def read(self, rows: Sequence[int]) -> Tensor:
        """uint8 (n, C, S, S).

        Raises:
            DatasetError: a crop is damaged.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        wanted = wanted if self.rows is None else self.rows[wanted]
        return stacked([self._decode(data, row) for data, row in zip(self.store.read(wanted), wanted, strict=True)])

    def _decode(self, data: bytes, row: np.integer) -> npt.NDArray[np.uint8]:
        if not data.startswith(JPEG):
            return resized(decode(data, self._place(row), gray=self.gray), self.size)
        try:
            image = simplejpeg.decode_jpeg(
                data, colorspace="GRAY" if self.gray else "RGB", min_height=self.size, min_width=self.size
            )
        except ValueError as error:
            raise DatasetError(
                f"expected a JPEG, found one that cannot be decoded ({error}) as {self._place(row)}; "
                "`rmset verify --repair` makes its shard again"
            ) from None
        return resized(np.asarray(image, dtype=np.uint8), self.size)

    def _place(self, row: np.integer) -> str:
        return f"crop {row} of {self.store.root.path}"


def stride_of(frames: npt.NDArray[np.integer]) -> int:
    """Frames in one step where no export is recorded: what divides all frame numbers. Gaps can make it too large."""
    return max(1, int(np.gcd.reduce(frames - frames.min()))) if len(frames) else 1
