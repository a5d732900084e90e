"""Locks between processes: system locks, or marker files on file systems without them.

The system releases a lock when its process dies. A marker names its process and host; the marker of a dead process is
taken over on the same host, but must be removed by hand on another. The message says which case applies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rmset.errors import RootError

# Errors of file systems without locks: NFS without its lock daemon, some FUSE and cluster file systems.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}

# Pause before a second attempt to take over the marker of a dead process, s.
_PATIENCE = 0.25


@contextmanager
def hold(path: Path, what: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: the lock's file; it is created and left in place.
        what: name of the locked thing, for the message.
        patience: how long to wait for it, s; for a short change that another process makes at this moment.

    Raises:
        RootError: another process holds it.
        OSError: the file cannot be created or opened; links are not followed.
    """
    from filelock import Timeout

    with ExitStack() as stack:
        try:
            _acquire(path, stack, patience)
        except Timeout:
            raise RootError(f"{what}: another process is working on it{_holder(path)}") from None
        yield


def _acquire(path: Path, stack: ExitStack, patience: float) -> None:
    with warnings.catch_warnings():
        # It warns if only markers are available.
        warnings.simplefilter("ignore")
        from filelock import FileLock, SoftFileLock

        if path.is_symlink():
            raise OSError(errno.ELOOP, "a link", str(path))
        marker, hard = _marker(path), False
        if not issubclass(FileLock, SoftFileLock):
            try:
                stack.enter_context(FileLock(path, mode=0o600, timeout=patience, fallback_to_soft=False))
                hard = True
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        # Markers also count beside system locks: another machine may lack locks on this file system.
        if not hard or marker.exists():
            stack.enter_context(
                SoftFileLock(marker, mode=0o600, timeout=max(_PATIENCE, patience), poll_interval=_PATIENCE / 5)
            )


@contextmanager
def change(path: Path) -> Iterator[None]:
    """Let one process at a time read and rewrite a file; the others wait up to a minute for their turn.

    The lock is in the user's cache, not beside the file.

    Args:
        path: the file, which need not be there yet.
    """
    named = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rmset" / "locks"
    with ExitStack() as stack:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(hold(folder / named, str(path), patience=60.0))
        except (OSError, RuntimeError):
            # A user without a home, or with one that cannot be written to, works alone.
            pass
        yield


def _marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.soft")


def _holder(path: Path) -> str:
    """Describe the holder, as far as known, and the remedy."""
    from filelock import SoftFileLock

    marker = _marker(path)
    if not marker.exists():
        return "; wait for it or stop it"
    pid = SoftFileLock(marker).pid
    who = f" (process {pid})" if pid else ""
    return f"{who}; wait for it or stop it; if it has died on another machine, remove {marker}"


def is_held(path: Path) -> bool:
    """Whether some process holds the lock, without creating files; False if unknown."""
    if not (path.is_file() or _marker(path).exists()):
        return False
    try:
        with hold(path, ""):
            return False
    except RootError:
        return True
    except OSError:
        return False
