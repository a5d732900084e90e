"""Append blocks to an index, one per video, in any order and number of steps.

One more video is appended and synced, then the list of blocks is replaced: that takes the time of one video, whatever
the size of the index. A process that is killed leaves the list as it was, and what it had appended is overwritten by
the next. Long builds replace the list now and then, so that a killed one goes on where it was.

Blocks of videos that changed or went stay in the file until they are more than half of it; then the others are copied
to a new file. Where nothing can be written, blocks are made in memory.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.progress import Progress, silent
from rmset.read.blocks import FOLDER, LIST, Arrays, Blocks, Columns, hash_bytes, load, pack
from rmset.root import Root

Made = tuple[Arrays, Sequence[int]]
"""arrays of a block by column, and further whole numbers that belong to it"""
Begin = Callable[[list[str]], Callable[[str], Made]]
"""ids of missing blocks -> function that makes each"""
# Bytes between two lists of a long build.
_COMMIT = 512 << 20
# Bytes of old blocks that are never worth a copy of the others.
_SLACK = 64 << 20
# The list of an index of earlier versions, one folder for each state of the root.
_EARLIER = "arrays.json"
_T = TypeVar("_T")
_S = TypeVar("_S")


@dataclass(frozen=True)
class _Packed:
    """A block that is not in a file yet."""

    id: str
    stamp: str
    data: npt.NDArray[np.uint8]
    hash: str
    length: tuple[int, ...]
    numbers: list[int]


class _UnwritableError(Exception):
    """The folder cannot be written to, another process is writing, or the disk is full."""


def extend(
    root: Root, name: str, columns: Columns, wanted: Mapping[str, str], begin: Begin, progress: Progress = silent
) -> Blocks:
    """Return the blocks of the wanted ids, in their order; those that are missing are made and appended.

    If nothing can be written, or another process is writing an index, the result is in memory only.

    Args:
        root: data set whose `state/index` keeps the blocks.
        name: name of the folder.
        columns: type of each column.
        wanted: id -> stamp, which names what a block is made of.
        begin: called with the ids whose blocks are missing; the function that it returns is called in threads.
        progress: progress callback on the blocks that are made.
    """
    found = load(root, name, columns)
    chosen = found.chosen(wanted) if found is not None else None
    if chosen is not None:
        return chosen

    def packed(missing: list[str]) -> Iterator[_Packed]:
        """Make blocks in threads."""
        make = begin(missing)

        def one(block_id: str) -> _Packed:
            arrays, numbers = make(block_id)
            data, length = pack(columns, arrays)
            return _Packed(block_id, wanted[block_id], data, hash_bytes(data), length, [int(n) for n in numbers])

        for done, block in enumerate(_ahead(one, missing)):
            yield block
            progress(f"index {name.partition('-')[0]}", done + 1, len(missing))

    try:
        with _writing(root):
            # Another process may have written since.
            now = found if found is not None and found.is_current(root) else load(root, name, columns)
            found = _append(root, name, _good(now, columns, wanted), wanted, packed)
    except _UnwritableError:
        return _in_memory(_good(load(root, name, columns), columns, wanted), wanted, packed)
    chosen = found.chosen(wanted)
    assert chosen is not None
    return chosen


def _good(found: Blocks | None, columns: Columns, wanted: Mapping[str, str]) -> Blocks:
    """Return the blocks that are still good."""
    if found is None:
        return Blocks(columns, [], [], [], np.empty(0, np.int64), np.empty((0, len(columns)), np.int64), [], None)
    return found.ordered([n for n, each in enumerate(found.ids) if wanted.get(each) == found.stamps[n]])


def _missing(kept: Blocks, wanted: Mapping[str, str]) -> list[str]:
    have = set(kept.ids)
    return [each for each in wanted if each not in have]


@contextmanager
def _writing(root: Root) -> Iterator[None]:
    """Hold the lock of indexes."""
    with ExitStack() as stack:
        with _unwritable():
            stack.enter_context(root.files.lock("index"))
        yield


@contextmanager
def _unwritable() -> Iterator[None]:
    try:
        yield
    except (RootError, OSError) as error:
        raise _UnwritableError from error


def _append(
    root: Root,
    name: str,
    kept: Blocks,
    wanted: Mapping[str, str],
    packed: Callable[[list[str]], Iterator[_Packed]],
) -> Blocks:
    """Append the blocks that are missing; the caller holds the lock."""
    missing = _missing(kept, wanted)
    if not missing:
        return kept
    writer = _Writer(root, name, kept)
    try:
        for block in packed(missing):
            writer.append(block)
    finally:
        # Also after an error or Ctrl-C: what was made is not made again.
        writer.close()
    return writer.blocks.opened(root)


class _Writer:
    """The file of an index, and the blocks that its next list will have."""

    def __init__(self, root: Root, name: str, kept: Blocks) -> None:
        self._root, self._folder = root, f"{FOLDER}/{name}"
        self.blocks = kept
        self._new: list[_Packed] = []
        self._begin: list[int] = []
        with _unwritable():
            live = int(kept.bytes.sum())
            if kept.folder is None or kept.end - live > max(live, _SLACK):
                self._start_file()
            else:
                self._stream = root.files.extend(self._key(kept.token))
                self._end = self._listed = kept.end
                self._stream.seek(self._end)

    def _key(self, token: str) -> str:
        return f"{self._folder}/{token}.bin"

    def _start_file(self) -> None:
        """Begin a new file with copies of the blocks that are kept; the earlier one stays until a list names this."""
        kept, token = self.blocks, secrets.token_hex(8)
        # At once under its own name: what a killed process leaves under a hidden one, `close` would not find.
        self._stream = self._root.files.extend(self._key(token), new=True)
        begin = []
        self._end = self._listed = 0
        for number in range(len(kept.ids)):
            begin.append(self._end)
            self._end += self._stream.write(kept.block(number).data)
        self.blocks = replace(kept, begin=np.array(begin, np.int64), folder=self._folder, token=token)

    def append(self, block: _Packed) -> None:
        """Write a block behind the others."""
        with _unwritable():
            self._stream.write(block.data.data)
            self._begin.append(self._end)
            self._new.append(block)
            self._end += len(block.data)
            if self._end - self._listed > _COMMIT:
                self._commit()

    def _commit(self) -> None:
        """Name all blocks in the list, after their bytes are on the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        old, new, columns = self.blocks, self._new, len(self.blocks.columns)
        self.blocks = replace(
            old,
            ids=old.ids + [b.id for b in new],
            stamps=old.stamps + [b.stamp for b in new],
            hashes=old.hashes + [b.hash for b in new],
            numbers=old.numbers + [b.numbers for b in new],
            begin=np.concatenate([old.begin, np.array(self._begin, np.int64)]),
            end=self._end,
            length=np.concatenate([old.length, np.array([b.length for b in new], np.int64).reshape(-1, columns)]),
        )
        with self._root.files.publish(f"{self._folder}/{LIST}") as path:
            path.write_text(self.blocks.to_text(), encoding="utf-8")
        self._new, self._begin, self._listed = [], [], self._end

    def close(self) -> None:
        """Name what was appended, and remove the files of earlier states."""
        with _unwritable():
            try:
                self._commit()
            finally:
                self._stream.close()
            files = self._root.files
            for key in files.keys(f"{self._folder}/*.bin"):
                if PurePosixPath(key).stem != self.blocks.token:
                    files.remove(key)
            for key in files.keys(f"{FOLDER}/*/{_EARLIER}"):
                files.remove(str(PurePosixPath(key).parent))


def _in_memory(kept: Blocks, wanted: Mapping[str, str], packed: Callable[[list[str]], Iterator[_Packed]]) -> Blocks:
    """Return the blocks without writing anything."""
    made = {block.id: block for block in packed(_missing(kept, wanted))}
    place = {block_id: number for number, block_id in enumerate(kept.ids)}
    data, length, numbers = [], [], []
    for block_id in wanted:
        if block_id in made:
            block = made.pop(block_id)
            data.append(block.data)
            length.append(block.length)
            numbers.append(block.numbers)
        else:
            number = place[block_id]
            data.append(kept.block(number))
            length.append(tuple(kept.length[number].tolist()))
            numbers.append(kept.numbers[number])
    ends = np.cumsum([0, *map(len, data)], dtype=np.int64)
    return Blocks(
        kept.columns, list(wanted), list(wanted.values()), [""] * len(wanted), ends[:-1],
        np.array(length, np.int64).reshape(len(wanted), len(kept.columns)), numbers, None,
        end=int(ends[-1]), data=np.concatenate([np.empty(0, np.uint8), *data]),
    )  # fmt: skip


def _ahead(work: Callable[[_S], _T], items: Iterable[_S]) -> Iterator[_T]:
    """Yield results in order; threads work a few items ahead."""
    threads = os.cpu_count() or 1
    waiting: deque[Future[_T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
