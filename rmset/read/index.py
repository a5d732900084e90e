"""The index of a root's crops: person, time and picture position of each row.

It has a block per video, made of the rows of its shards (`rmset.read.rows`), never of pixels, in one memory-mapped file
under `state/index/` (`rmset.read.blocks`). So 45 million rows open instantly, processes share one copy, and one more
video is only appended. It can be deleted at any time. Row numbers depend on the shards alone, not on the order of the
blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.parts.shards import LOCATION
from rmset.progress import Progress, silent
from rmset.read.blocks import FOLDER, Blocks, damaged, load
from rmset.read.columns import Column, Numbers, Parted
from rmset.read.growing import Made, extend
from rmset.read.rows import Shard, rows_of
from rmset.root import Root

__all__ = ["FOLDER", "CropIndex", "damaged", "find_shards", "kept_index", "open_index"]

_NAME = "crops-blocks"
_COLUMNS: dict[str, np.dtype] = {
    "time_ms": np.dtype(np.float64),
    "location": LOCATION,
    "frame": np.dtype(np.int32),
    "person": np.dtype(np.int16),
    "segment": np.dtype(np.int16),
}


@dataclass(frozen=True)
class CropIndex:
    """Rows 0 to N - 1: shards in the order of their keys, rows in the order of the shard."""

    shards: tuple[Shard, ...]
    first_row: npt.NDArray[np.int64]
    """(shards + 1,) row at which each shard begins, and N"""
    video_ids: list[str]
    blocks: Blocks
    """the rows of each video"""

    @property
    def folder(self) -> str | None:
        """Key of the folder that holds the blocks; None if they are only in memory."""
        return self.blocks.folder

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """(videos + 1,) row at which each video begins, and N."""
        return np.concatenate([[0], np.cumsum(self.blocks.lengths("frame"))]).astype(np.int64)

    @cached_property
    def arrays(self) -> dict[str, Column]:
        """By name: `video` (position in `video_ids`), `person`, `segment`, `frame`, `time_ms`, `location`; all (N,)."""
        blocks, starts = self.blocks, self.starts
        stored = {name: Parted(blocks.array(name), blocks.start(name), starts) for name in _COLUMNS}
        return {"video": Numbers(starts), **stored}

    def __len__(self) -> int:
        """Return the number of crops."""
        return int(self.first_row[-1])

    def opened(self, root: Root) -> CropIndex:
        """Return an unpickled index with its file mapped.

        Raises:
            RootError: the file is gone.
        """
        return CropIndex(self.shards, self.first_row, self.video_ids, self.blocks.opened(root))

    def __getstate__(self) -> dict[str, object]:
        """Pickle without the columns."""
        return {n: v for n, v in vars(self).items() if n in {"shards", "first_row", "video_ids", "blocks"}}


def open_index(root: Root, progress: Progress = silent) -> CropIndex:
    """Open the index of a root's crops; first append the videos of which shards are new or have changed.

    Raises:
        RootError: the root has no crops.
        ShardError: a shard is broken, or inconsistent with the others.
    """
    shards = find_shards(root)
    if not shards:
        raise RootError(f"root {root.place}: has no crops; run `rmset export` first")
    of_video = _by_video(shards)

    def begin(_missing: list[str]) -> Callable[[str], Made]:
        def made(video_id: str) -> Made:
            rows = rows_of(root, video_id, of_video[video_id])
            return rows.columns, rows.counts

        return made

    blocks = extend(root, _NAME, _COLUMNS, {v: stamp_of(own) for v, own in of_video.items()}, begin, progress)
    index = _index(shards, blocks)
    if index is None:
        place = root.files.place(f"{FOLDER}/{_NAME}")
        raise RootError(f"{place}: expected the rows of each shard, found others; remove it, it is made again")
    return index


def kept_index(root: Root) -> CropIndex | None:
    """Return the stored index of a root's crops if it matches the shards; never creates one."""
    shards = find_shards(root)
    found = load(root, _NAME, _COLUMNS) if shards else None
    chosen = None if found is None else found.chosen({v: stamp_of(own) for v, own in _by_video(shards).items()})
    return None if chosen is None else _index(shards, chosen)


def _index(shards: tuple[Shard, ...], blocks: Blocks) -> CropIndex | None:
    """Return the index of blocks; None if their numbers of rows are not those of these shards."""
    counts = [count for counts in blocks.numbers for count in counts]
    if len(counts) != len(shards) or min(counts, default=0) < 0:
        return None
    first_row = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    if [sum(own) for own in blocks.numbers] != blocks.lengths("frame").tolist():
        return None
    return CropIndex(shards, first_row, blocks.ids, blocks)


def _by_video(shards: tuple[Shard, ...]) -> dict[str, tuple[Shard, ...]]:
    return {video_id: tuple(group) for video_id, group in groupby(shards, key=lambda s: s.video_id)}


def stamp_of(shards: tuple[Shard, ...]) -> str:
    """Return what the rows of a video's shards depend on."""
    text = ";".join(f"{s.key} {s.bytes} {s.version}" for s in shards)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def find_shards(root: Root) -> tuple[Shard, ...]:
    """Return the shards of a root, by key, with size and version to detect changes."""
    hidden = root.removed().hidden
    return tuple(
        Shard(key, stamp.bytes, stamp.version)
        for key, stamp in root.files.stamps("crops/*/part-*.parquet")
        if key.split("/")[1] not in hidden
    )
