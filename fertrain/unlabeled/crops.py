"""RMset for torch: the crops of a root by row, with person and time.

Pixels become tensors here, because rmset does not import torch. Positives and negatives are in `candidates`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rmset._dataset import AnyRoot, root_of
from rmset.errors import UsageError
from rmset.parts.picture_size import check_picture
from rmset.parts.pictures import JPEG
from rmset.read.crops import CropKeys, CropStore
from rmset.read.pairindex import recorded_step
from rmset.read.persons import read_persons
from rmset.read.splits import SplitName, splits
from rmset.remote import is_remote
from rmset.root import Root

from ..datasets.images import Allocate, decode, fresh, resized, stacked
from ..errors import DatasetError
from ..transforms.input_spec import InputSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from rmset.read.crops import Integers

_PIECE = 1 << 16
"""frames that are looked at together"""


@dataclass(frozen=True)
class Crops:
    """The crops used by a run: all of a root, or whole videos of it. Row numbers refer to these, from 0."""

    store: CropStore
    """All crops of the root."""
    keys: CropKeys
    """Person and time of each used crop; N."""
    rows: npt.NDArray[np.int64] | None
    """(N,) their rows in the store, ascending; None for all."""
    stride: int
    """Frames in one step."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def whole(self) -> bool:
        """Whether all crops of the root are used."""
        return self.rows is None

    @property
    def videos(self) -> list[str]:
        """The ids of the videos with used crops."""
        return [self.keys.video_ids[v] for v in self.keys.shown().tolist()]

    def sha256(self) -> str:
        """Hash of the shards, people and times: another export has another hash."""
        ids = set(self.videos)
        shards = [[s.key, s.bytes] for s in self.store.index.shards if s.video_id in ids]
        digest = hashlib.sha256(json.dumps(shards).encode())
        for column in ("video", "person", "frame"):
            for values in self.keys.by_video(column):
                digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def exports(self) -> dict[str, str]:
        """Hash of each video's shards, by video_id, as the root's ledger has it."""
        return {v: known for v in self.videos if (known := self.store.root.export_hash(v)) is not None}

    def described(self) -> str:
        """Describe the crops in one line: crops, people, videos with one person alone, the longest track.

        Raises:
            DatasetError: a person's number is out of range.
        """
        company, longest = [], 0
        # video by video: the columns of a large root do not fit into memory
        for person, frame in zip(self.keys.by_video("person"), self.keys.by_video("frame"), strict=True):
            _check_people(person)
            count = int(person.max(initial=-1)) + 1
            # same dtype as the frames: otherwise numpy casts one by one, forty times slower
            first = np.full(count, np.iinfo(frame.dtype).max, frame.dtype)
            last = np.zeros_like(first)
            np.minimum.at(first, person, frame)
            np.maximum.at(last, person, frame)
            there = first <= last
            company.append(int(there.sum()))
            longest = max(longest, int((last - first).max(where=there, initial=0)))
        videos, lonely = np.count_nonzero(company), company.count(1)
        return (
            f"{len(self):,} crops of {sum(company):,} people in {videos:,} videos, {lonely:,} of them "
            f"with one person alone, the longest track spans {longest // self.stride:,} steps"
        )


def tracks_of(keys: CropKeys) -> npt.NDArray[np.int64]:
    """Person of each crop as one number (N,): video · 2¹⁶ + person.

    Raises:
        DatasetError: a person's number is out of range.
    """
    person = np.asarray(keys.person)
    _check_people(person)
    track: npt.NDArray[np.int64] = np.asarray(keys.video, dtype=np.int64) << 16 | person
    return track


def _check_people(person: npt.NDArray[np.integer]) -> None:
    """Check the range of the people's numbers."""
    if len(person) and (person.min() < 0 or person.max() >= 1 << 16):
        raise DatasetError(
            f"expected person numbers from 0 to 65,535, found {person.min()} to {person.max()}; export again"
        )


def open_crops(
    root: Root, fraction: float = 1.0, seed: int = 0, *, split: SplitName | None = None, split_seed: int = 0
) -> Crops:
    """Open the crops of a root, or of some of its people, or of a seeded share of its videos.

    Pairs are within videos, so whole videos are drawn: the nearest number, at least one; a smaller share is a subset of
    a larger one. From a root with one video, people are drawn instead, at least two.

    Args:
        root: the data set.
        fraction: share of the videos.
        seed: seed of the share.
        split: people to use, drawn as `rmset publish` draws them; one person is in one split in all videos, if
            `rmset people link` has linked the tracks. None: everybody.
        split_seed: seed of the splits.

    Raises:
        UsageError: videos were exported with different strides, so a step is undefined.
        DatasetError: the split has no people.
    """
    store = CropStore(root)
    keys, stride = store.keys, recorded_step(root) or stride_of(store.keys.frame)
    if split is not None:
        rows = _of_split(root, keys, split, split_seed)
        some = _some(keys, rows)
        if fraction < 1:
            rows = rows[_share(some, fraction, seed)]
        return Crops(store, _some(keys, rows), rows, stride)
    if fraction >= 1:
        return Crops(store, keys, None, stride)
    rows = _share(keys, fraction, seed)
    return Crops(store, _some(keys, rows), rows, stride)


def _of_split(root: Root, keys: CropKeys, split: SplitName, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows of the people of a split."""
    track = tracks_of(keys)
    people, of = np.unique(track, return_inverse=True)
    named = [(keys.video_ids[int(p) >> 16], int(p) & 0xFFFF) for p in people]
    linked = {person: row.person_key for person, row in read_persons(root).by_track.items()}
    found, _ = splits(named, linked, seed)
    rows = np.flatnonzero(np.array([found[person] == split for person in named], np.bool_)[of])
    if not len(rows):
        raise DatasetError(
            f"expected people of the split {split} in {root.place}, found none among {len(people)}; take another split "
            "or seed, or all people"
        )
    return rows


def _share(keys: CropKeys, fraction: float, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows of a seeded share of the videos; of one video, of its people."""
    videos, rng = keys.shown(), np.random.default_rng([seed, 9])
    if len(videos) > 1:
        chosen = rng.permutation(videos)[: max(1, round(fraction * len(videos)))]
        return np.concatenate([keys.rows_of(video) for video in np.sort(chosen).tolist()])
    people = rng.permutation(np.unique(keys.who))
    return np.flatnonzero(np.isin(keys.who, people[: max(2, round(fraction * len(people)))]))


def _some(keys: CropKeys, rows: npt.NDArray[np.int64]) -> CropKeys:
    """Return the keys of some crops."""
    own = {name: getattr(keys, name)[rows] for name in ("video", "person", "frame", "time_ms")}
    segment = keys.segment[rows] if len(keys.segment) else keys.segment
    identity = None if keys.identity is None else keys.identity[rows]
    return replace(keys, **own, segment=segment, identity=identity)


class CropItem(NamedTuple):
    """One crop of `CropDataset`; `torch.utils.data.DataLoader` collates several into a batch of the same fields."""

    pixels: Tensor
    """uint8 (C, S, S); of a batch (n, C, S, S)."""
    row: int
    """Row number among all crops of the root; of a batch int64 (n,), like person and frame."""
    video: str
    """video_id; of a batch a list."""
    person: int
    """person_id within the video."""
    frame: int
    """frame_idx of the source video."""


class CropDataset(Dataset[CropItem]):
    """Decoded crops of a root as a torch data set; also implements `Images`, the interface for training.

    Args:
        root: a data set, its folder, or part of its crops (`open_crops`).
        image_size: side S of the pictures, px; default: that of the first crop.
        gray: convert to gray: one channel instead of three.

    Raises:
        RootError: the root has no crops.

    >>> ds = fertrain.CropDataset("data/rmset", image_size=48)
    >>> item = ds[7]
    >>> item.pixels.shape, item.pixels.dtype, item.person, item.frame
    (torch.Size([3, 48, 48]), torch.uint8, 1, 2)
    >>> batch = next(iter(torch.utils.data.DataLoader(ds, batch_size=4)))
    >>> batch.pixels.shape, batch.row.tolist()
    (torch.Size([4, 3, 48, 48]), [0, 1, 2, 3])
    """

    def __init__(self, root: Crops | AnyRoot = None, *, image_size: int | None = None, gray: bool = False) -> None:
        self.crops = root if isinstance(root, Crops) else open_crops(root_of(root))
        if image_size is not None and not 8 <= image_size <= 4096:
            raise UsageError(f"expected image_size from 8 to 4096 px, found {image_size}")
        self.store, self.rows = self.crops.store, self.crops.rows
        self.size = image_size if image_size is not None else int(self.store.images([0])[0].shape[0])
        self.gray = gray

    @classmethod
    def for_spec(cls, crops: Crops, spec: InputSpec) -> CropDataset:
        """Make the data set of crops for a network's input spec: its size, gray or color."""
        return cls(crops, image_size=spec.size, gray=spec.gray)

    @property
    def is_far(self) -> bool:
        """Whether the root is on an object store; its batches are then fetched ahead, in threads."""
        return is_remote(self.store.root.place)

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.crops)

    def __getitem__(self, index: int) -> CropItem:
        """One crop."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, found {index}")
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: list[int]) -> list[CropItem]:
        """Read several crops together; used by `DataLoader` for batches."""
        batch = self.items(indices, self.read(indices))
        return [
            CropItem(*one)
            for one in zip(
                batch.pixels, batch.row.tolist(), batch.video, batch.person.tolist(), batch.frame.tolist(), strict=True
            )
        ]

    def items(self, indices: Sequence[int] | npt.NDArray[np.integer], pixels: Tensor) -> CropBatch:
        """Read pixels (n, C, S, S) of some crops, with person and time."""
        index, keys = np.asarray(indices, dtype=np.int64), self.crops.keys
        row = index if self.rows is None else self.rows[index]
        video = [keys.video_ids[v] for v in keys.video[index].tolist()]
        person, frame = (torch.from_numpy(column[index].astype(np.int64)) for column in (keys.person, keys.frame))
        return CropBatch(pixels, torch.from_numpy(row), video, person, frame)

    def read(self, rows: Sequence[int], allocate: Allocate = fresh) -> Tensor:
        """Read uint8 (n, C, S, S). JPEGs are decoded near the target size, because decoding is most of the cost.

        Raises:
            DatasetError: a crop is damaged.
        """
        wanted = self._wanted(rows)
        return self.decoded(self.store.read(wanted), wanted, allocate)

    def _wanted(self, rows: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the rows in the store."""
        wanted = np.asarray(rows, dtype=np.int64)
        return wanted if self.rows is None else self.rows[wanted]

    def fetch(self, rows: Sequence[int]) -> Callable[[], Tensor]:
        """Read the pictures of these rows; the function returned decodes them."""
        wanted = self._wanted(rows)
        return partial(self.decoded, self.store.read(wanted), wanted)

    def decoded(self, pictures: Sequence[bytes], rows: npt.NDArray[np.int64], allocate: Allocate = fresh) -> Tensor:
        """Decode pictures to uint8 (n, C, S, S); `rows` name them in errors."""
        images = (self._decode(data, row) for data, row in zip(pictures, rows, strict=True))
        return stacked(images, len(pictures), allocate)

    def _decode(self, data: bytes, row: np.integer) -> npt.NDArray[np.uint8]:
        if not data.startswith(JPEG):
            return resized(decode(data, self._place(row), gray=self.gray), self.size)
        try:
            check_picture(data)
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
        return f"crop {row} of {self.store.root.place}"


class CropBatch(NamedTuple):
    """A batch of crops, with the fields of `CropItem`."""

    pixels: Tensor
    """uint8 (n, C, S, S), or float32 in [0, 1] where the loader augments."""
    row: Tensor
    """int64 (n,) row numbers among all crops of the root."""
    video: list[str]
    """video_id of each."""
    person: Tensor
    """int64 (n,) person_id within the video."""
    frame: Tensor
    """int64 (n,) frame_idx of the source video."""


def stride_of(frames: Integers) -> int:
    """Frames per step if no export is recorded: the greatest common divisor of frame numbers, too large with gaps."""
    step, first = 0, int(frames[0]) if len(frames) else 0
    for start in range(0, len(frames), _PIECE):
        piece = np.asarray(frames[start : start + _PIECE], dtype=np.int64) - first
        step = math.gcd(step, int(np.gcd.reduce(piece)))
        if step == 1:
            # the other frames cannot change it
            break
    return max(1, step)
