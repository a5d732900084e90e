"""The private folder of one SQL session, for spilled data and the session's catalog.

It has a random name and mode 0700 below the user's cache, is locked during the session, and removed at its end. The
next session removes leftovers of killed ones. Links are never followed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

from rmset.errors import QueryError

_PREFIX = "rmset-sql-"
_LOCK = "lock"
# Age from which a folder without a lock is a leftover: younger ones may be about to be locked.
_UNLOCKED_S = 3600.0


def cache_folder() -> Path:
    """Return the folder of this program below the user's cache: `$XDG_CACHE_HOME/rmset`, else `~/.cache/rmset`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rmset"


class PrivateFolder:
    """A folder of this session only; removed with the object or the process.

    Raises:
        QueryError: neither the cache nor the folder for temporary files can be written to.
    """

    def __init__(self) -> None:
        base = _base()
        sweep(base)
        self.path, lock = _made(base)
        self._end = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    @property
    def free_bytes(self) -> int:
        """Free space on its disk."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """Remove it now."""
        self._end()


def sweep(base: Path) -> None:
    """Remove folders of killed sessions of this user below `base`."""
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith(_PREFIX) and _own(Path(entry.path)):
                    _sweep_one(Path(entry.path))


def _sweep_one(path: Path) -> None:
    lock = path / _LOCK
    if not os.path.lexists(lock):
        if time.time() - path.lstat().st_mtime > _UNLOCKED_S:
            shutil.rmtree(path, ignore_errors=True)
        return
    held = FileLock(lock, thread_local=False)
    try:
        held.acquire(timeout=0)
    except Timeout:
        return  # its session is alive
    try:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        held.release()


def _base() -> Path:
    """Return the parent of private folders: the cache, else the system's temporary folder."""
    folder = cache_folder() / "sql"
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _own(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(tempfile.gettempdir())


def _own(path: Path) -> bool:
    """Whether a path is a folder of this user, and no link."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())


def _made(base: Path) -> tuple[Path, FileLock]:
    for _ in range(10):
        try:
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))  # random name, mode 0700, fails if it exists
        except OSError as error:
            raise QueryError(
                f"SQL: expected a place for temporary files, found {base}: {(error.strerror or '').lower()}; "
                "name another with $XDG_CACHE_HOME"
            ) from error
        lock = FileLock(path / _LOCK, thread_local=False)
        # The sweep of another session may have removed the folder between the two calls.
        with contextlib.suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            return path, lock
    raise QueryError(f"SQL: expected a private folder below {base}, found that others remove it; try again")


def _remove(path: Path, lock: FileLock, process: int) -> None:
    if os.getpid() != process:
        return  # end of a forked worker: the folder belongs to its parent
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        lock.release()
