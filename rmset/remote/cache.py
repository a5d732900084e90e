"""Local copies of objects, shared by all processes of the user; the least recently used go first.

In the folder of a root's copies:

    objects/<group>/<number>/<name>    an object never changes, so a copy is never out of date
    commits/<group>.json               the last commits seen
    pins/<group>                       locked while a process works on a video: its files stay
    work                               files that are being written
    here                               what belongs to this machine only: downloads under way, indexes
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from rmset import locks
from rmset.errors import RootError, UsageError
from rmset.files import hash_of, sha256_of
from rmset.outputs import clear, plain_errors

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:
    # Windows: recently used files stay all the same.
    fcntl = None

# A copy that was used this recently may be about to be opened, s.
_GRACE = 60.0
# Longest wait for another process that downloads the same object, s.
_PATIENCE = 3600.0
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)


def parse_size(text: str | None) -> int | None:
    """Convert a size such as `200GB` to bytes.

    Raises:
        UsageError: it is none.

    >>> parse_size("1.5GB"), parse_size(None)
    (1500000000, None)
    """
    if not text:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"expected a size of the cache such as 200GB, found '{text[:40]}'")
    return int(float(found[1]) * 10 ** (3 * " KMGT".index(found[2].upper() or " ")))


def default_folder(url: str) -> Path:
    """Return the folder of a root's copies below the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rmset" / "roots" / hash_of(url)[:16]


class Cache:
    """Copies of one root's objects.

    Args:
        folder: where.
        limit: most bytes; None for half of the disk's free space. Files in use may exceed it.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder, self._limit = folder, limit
        self._added: int | None = None

    def folder_of(self, kind: str) -> Path:
        """Return a folder of the cache; it is private."""
        path = self.folder / kind
        with plain_errors(path, "--cache or $RMSET_CACHE"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def path(self, name: str) -> Path:
        """Return where the copy of an object `data/<group>/<number>/<name>` is, or will be."""
        return self.folder / "objects" / name.removeprefix("data/")

    def has(self, name: str) -> bool:
        """Whether there is a copy; it counts as used now."""
        path = self.path(name)
        if not path.exists():
            return False
        with contextlib.suppress(OSError):
            # The time of the folder: that of a linked file is its owner's.
            os.utime(path.parent)
        return path.exists()

    def bring(self, name: str, sha256: str, size: int, fill: Callable[[Path], None]) -> Path:
        """Return the copy of an object; `fill` downloads it first if there is none.

        Raises:
            RootError: its bytes are not those that were published, or the disk is full.
        """
        path = self.path(name)
        if self.has(name):
            return path
        with plain_errors(path, "--cache or $RMSET_CACHE"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locks.hold(path.parent / ".lock", path.name, patience=_PATIENCE):
                if self.has(name):
                    return path
                self.trim(size)
                partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
                try:
                    for last in (False, True):
                        fill(partial)
                        if partial.stat().st_size == size and sha256_of(partial) == sha256:
                            break
                        if last:
                            raise RootError(
                                f"{name}: expected the bytes that were published, found others; the object is damaged, "
                                "`rmset verify --repair` makes it again"
                            )
                    partial.replace(path)
                finally:
                    clear(partial)
        return path

    def adopt(self, name: str, path: Path) -> None:
        """Move a file that was uploaded to the place of its copy."""
        target = self.path(name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = path.stat().st_size
        path.replace(target)
        self.trim(size)

    def drop(self, name: str) -> None:
        """Delete the copy of an object that is no longer part of the root."""
        with contextlib.suppress(OSError):
            clear(self.path(name).parent)

    @contextmanager
    def work(self) -> Iterator[Path]:
        """Give a folder for files to publish."""
        path = self.folder_of("work") / secrets.token_hex(8)
        with plain_errors(path, "--cache or $RMSET_CACHE"):
            path.mkdir(mode=0o700)
            try:
                yield path
            finally:
                clear(path)

    @contextmanager
    def pin(self, group: str) -> Iterator[None]:
        """Keep the copies of one group while a process works on it."""
        if fcntl is None:
            yield
            return
        with (self.folder_of("pins") / group).open("wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            yield

    def trim(self, more: int = 0) -> None:
        """Make room for `more` bytes: delete the copies that were not used for longest."""
        if self._added is not None:
            self._added += more
            if self._added < (self._limit or 1 << 30) // 20:
                return
        self._added = 0
        copies = sorted(self._copies())
        total = sum(size for _, size, _ in copies)
        limit = self._most(total)
        for used, size, folder in copies:
            if total + more <= limit or time.time() - used < _GRACE:
                break
            if not self._is_pinned(folder.parent.name):
                clear(folder)
                total -= size

    def holds(self, size: int) -> bool:
        """Whether so many bytes of copies fit."""
        return size <= self._most(sum(size for _, size, _ in self._copies()))

    def _most(self, total: int) -> int:
        """Return the most bytes, where `total` are taken now."""
        return self._limit if self._limit is not None else (shutil.disk_usage(self.folder).free + total) // 2

    def _copies(self) -> Iterator[tuple[float, int, Path]]:
        """Yield last use, bytes and folder of each copy."""
        for group in (self.folder / "objects").glob("*"):
            for folder in group.glob("*"):
                with contextlib.suppress(OSError):
                    found = {path.name: path.stat() for path in folder.iterdir()}
                    # A file that arrives is in use.
                    arriving = [s.st_mtime for name, s in found.items() if name.endswith(".partial")]
                    yield max(folder.stat().st_mtime, *arriving, 0.0), sum(s.st_size for s in found.values()), folder

    def _is_pinned(self, group: str) -> bool:
        path = self.folder / "pins" / group
        if fcntl is None or not path.exists():
            return False
        with path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False
