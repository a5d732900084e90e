"""Places that hold a root: how files get there whole, and who may write.

Keys are relative POSIX paths (`tracks/abc.parquet`). Everything that touches the file system goes through `Files`,
so that an object store can stand in its place; `LocalFiles` is the one for a directory.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rmset import bounded
from rmset.errors import RootError

PARTIAL = ".partial"


class Files(Protocol):
    """What a root needs of the place it lies in."""

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""

    def read_text(self, key: str) -> str:
        """The text of a file."""

    def keys(self, pattern: str) -> list[str]:
        """The keys that match a glob, sorted; unfinished files are no keys."""

    def local(self, key: str) -> Path:
        """A path from which the file can be read."""

    def publish(self, key: str) -> Any:
        """Context manager: a path to write to; on success the file appears under its key, whole, or not at all."""

    def publish_folder(self, key: str) -> Any:
        """Context manager: a folder to fill; on success it replaces what was under its key."""

    def remove(self, key: str) -> None:
        """Remove a file or folder; nothing happens if there is none."""

    def lock(self, key: str) -> Any:
        """Context manager: hold what only one process at a time may hold."""

    def is_locked(self, key: str) -> bool:
        """Whether some process holds the lock now."""


class LocalFiles:
    """Files in a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""
        return self.local(key).exists()

    def read_text(self, key: str) -> str:
        """The text of a small file.

        Raises:
            FileNotFoundError: there is none.
            UnreadableError: it is no regular file, too large, or no UTF-8.
        """
        return bounded.read_text(self.local(key))

    def keys(self, pattern: str) -> list[str]:
        """The keys that match a glob, sorted; unfinished files are no keys."""
        found = (p.relative_to(self.folder) for p in self.folder.glob(pattern))
        return sorted(str(p.as_posix()) for p in found if not any(part.endswith(PARTIAL) for part in p.parts))

    def local(self, key: str) -> Path:
        """A path from which the file can be read."""
        return self.folder / key

    @contextmanager
    def publish(self, key: str) -> Iterator[Path]:
        """Give a path to write to; on success the file appears under its key, whole, or not at all."""
        target = self.local(key)
        with _told(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # One name per target: what a killed process left behind is overwritten, never collected.
            partial = target.with_name(f".{target.name}{PARTIAL}")
            try:
                yield partial
                _sync(partial)
                partial.replace(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            _sync(target.parent)

    @contextmanager
    def publish_folder(self, key: str) -> Iterator[Path]:
        """Give a folder to fill; on success it replaces what was under its key."""
        target = self.local(key)
        partial, old = (target.with_name(f".{target.name}{end}{PARTIAL}") for end in ("", ".old"))
        with _told(target):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                yield partial
                for path in sorted(partial.iterdir()):
                    _sync(path)
                _sync(partial)
                # A folder cannot replace a full one in one step. Killed between these two, the folder is missing and
                # the ledger does not know the new one: the stage runs again.
                shutil.rmtree(old, ignore_errors=True)
                if target.exists():
                    target.replace(old)
                partial.replace(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            _sync(target.parent)
            shutil.rmtree(old, ignore_errors=True)

    def remove(self, key: str) -> None:
        """Remove a file or folder; nothing happens if there is none."""
        path = self.local(key)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold what only one process at a time may hold; the system lets go of it when the process dies."""
        path = self.local(f"state/locks/{key}")
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RootError(f"{key}: another process is working on it; wait for it or stop it") from None
            yield

    def is_locked(self, key: str) -> bool:
        """Whether some process holds the lock now."""
        try:
            with self.lock(key):
                return False
        except RootError:
            return True


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RootError(f"{path}: no space left on the disk; free some and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise RootError(
                f"{path}: expected a place to write to, found {(error.strerror or '').lower()}; "
                "choose another place, with --root, $RMSET_ROOT or --out"
            ) from error
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_of(value: Any) -> str:
    """Hex sha256 of a JSON-like value; equal values, equal hash, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
