"""Atomic, private output files; file system errors as one line."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmset.errors import RootError

PARTIAL = ".partial"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO,
    errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL,
}  # fmt: skip


@contextmanager
def written(path: Path, mode: int | None = 0o600) -> Iterator[Path]:
    """Yield a path to write a result to; it is published atomically.

    Args:
        path: the result.
        mode: permissions; private by default, because results show people's faces; None: by the system's umask.

    Raises:
        RootError: the place is not writable, or the disk is full.
    """
    with plain_errors(path, "-o"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        partial = path.with_name(f".{path.name}{PARTIAL}")
        try:
            begin(partial, mode)
            yield partial
            finish(partial, path)
        except BaseException:
            clear(partial)
            raise


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to write results to; it appears under its name with all in it, or not at all.

    Args:
        path: the result; no folder, or an empty one.

    Raises:
        RootError: the place cannot be written to, or the disk is full.
    """
    with plain_errors(path, "-o"):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}{PARTIAL}")
        clear(partial)
        try:
            partial.mkdir()
            yield partial
            if path.is_dir():
                path.rmdir()
            partial.replace(path)
            sync(path.parent)
        except BaseException:
            clear(partial)
            raise


def begin(partial: Path, mode: int | None) -> None:
    """Replace whatever has this name by an empty file, so that writers do not follow a link."""
    clear(partial)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(partial, flags, 0o666 if mode is None else mode))
    if mode is not None:
        # The umask may have removed group bits.
        partial.chmod(mode)


def finish(partial: Path, target: Path) -> None:
    """Rename a finished file to its name, safe against power loss."""
    sync(partial)
    partial.replace(target)
    sync(target.parent)


def clear(path: Path) -> None:
    """Remove a file, a folder with its content, or a link itself, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Sync a file or folder to disk; some systems cannot sync folders."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (folder and error.errno in (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP)):
            raise
    finally:
        os.close(handle)


@contextmanager
def plain_errors(path: Path, options: str = "--root, $RMSET_ROOT or --out") -> Iterator[None]:
    """Convert OSError to a one-line RootError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise RootError(f"{path}: no space left on the disk; free some and run the same command again") from error
        if error.errno in _NOT_WRITABLE:
            in_the_way = error.errno in (errno.EEXIST, errno.ENOTDIR)
            found = "a file in the place of a folder" if in_the_way else (error.strerror or "").lower()
            raise RootError(
                f"{path}: expected a place to write to, found {found}; choose another place, with {options}"
            ) from error
        raise
