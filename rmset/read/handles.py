"""Pool of open files, safe in forked workers and threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from types import ModuleType

from rmset.errors import ShardError
from rmset.files import Files
from rmset.read.far import FarShards
from rmset.read.rows import Shard

resource: ModuleType | None
try:
    import resource
except ImportError:
    # Windows sets no such limit.
    resource = None

_MOST = 4096
_READING = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_seeking = threading.Lock()


def _seek_and_read(fd: int, size: int, offset: int) -> bytes:
    """Read at a position on systems without positional reads; locks out other threads."""
    with _seeking:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)


read_at = getattr(os, "pread", _seek_and_read)
"""(descriptor, size, offset) -> bytes"""


def most_open() -> int:
    """Most open files: 4,096, but at most half of the system's limit."""
    if resource is None:
        # The C library of Windows allows 8,192 open files per process.
        return _MOST // 2
    allowed: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST if allowed == resource.RLIM_INFINITY else min(_MOST, max(1, allowed // 2))


class _Handle:
    """A file descriptor that closes with its last reference, because another thread may still read an evicted one."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        """Close."""
        os.close(self.fd)


class ShardFiles:
    """The shards of a root, opened when needed; the least recently used are closed.

    Reads are positional (`read_at`), so that processes forked from one another may share a descriptor.

    Args:
        files: storage of the shards.
        shards: state of each shard when the index was made; changed shards are refused.
        most: files open at once; `most_open()` by default.
    """

    def __init__(self, files: Files, shards: tuple[Shard, ...], most: int | None = None) -> None:
        self._files, self._shards = files, shards
        self.most = most if most is not None else most_open()
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._opened: OrderedDict[int, _Handle] = OrderedDict()
        self.far = FarShards(self._files, self._shards)

    def __getstate__(self) -> tuple[Files, tuple[Shard, ...], int]:
        """Pickle without open files."""
        return self._files, self._shards, self.most

    def __setstate__(self, state: tuple[Files, tuple[Shard, ...], int]) -> None:
        """Start without open files."""
        self._files, self._shards, self.most = state
        self._renew()

    def __len__(self) -> int:
        """Return the number of files that are open now."""
        return len(self._opened)

    def take(self, numbers: Iterable[int]) -> dict[int, _Handle]:
        """Return handles of those of these shards that are on this machine; `far` has the others.

        Handles stay open at least as long as the caller keeps them.

        Raises:
            ShardError: a shard is missing or has changed.
        """
        if self._pid != os.getpid():
            # The lock may have been held while the process forked.
            self._renew()
        taken: dict[int, _Handle] = {}
        with self._lock:
            opened = self._opened
            for number in numbers:
                handle = opened.get(number)
                if handle is None and self.far.is_far(number):
                    continue
                if handle is None:
                    handle = opened[number] = self._open(number)
                    if len(opened) > self.most:
                        opened.popitem(last=False)
                else:
                    opened.move_to_end(number)
                taken[number] = handle
        return taken

    def _open(self, number: int) -> _Handle:
        known = self._shards[number]
        path = self._files.local(known.key)
        try:
            handle = _Handle(os.open(path, _READING))
            now = self._files.stamp(known.key)
        except OSError as error:
            raise ShardError(f"{path}: expected a shard, found none ({error.strerror}); open the root again") from error
        if (now.bytes, now.version) != (known.bytes, known.version):
            raise ShardError(f"{path}: has changed since the root was opened; open the root again")
        return handle
