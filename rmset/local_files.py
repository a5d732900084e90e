"""A root in a directory: atomic writes, no writes through links, one process at a time per video.

New folders (0700) and files (0600) are private, because they show people's faces. In a folder that its owner made
group-writable, the group may also read and write new files.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from rmset import bounded, locks
from rmset.errors import RootError
from rmset.files import Reader, Stamp, sha256_of
from rmset.outputs import PARTIAL, begin, clear, finish, plain_errors, sync

_LOCKS = "state/locks"
_EXTENDING = os.O_RDWR | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT")
)
# Names reserved by Windows for devices, with any suffix.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


class LocalReader:
    """A file on disk, read at positions; see `rmset.files.Reader`.

    Raises:
        FileNotFoundError: there is none.
        UnreadableError: it is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._file = bounded.open_regular(path)
        self.size = os.fstat(self._file.fileno()).st_size
        # only on systems without positional reads
        self._lock = threading.Lock()

    def read_at(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes at a position."""
        parts: list[bytes] = []
        while count:
            part = self._once(position, count)
            if not part:
                break
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _once(self, position: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), count, position)
        with self._lock:
            self._file.seek(position)
            return self._file.read(count)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LocalFiles:
    """Files in a directory; see `rmset.files.Files` for what each method does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""
        with plain_errors(self.local(key)):
            return self.local(key).exists()

    def stamp(self, key: str) -> Stamp:
        """Size and time of the last change."""
        with plain_errors(self.local(key)):
            found = self.local(key).stat()
        return Stamp(found.st_size, found.st_mtime_ns)

    def read_text(self, key: str) -> str:
        """Return the text of a small file."""
        return bounded.read_text(self.local(key))

    def sha256(self, key: str, most: int | None = None) -> str:
        """Hex sha256 of a file's bytes."""
        return sha256_of(self.local(key), most)

    def reread_sha256(self, key: str) -> str:
        """Hex sha256 of a file's bytes."""
        return sha256_of(self.local(key))

    def keys(self, pattern: str) -> list[str]:
        """Return the keys that match a glob, sorted; unfinished files are no keys."""
        found = [""]
        for part in pattern.split("/"):
            found = [f"{prefix}{name}/" for prefix in found for name in self._names(prefix, part)]
        return sorted(key[:-1] for key in found)

    def stamps(self, pattern: str) -> list[tuple[str, Stamp]]:
        """Return the files that match a glob, with size and time of the last change, from one pass over each folder."""
        folders, _, name = pattern.rpartition("/")
        found = []
        with plain_errors(self.folder):
            for prefix in [f"{key}/" for key in self.keys(folders)] if folders else [""]:
                for entry in self._entries(prefix, name):
                    now = entry.stat()
                    found.append((f"{prefix}{entry.name}", Stamp(now.st_size, now.st_mtime_ns)))
        return sorted(found, key=itemgetter(0))

    def _names(self, prefix: str, part: str) -> list[str]:
        """Names in the folder `prefix` that match one part of a pattern."""
        if not any(sign in part for sign in "*?["):
            return [part] if os.path.lexists(self.folder / prefix / part) else []
        return [entry.name for entry in self._entries(prefix, part)]

    def _entries(self, prefix: str, part: str) -> list[os.DirEntry[str]]:
        """Entries of the folder `prefix` that match one part of a pattern."""
        # Strings: paths would take longer than the system does.
        folder = f"{self.folder}/{prefix}"
        try:
            with os.scandir(folder) as entries:
                return [e for e in entries if fnmatchcase(e.name, part) and not e.name.endswith(PARTIAL)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise RootError(
                f"{folder}: expected a folder to list, found: {(error.strerror or '').lower()}; give leave to read it"
            ) from error

    def links(self) -> list[str]:
        """Keys that are links to elsewhere, sorted."""
        found = []
        for folder, folders, names in os.walk(self.folder):
            here = Path(folder)
            found += [here / name for name in (*folders, *names) if (here / name).is_symlink()]
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def place(self, key: str = "") -> str:
        """Return the path of a key."""
        return str(self.folder / key)

    def is_local(self, key: str) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def keeps(self, size: int) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def read_parts(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes at (position, count)."""
        source = self.reader(key)
        try:
            return [source.read_at(position, count) for position, count in spans]
        finally:
            source.close()

    def reader(self, key: str) -> Reader:
        """Open a file of which parts are read."""
        return LocalReader(self.local(key))

    def workspace(self) -> Path:
        """Return the folder itself."""
        return self.folder

    def check_writable(self) -> None:
        """Check the permissions of the folder, or of the one in which it will be made."""
        place = self.folder
        while not place.exists():
            place = place.absolute().parent
        if not os.access(place, os.W_OK):
            raise RootError(f"{place} cannot be written to")

    def local(self, key: str) -> Path:
        """Return a path from which the file can be read."""
        return self.folder / key

    def scratch(self, key: str) -> Path:
        """Return a folder for unfinished downloads."""
        path = self._own(key)
        with plain_errors(path):
            self._make_folders(path)
        return path

    def _own(self, key: str) -> Path:
        """Return the path of a key for writing; raises if a parent folder is a link."""
        path = self.folder
        *folders, name = PurePosixPath(key).parts
        for part in folders:
            path = path / part
            if path.is_symlink():
                raise RootError(
                    f"{path}: expected a folder of the root, found a link to {path.readlink()}; nothing is written "
                    "through links: put the folder itself there, or mount it there"
                )
        if name.partition(".")[0].lower() in _DEVICES:
            raise RootError(f"{key}: expected a name that every system can hold, found a device of Windows; rename it")
        return path / name

    def _group(self) -> int:
        """Permission bits that the root's owner gives to a group."""
        try:
            mode = self.folder.stat().st_mode
        except OSError:
            return 0
        return mode & stat.S_IRWXG if mode & stat.S_IWGRP else 0

    def _mode(self) -> int:
        """Permissions of a new file."""
        return 0o600 | (self._group() & 0o060)

    def _make_folders(self, path: Path) -> None:
        """Make a folder and its parents; those of the root are private."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        for folder in (*reversed(path.parents), path):
            if folder == self.folder or self.folder in folder.parents:
                try:
                    folder.mkdir(mode=0o700)
                except FileExistsError:
                    if not folder.is_dir():
                        raise
                else:
                    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | self._group())

    @contextmanager
    def publish(self, key: str) -> Iterator[Path]:
        """Yield a path to write to; on success the file is published under its key, atomically."""
        target = self._own(key)
        with plain_errors(target):
            self._make_folders(target.parent)
            # One temporary name per target, so that leftovers of killed processes are overwritten.
            partial = target.with_name(f".{target.name}{PARTIAL}")
            mode = self._mode()
            try:
                begin(partial, mode)
                yield partial
                if partial.lstat().st_nlink == 1:
                    # A hard-linked video keeps the mode of the user's own file.
                    partial.chmod(mode)
                finish(partial, target)
            except BaseException:
                clear(partial)
                raise

    @contextmanager
    def publish_folder(self, key: str) -> Iterator[Path]:
        """Yield a folder to fill; on success it replaces the old content of its key."""
        target = self._own(key)
        partial, old = (target.with_name(f".{target.name}{end}{PARTIAL}") for end in ("", ".old"))
        with plain_errors(target):
            self._make_folders(target.parent)
            clear(partial)
            try:
                self._make_folders(partial)
                yield partial
                for path in sorted(partial.iterdir()):
                    path.chmod(self._mode())
                    sync(path)
                sync(partial)
                # Replacing a non-empty folder takes two steps. If killed in between, the folder is missing and the
                # ledger says that the stage was running, so it runs again.
                clear(old)
                if os.path.lexists(target):
                    target.replace(old)
                partial.replace(target)
                sync(target.parent)
                clear(old)
            except BaseException:
                if os.path.lexists(old) and not os.path.lexists(target):
                    old.replace(target)
                clear(partial)
                clear(old)
                raise

    def extend(self, key: str, *, new: bool = False) -> BinaryIO:
        """Open a file to write at its end."""
        path = self._own(key)
        with plain_errors(path):
            if new:
                self._make_folders(path.parent)
                begin(path, self._mode())
            handle = os.open(path, _EXTENDING)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            return os.fdopen(handle, "r+b")

    def remove(self, key: str) -> None:
        """Remove a file or folder, if it exists; of a link, only the link itself."""
        path = self._own(key)
        with plain_errors(path):
            clear(path)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold an exclusive lock between processes."""
        path = self._own(f"{_LOCKS}/{key}")
        with plain_errors(path):
            self._make_folders(path.parent)
            with locks.hold(path, key):
                yield

    def is_locked(self, key: str) -> bool:
        """Whether some process holds the lock; False if unknown."""
        path = self.local(f"{_LOCKS}/{key}")
        return locks.is_held(path)
