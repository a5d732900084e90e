"""The index of a root's crops: for each row who and when it is, and where its picture lies.

It is derived from the shards' footers and number columns, never from pixels, and kept as memory-mapped arrays under
`state/index/`, so that 45 million rows open at once and several processes share one copy. It can be deleted at any
time. Its folder is named after the shards it was made from: what a name stands for never changes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError, ShardError
from rmset.files import hash_of
from rmset.parts.shards import LOCATION, locate, opened, read
from rmset.progress import Progress, silent
from rmset.root import Root

FOLDER = "state/index"
_FORMAT = 1  # raised when the arrays mean something else; old folders are then made anew
_COLUMNS = ("person_id", "segment", "frame_idx", "time_ms", "encoded_size")
_ARRAYS: dict[str, np.dtype] = {
    "video": np.dtype(np.int32),
    "person": np.dtype(np.int16),
    "segment": np.dtype(np.int16),
    "frame": np.dtype(np.int32),
    "time_ms": np.dtype(np.float64),
    "location": LOCATION,
}

Array = npt.NDArray
Arrays = dict[str, Array]
Shapes = Mapping[str, tuple[int, np.dtype]]


@dataclass(frozen=True)
class Shard:
    """One shard as it was when the index was made."""

    key: str
    bytes: int
    version: int | str
    """as the root's place counts versions; see `Stamp`"""

    @property
    def video_id(self) -> str:
        """The folder it lies in names its video."""
        return self.key.split("/")[1]


@dataclass(frozen=True)
class CropIndex:
    """Rows 0 to N - 1: shards in the order of their keys, rows in the order of the shard."""

    shards: tuple[Shard, ...]
    first_row: npt.NDArray[np.int64]
    """(shards + 1,) row at which each shard begins, and N"""
    video_ids: list[str]
    arrays: Arrays
    """by name: `video` (position in `video_ids`), `person`, `segment`, `frame`, `time_ms`, `location`; all (N,)"""
    folder: str | None
    """key of the folder that holds the arrays; None if they are only in memory"""

    def __len__(self) -> int:
        """Return the number of crops."""
        return int(self.first_row[-1])


def open_index(root: Root, progress: Progress = silent) -> CropIndex:
    """Open the index of a root's crops; make it first if the shards have changed.

    Raises:
        RootError: the root has no crops.
        ShardError: a shard is broken, or does not fit the others.
    """
    shards = find_shards(root)
    if not shards:
        raise RootError(f"root {root.path}: has no crops; run `rmset export` first")
    name = _name(shards)
    ids = sorted({s.video_id for s in shards})

    def rows() -> npt.NDArray[np.int64]:
        counts = [opened(root.files.local(s.key)).metadata.num_rows for s in shards]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def shapes(first_row: npt.NDArray[np.int64]) -> dict[str, tuple[int, np.dtype]]:
        total = int(first_row[-1])
        return {**{n: (total, t) for n, t in _ARRAYS.items()}, "first_row": (len(first_row), np.dtype(np.int64))}

    def fill(arrays: Arrays, first_row: npt.NDArray[np.int64]) -> None:
        arrays["first_row"][:] = first_row
        for number, shard in enumerate(shards):
            _fill_shard(root, shard, arrays, slice(int(first_row[number]), int(first_row[number + 1])), ids)
            progress("index crops", number + 1, len(shards))

    kept = kept_index(root)
    if kept is not None:
        return kept
    first_row = rows()
    arrays, folder = make(root, name, shapes(first_row), lambda a: fill(a, first_row), sweep="crops-*")
    return CropIndex(shards, np.asarray(arrays.pop("first_row")), ids, arrays, folder)


def kept_index(root: Root) -> CropIndex | None:
    """The index of a root's crops if one is kept that fits the shards; nothing is made."""
    shards = find_shards(root)
    arrays = load(root, _name(shards)) if shards else None
    if arrays is None:
        return None
    first_row = np.asarray(arrays.pop("first_row"))
    return CropIndex(shards, first_row, sorted({s.video_id for s in shards}), arrays, f"{FOLDER}/{_name(shards)}")


def _name(shards: tuple[Shard, ...]) -> str:
    return f"crops-{hash_of([_FORMAT, [[s.key, s.bytes, s.version] for s in shards]])[:16]}"


def find_shards(root: Root) -> tuple[Shard, ...]:
    """The shards of a root, by key, with the size and time that tell whether they have changed."""
    found = []
    for key in root.files.keys("crops/*/part-*.parquet"):
        stamp = root.files.stamp(key)
        found.append(Shard(key, stamp.bytes, stamp.version))
    return tuple(found)


def _fill_shard(root: Root, shard: Shard, arrays: Arrays, rows: slice, ids: list[str]) -> None:
    path = root.files.local(shard.key)
    file = opened(path)
    missing = [c for c in _COLUMNS if c not in file.schema_arrow.names]
    if missing:
        raise ShardError(f"{path}: expected the column {missing[0]}, found none; export the video again with --force")
    table = read(file, _COLUMNS)
    arrays["video"][rows] = ids.index(shard.video_id)
    for name, column in zip(("person", "segment", "frame", "time_ms"), _COLUMNS, strict=False):
        arrays[name][rows] = table[column].to_numpy()
    arrays["location"][rows] = locate(path, file, table["encoded_size"].to_numpy())
    file.close()


# Arrays kept in a folder of the root.


def load(root: Root, name: str) -> Arrays | None:
    """The arrays kept under a name, memory-mapped; None if there are none, or not all of them."""
    folder = root.files.local(f"{FOLDER}/{name}")
    try:
        names = json.loads((folder / "arrays.json").read_text(encoding="utf-8"))
        return {n: _mapped(folder / f"{n}.npy") for n in names}
    except (OSError, ValueError):
        return None


def make(
    root: Root, name: str, shapes: Shapes, fill: Callable[[Arrays], None], sweep: str | None = None
) -> tuple[Arrays, str | None]:
    """Make arrays and keep them under a name.

    Where the root cannot be written to, or another process is making an index, they are made in memory alone.

    Args:
        root: whose `state/index` keeps them.
        name: of the folder.
        shapes: length and type of each array.
        fill: writes the values into the arrays, which are given as zeros.
        sweep: folders of this pattern are removed first: what they were made from is gone.

    Returns:
        The arrays, and the key of their folder or None.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(root.files.lock("index"))
            folder: Path = stack.enter_context(root.files.publish_folder(f"{FOLDER}/{name}"))
        except (RootError, OSError):
            arrays = {n: np.zeros(length, dtype) for n, (length, dtype) in shapes.items()}
            fill(arrays)
            return arrays, None
        files = {n: folder / f"{n}.npy" for n in shapes}
        for n, (length, dtype) in shapes.items():
            # An empty file cannot be mapped.
            if length == 0:
                np.save(files[n], np.zeros(0, dtype))
        mapped = {
            n: np.lib.format.open_memmap(files[n], "w+", dtype, (length,)) if length else np.zeros(0, dtype)
            for n, (length, dtype) in shapes.items()
        }
        fill(mapped)
        for array in mapped.values():
            if isinstance(array, np.memmap):
                array.flush()
        del mapped
        (folder / "arrays.json").write_text(json.dumps(list(shapes)), encoding="utf-8")
        if sweep:
            for old in {Path(key).parent.as_posix() for key in root.files.keys(f"{FOLDER}/{sweep}/arrays.json")}:
                root.files.remove(old)
    arrays = load(root, name) or {}
    if set(arrays) != set(shapes):
        raise RootError(f"{root.path}/{FOLDER}/{name}: was written but cannot be read back; remove it and try again")
    return arrays, f"{FOLDER}/{name}"


def _mapped(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r" if path.stat().st_size > 4096 else None)
    # A plain view: each access through numpy.memmap itself costs a microsecond.
    return array.view(np.ndarray)
