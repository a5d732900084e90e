"""Open files, few at once, safe in forked workers and threads."""

from __future__ import annotations

import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from rmset.errors import ShardError
from rmset.read.index import Shard

_MOST = 4096


class _Handle:
    """A file descriptor that closes when nobody holds it: one that was put out may still be read by another thread."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        """Close."""
        os.close(self.fd)


class ShardFiles:
    """The shards of a root, opened when needed; those used longest ago are closed.

    Reads are positional (`os.pread`), so that processes forked from one another may share a descriptor.

    Args:
        paths: where each shard lies.
        shards: what each was when the index was made; a shard that has changed since is refused.
        most: files open at once; by default 4,096, but never more than half of what the system allows the process.
    """

    def __init__(self, paths: list[Path], shards: tuple[Shard, ...], most: int | None = None) -> None:
        self._paths, self._shards = [str(path) for path in paths], shards
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        half = max(1, allowed // 2) if allowed != resource.RLIM_INFINITY else _MOST
        self.most = most if most is not None else min(_MOST, half)
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._opened: OrderedDict[int, _Handle] = OrderedDict()

    def __getstate__(self) -> tuple[list[str], tuple[Shard, ...], int]:
        """Open files stay behind."""
        return self._paths, self._shards, self.most

    def __setstate__(self, state: tuple[list[str], tuple[Shard, ...], int]) -> None:
        """Begin with nothing open."""
        self._paths, self._shards, self.most = state
        self._renew()

    def __len__(self) -> int:
        """Number of files that are open now."""
        return len(self._opened)

    def take(self, numbers: Iterable[int]) -> dict[int, _Handle]:
        """Handles of these shards; they stay open at least as long as the caller keeps them.

        Raises:
            ShardError: a shard is gone, or is not what it was.
        """
        if self._pid != os.getpid():
            # The lock may have been held while the process forked.
            self._renew()
        taken: dict[int, _Handle] = {}
        with self._lock:
            opened = self._opened
            for number in numbers:
                handle = opened.get(number)
                if handle is None:
                    handle = opened[number] = self._open(number)
                    if len(opened) > self.most:
                        opened.popitem(last=False)
                else:
                    opened.move_to_end(number)
                taken[number] = handle
        return taken

    def _open(self, number: int) -> _Handle:
        path, known = self._paths[number], self._shards[number]
        try:
            handle = _Handle(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise ShardError(f"{path}: expected a shard, found none ({error.strerror}); open the root again") from error
        now = os.fstat(handle.fd)
        if (now.st_size, now.st_mtime_ns) != (known.bytes, known.mtime_ns):
            raise ShardError(f"{path}: has changed since the root was opened; open the root again")
        return handle
