"""Random access to the pixels of a root by row number.

Only the bytes of the picture are read from its shard; `rmset.read.index` has their positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError, ShardError
from rmset.parts.frames import Image
from rmset.parts.pictures import decode
from rmset.progress import Progress, silent
from rmset.read.columns import Column, Numbers, Parted
from rmset.read.handles import ShardFiles, read_at
from rmset.read.index import CropIndex, open_index
from rmset.read.persons import read_persons
from rmset.root import Root

__all__ = ["CropKeys", "CropStore", "decode"]


Integers = npt.NDArray[np.integer] | Column


@dataclass(frozen=True)
class CropKeys:
    """Person and time of each crop of a root, in the order of its shards. N crops.

    Each is an array, or a column of an index, which is read like one.
    """

    video_ids: list[str]
    video: Integers
    """(N,) position in `video_ids`"""
    person: Integers
    """(N,) person_id"""
    frame: Integers
    """(N,) frame_idx of the source"""
    time_ms: npt.NDArray[np.float64] | Column
    """(N,)"""
    segment: Integers = field(default_factory=lambda: np.empty(0, np.int16))
    """(N,) segment of the layout; empty if segments are unknown"""

    identity: Integers | None = None
    """(N,) ids that are equal for all tracks of one person in one video; None if `person` is"""

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """(V + 1,) row at which each video begins, and N.

        Raises:
            RootError: the rows of a video are not consecutive.
        """
        if isinstance(self.video, Numbers):
            return self.video.first
        if np.any(np.diff(self.video) < 0):
            raise RootError(
                "pairs: expected crops video by video, found them mixed; export the root again with --force"
            )
        return np.searchsorted(self.video, np.arange(len(self.video_ids) + 1)).astype(np.int64)

    def shown(self) -> npt.NDArray[np.int64]:
        """Return the videos that have crops, by their positions in `video_ids`, ascending."""
        return np.flatnonzero(np.diff(self.starts))

    def by_video(self, name: str) -> Iterator[npt.NDArray[Any]]:
        """Yield the values of a column video by video; those of an index are not copied."""
        column = getattr(self, name)
        for video, (start, end) in enumerate(pairwise(self.starts.tolist())):
            yield column.part(video) if isinstance(column, (Parted, Numbers)) else column[start:end]

    def rows_of(self, video: int) -> npt.NDArray[np.int64]:
        """Return the rows of one video, by its position in `video_ids`."""
        return np.arange(self.starts[video], self.starts[video + 1])

    @property
    def who(self) -> Integers:
        """(N,) id of the person, whom several tracks of a video may show (`rmset people`)."""
        return self.person if self.identity is None else self.identity

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.video)

    def name(self, row: int) -> str:
        """Return the row as `VIDEO:PERSON:FRAME`."""
        return f"{self.video_ids[self.video[row]]}:{self.person[row]}:{self.frame[row]}"

    def row(self, video_id: str, person: int, frame: int) -> int:
        """Return the row of one crop.

        Raises:
            RootError: there is no such crop.
        """
        if video_id in self.video_ids:
            mine = self.rows_of(self.video_ids.index(video_id))
            found = np.flatnonzero((self.person[mine] == person) & (self.frame[mine] == frame))
            if len(found):
                return int(mine[found[0]])
        raise RootError(f"crop {video_id}:{person}:{frame}: not in the root; `rmset sql` over `crops` lists what is")


class CropStore:
    """All crops of a root by row number, 0 to N - 1.

    Can be pickled and used in forked or spawned workers and in threads. Its arrays are memory-mapped and shared by all
    processes; few shards are open at once.

    Args:
        root: data set with the crops.
        most_open: shards open at once; see `ShardFiles`.
        progress: progress callback while the index is made, once per state of the root.

    Raises:
        RootError: the root has no crops.
        ShardError: a shard is broken.
    """

    def __init__(self, root: Root, *, most_open: int | None = None, progress: Progress = silent) -> None:
        self.root = root
        self._files: ShardFiles | None = None
        self._most_open = most_open
        self._use(open_index(root, progress))

    def _use(self, index: CropIndex) -> None:
        self.index = index
        arrays = index.arrays
        columns = [arrays[n] for n in ("video", "person", "frame", "time_ms", "segment")]
        identity = read_persons(self.root).identity(index.video_ids, arrays["video"], arrays["person"])
        self.keys = replace(CropKeys(index.video_ids, *columns), identity=identity)
        self._files = ShardFiles(self.root.files, index.shards, self._most_open)
        # Contiguous and small, as it is searched for every row.
        self._inner = np.ascontiguousarray(index.first_row[1:-1])

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without open files and mapped arrays, which the receiver opens again."""
        return {"root": self.root, "index": self.index, "most_open": self._most_open}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the arrays of the same index.

        Raises:
            RootError: the index is gone, because the root has changed.
        """
        self.root, self._most_open = state["root"], state["most_open"]
        index: CropIndex = state["index"]
        self._use(index.opened(self.root))

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.index)

    @property
    def open_files(self) -> int:
        """Number of shards that are open now."""
        return len(self._files) if self._files is not None else 0

    def read(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[bytes]:
        """Return the encoded picture of each row, in the order of `rows`.

        Raises:
            IndexError: a row is not between 0 and N - 1.
            ShardError: a shard is missing, truncated, or has changed since the store was opened.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if not wanted.size:
            return []
        if wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(f"expected rows 0 to {len(self) - 1}, found {wanted.min()} to {wanted.max()}")
        assert self._files is not None
        where = self.index.arrays["location"][wanted]
        shard = np.searchsorted(self._inner, wanted, side="right").tolist()
        held = self._files.take(set(shard))
        fds = {number: handle.fd for number, handle in held.items()}
        self._check_sizes(where["size"], shard)
        sizes = where["size"].tolist()
        places = list(zip(shard, where["offset"].tolist(), sizes, strict=True))
        away = [place for place in places if place[0] not in fds]
        parts = iter(self._files.far.read(away) if away else ())
        found = [read_at(fds[s], size, at) if s in fds else next(parts) for s, at, size in places]
        if list(map(len, found)) != sizes:
            short = next(i for i, data in enumerate(found) if len(data) != sizes[i])
            path = self.root.files.local(self.index.shards[shard[short]].key)
            raise ShardError(
                f"{path}: expected {sizes[short]} bytes of a picture, found {len(found[short])}; it is cut short"
            )
        return found

    def _check_sizes(self, sizes: npt.NDArray[np.integer], shard: list[int]) -> None:
        """Raise for pictures larger than their shard (a damaged index), before allocating memory."""
        room = np.array([self.index.shards[s].bytes for s in shard])
        if ((sizes < 0) | (sizes > room)).any():
            raise ShardError(
                f"{self.root.place}: expected pictures no larger than their shards, found an index that is damaged; "
                "remove state/index, it is made again"
            )

    def images(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[Image]:
        """Return the decoded picture of each row, uint8 (H, W, 3) RGB.

        Raises:
            IndexError: a row is not between 0 and N - 1.
            ShardError: a picture is damaged, or as for `read`.
        """
        return [self.picture(data, int(row)) for data, row in zip(self.read(rows), rows, strict=True)]

    def picture(self, data: bytes, row: int) -> Image:
        """Decode the bytes that `read` returned for a row: uint8 (H, W, 3) RGB.

        Raises:
            ShardError: the bytes are damaged.
        """
        try:
            return decode(data)
        except ValueError as error:
            raise ShardError(
                f"crop {self.keys.name(row)} of {self.root.place}: {error}; `rmset verify --repair` makes it again"
            ) from None
