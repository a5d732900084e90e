"""The index of a root's crops: person, time and picture position of each row.

It is put together from the rows of each video (`rmset.read.rows`), never from pixels, and stored as memory-mapped
arrays under `state/index/`, so that 45 million rows open instantly and processes share one copy. It can be deleted at
any time. Its folder is named by a hash of its shards, so its content never changes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset import bounded
from rmset.errors import RootError, ShardError
from rmset.files import hash_of, sha256_of
from rmset.parts.shards import LOCATION
from rmset.progress import Progress, silent
from rmset.read.rows import Shard, kept_counts, rows_key, rows_of
from rmset.root import Root

FOLDER = "state/index"
_FORMAT = 2  # raised when the meaning of the arrays changes; old folders are then rebuilt
_CONTENTS = "arrays.json"
_NAME = re.compile(r"[a-z_]{1,40}")
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
        ShardError: a shard is broken, or inconsistent with the others.
    """
    shards = find_shards(root)
    if not shards:
        raise RootError(f"root {root.place}: has no crops; run `rmset export` first")
    name = _name(shards)
    ids = sorted({s.video_id for s in shards})

    of_video = {video_id: tuple(group) for video_id, group in groupby(shards, key=lambda s: s.video_id)}

    def shapes(first_row: npt.NDArray[np.int64]) -> dict[str, tuple[int, np.dtype]]:
        total = int(first_row[-1])
        return {**{n: (total, t) for n, t in _ARRAYS.items()}, "first_row": (len(first_row), np.dtype(np.int64))}

    def fill(arrays: Arrays, first_row: npt.NDArray[np.int64]) -> None:
        arrays["first_row"][:] = first_row
        starts = dict(zip((s.key for s in shards), first_row.tolist(), strict=False))

        def fill_video(number: int) -> None:
            video_id = ids[number]
            rows = rows_of(root, video_id, of_video[video_id])
            if rows.counts != counts[video_id]:
                place = root.files.place(rows_key(video_id))
                raise ShardError(f"{place}: expected the rows of its shards, found others; run the command again")
            low = starts[of_video[video_id][0].key]
            mine = slice(low, low + sum(rows.counts))
            arrays["video"][mine] = number
            for name, values in rows.columns.items():
                arrays[name][mine] = values

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(fill_video, range(len(ids)))):
                progress("index crops", done + 1, len(ids))

    kept = _kept(root, shards)
    if kept is not None:
        return kept
    counts: dict[str, tuple[int, ...]] = {}
    for done, (video_id, own) in enumerate(of_video.items()):
        known = kept_counts(root, video_id, own)
        counts[video_id] = known if known is not None else rows_of(root, video_id, own).counts
        progress("find crops", done + 1, len(ids))
    sizes = [count for video_id in ids for count in counts[video_id]]
    first_row = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    arrays, folder = make(root, name, shapes(first_row), lambda a: fill(a, first_row), sweep="crops-*")
    return CropIndex(shards, np.asarray(arrays.pop("first_row")), ids, arrays, folder)


def kept_index(root: Root) -> CropIndex | None:
    """Return the stored index of a root's crops if it matches the shards; never creates one."""
    return _kept(root, find_shards(root))


def _kept(root: Root, shards: tuple[Shard, ...]) -> CropIndex | None:
    expected = _ARRAYS | {"first_row": np.dtype(np.int64)}
    arrays = load(root, _name(shards), expected) if shards else None
    if arrays is None:
        return None
    first_row = np.asarray(arrays.pop("first_row"))
    rows = len(arrays["video"])
    if not (len(first_row) == len(shards) + 1 and first_row[0] == 0 and first_row[-1] == rows):
        return None
    if np.any(np.diff(first_row) < 0) or any(len(array) != rows for array in arrays.values()):
        return None
    return CropIndex(shards, first_row, sorted({s.video_id for s in shards}), arrays, f"{FOLDER}/{_name(shards)}")


def _name(shards: tuple[Shard, ...]) -> str:
    return f"crops-{hash_of([_FORMAT, [[s.key, s.bytes, s.version] for s in shards]])[:16]}"


def find_shards(root: Root) -> tuple[Shard, ...]:
    """Return the shards of a root, by key, with size and version to detect changes."""
    found, hidden = [], root.removed().hidden
    for key in root.files.keys("crops/*/part-*.parquet"):
        if key.split("/")[1] in hidden:
            continue
        stamp = root.files.stamp(key)
        found.append(Shard(key, stamp.bytes, stamp.version))
    return tuple(found)


# Cached arrays in a folder of the root.


def load(root: Root, name: str, expected: Mapping[str, np.dtype] | None = None) -> Arrays | None:
    """Return the cached arrays of a name, memory-mapped; None if they are missing or damaged.

    Args:
        root: data set with the cache.
        name: name of the folder.
        expected: required names and types.
    """
    made = _contents(root, name)
    if made is None or (expected is not None and {n: np.dtype(a["dtype"]) for n, a in made.items()} != expected):
        return None
    try:
        arrays = {n: _mapped(root.files.local(f"{FOLDER}/{name}/{n}.npy")) for n in made}
    except Exception:
        # NumPy parses the header with Python's own parser, which can raise anything for a damaged one.
        return None
    whole = all((len(arrays[n]), arrays[n].dtype) == (a["length"], np.dtype(a["dtype"])) for n, a in made.items())
    return arrays if whole else None


def _contents(root: Root, name: str) -> dict[str, dict[str, Any]] | None:
    """Length, type and hash of each cached array of a name."""
    key = f"{FOLDER}/{name}/{_CONTENTS}"
    try:
        found = bounded.parse_json(root.files.read_text(key), key)
        return {
            str(n): {"dtype": _dtype_of(a["dtype"]), "length": int(a["length"]), "sha256": str(a["sha256"])}
            for n, a in found.items()
            if _NAME.fullmatch(n)
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _dtype_of(text: Any) -> Any:
    """Convert stored `np.dtype.descr` back for NumPy: a name, or pairs of field and name."""
    return np.dtype(text if isinstance(text, str) else [(str(n), str(t)) for n, t in text])


def damaged(root: Root) -> list[str]:
    """Keys of cached arrays with changed bytes."""
    found = []
    for folder in sorted({key.rpartition("/")[0] for key in root.files.keys(f"{FOLDER}/*/{_CONTENTS}")}):
        name = folder.rpartition("/")[2]
        made = _contents(root, name)
        if made is None or load(root, name) is None:
            found.append(folder)
            continue
        found += [k for n, a in made.items() if root.files.sha256(k := f"{folder}/{n}.npy") != a["sha256"]]
    return found


def make(
    root: Root, name: str, shapes: Shapes, fill: Callable[[Arrays], None], sweep: str | None = None
) -> tuple[Arrays, str | None]:
    """Make arrays and cache them under a name.

    If the root is not writable, its disk is full, or another process is making an index, they are only in memory.

    Args:
        root: data set whose `state/index` stores them.
        name: name of the folder.
        shapes: length and type of each array.
        fill: function that writes the values into the arrays, which start as zeros.
        sweep: pattern of outdated folders to remove first.

    Returns:
        The arrays, and the key of their folder or None.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(root.files.lock("index"))
            folder: Path = stack.enter_context(root.files.publish_folder(f"{FOLDER}/{name}"))
            mapped = {n: _allocated(folder / f"{n}.npy", length, dtype) for n, (length, dtype) in shapes.items()}
        except (RootError, OSError):
            # Exit with the error, so that the partial folder is removed.
            stack.pop_all().__exit__(RootError, RootError("kept in memory"), None)
            arrays = {n: np.zeros(length, dtype) for n, (length, dtype) in shapes.items()}
            fill(arrays)
            return arrays, None
        fill(mapped)
        for array in mapped.values():
            if isinstance(array, np.memmap):
                array.flush()
        del mapped
        contents = {
            n: {"dtype": _descr(dtype), "length": length, "sha256": sha256_of(folder / f"{n}.npy")}
            for n, (length, dtype) in shapes.items()
        }
        (folder / _CONTENTS).write_text(json.dumps(contents), encoding="utf-8")
        if sweep:
            for old in {Path(key).parent.as_posix() for key in root.files.keys(f"{FOLDER}/{sweep}/{_CONTENTS}")}:
                root.files.remove(old)
    arrays = load(root, name) or {}
    if set(arrays) != set(shapes):
        raise RootError(f"{root.place}/{FOLDER}/{name}: was written but cannot be read back; remove it and try again")
    return arrays, f"{FOLDER}/{name}"


def _descr(dtype: np.dtype) -> Any:
    return dtype.str if dtype.names is None else dtype.descr


def _allocated(path: Path, length: int, dtype: np.dtype) -> Array:
    """Make an array on disk, reserving its space before mapping: a full disk is then an error, not a signal."""
    if length == 0:
        # An empty file cannot be mapped.
        np.save(path, np.zeros(0, dtype))
        return np.zeros(0, dtype)
    with path.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_2_0(stream, header)
        begin, size = stream.tell(), length * dtype.itemsize
        stream.flush()
        if not _reserved(stream.fileno(), begin + size):
            zeros = bytes(1 << 20)
            for at in range(0, size, len(zeros)):
                stream.write(zeros[: size - at])
    array: Array = np.lib.format.open_memmap(path, "r+")
    return array


def _reserved(handle: int, size: int) -> bool:
    """Reserve space for a file; False if the system cannot, and it has to be written."""
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise
    return True


def _mapped(path: Path) -> Array:
    with bounded.open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
    array: Array = np.load(path, mmap_mode="r" if size > 4096 else None, allow_pickle=False)
    # A plain view: each access through numpy.memmap itself costs a microsecond.
    return array.view(np.ndarray)
