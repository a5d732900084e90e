"""Storage interface of a root, and hashes.

Keys are relative POSIX paths (`tracks/abc.parquet`). All access to a root's files goes through `Files`:
`rmset.local_files` implements it for a directory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from rmset.bounded import open_regular


@dataclass(frozen=True)
class Stamp:
    """Size and version of a file, to detect changes without reading it."""

    bytes: int
    version: int | str
    """time of the last change in ns, or the storage's own version number"""


class Reader(Protocol):
    """A file that is read at positions, from several threads."""

    @property
    def size(self) -> int:
        """Size, bytes."""

    def read_at(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes at a position; fewer only at the end of the file."""

    def close(self) -> None:
        """Close the file."""


class Files(Protocol):
    """Storage interface of a root."""

    def exists(self, key: str) -> bool:
        """Whether a file or folder with this key exists."""

    def stamp(self, key: str) -> Stamp:
        """Size and version of a file.

        Raises:
            FileNotFoundError: there is none.
        """

    def read_text(self, key: str) -> str:
        """Return the text of a small file.

        Raises:
            FileNotFoundError: there is none.
            UnreadableError: it is not a regular file, too large, or not UTF-8.
        """

    def sha256(self, key: str, most: int | None = None) -> str:
        """Hex sha256 of a file's bytes; a storage may have noted it when the file was written.

        Raises:
            UnreadableError: the file has more than `most` bytes.
        """

    def reread_sha256(self, key: str) -> str:
        """Hex sha256 of the bytes that the storage returns now: for verification."""

    def keys(self, pattern: str) -> list[str]:
        """Return the keys that match a glob, sorted, without unfinished files.

        Raises:
            RootError: a folder cannot be listed.
        """

    def stamps(self, pattern: str) -> list[tuple[str, Stamp]]:
        """Return the keys of files that match a glob, sorted, each with its stamp: for thousands of files.

        Raises:
            RootError: a folder cannot be listed.
        """

    def links(self) -> list[str]:
        """Return the keys that are symbolic links, sorted: nothing is ever written through one."""

    def place(self, key: str = "") -> str:
        """Return where a key is, for messages; without one, the whole storage."""

    def local(self, key: str) -> Path:
        """Return a local path from which a file, not a folder, can be read now."""

    def is_local(self, key: str) -> bool:
        """Whether `local` finds the file without a download."""

    def keeps(self, size: int) -> bool:
        """Whether local copies of so many bytes would be kept."""

    def read_parts(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes at (position, count), without a copy of the whole file.

        Raises:
            FileNotFoundError: there is none.
        """

    def reader(self, key: str) -> Reader:
        """Open a file of which parts are read.

        Raises:
            FileNotFoundError: there is none.
            UnreadableError: it is not a regular file.
        """

    def workspace(self) -> Path:
        """Return the local folder on whose disk work is done, for temporary files and free space."""

    def check_writable(self) -> None:
        """Check that files can be published.

        Raises:
            RootError: they cannot.
        """

    def scratch(self, key: str) -> Path:
        """Return a local folder for unfinished downloads; it persists between runs."""

    def publish(self, key: str) -> AbstractContextManager[Path]:
        """Yield a path to write to; on success the file is published under its key, atomically."""

    def publish_folder(self, key: str) -> AbstractContextManager[Path]:
        """Yield a folder to fill; on success it replaces the old content of its key."""

    def extend(self, key: str, *, new: bool = False) -> BinaryIO:
        """Open a file under `state/index` to write at its end; the caller syncs it.

        Args:
            key: the file.
            new: first replace whatever has this name by an empty file.

        Raises:
            RootError: there is none, it is no regular file, or not writable.
        """

    def remove(self, key: str) -> None:
        """Remove a file or folder; nothing happens if there is none."""

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold an exclusive lock between processes.

        Raises:
            RootError: another process holds it, or the storage is not writable.
        """

    def is_locked(self, key: str) -> bool:
        """Whether some process holds the lock; False if unknown."""


def sha256_of(path: Path, most: int | None = None) -> str:
    """Hash a regular file: hex sha256. FIFOs and devices, which may never end, and files beyond `most` are refused."""
    with open_regular(path, most) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # it is a BufferedReader


def hash_of(value: Any) -> str:
    """Hex sha256 of a JSON-like value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
