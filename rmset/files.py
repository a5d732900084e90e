"""Places that hold a root: what a root needs of one, and hashes of what lies there.

Keys are relative POSIX paths (`tracks/abc.parquet`). Everything that touches a root's files goes through `Files`, so
that an object store can stand in its place; `rmset.local_files` is the one for a directory.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rmset.bounded import open_regular


@dataclass(frozen=True)
class Stamp:
    """What tells whether a file has changed, without reading it."""

    bytes: int
    version: int | str
    """time of the last change in ns, or whatever the place counts versions by"""


class Files(Protocol):
    """What a root needs of the place it lies in."""

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""

    def stamp(self, key: str) -> Stamp:
        """Size and version of a file.

        Raises:
            FileNotFoundError: there is none.
        """

    def read_text(self, key: str) -> str:
        """Return the text of a small file.

        Raises:
            FileNotFoundError: there is none.
            UnreadableError: it is no regular file, too large, or no UTF-8.
        """

    def sha256(self, key: str) -> str:
        """Hex sha256 of a file's bytes."""

    def keys(self, pattern: str) -> list[str]:
        """Return the keys that match a glob, sorted; unfinished files are no keys.

        Raises:
            RootError: a folder cannot be listed.
        """

    def links(self) -> list[str]:
        """Keys that are links to elsewhere, sorted: nothing is ever written through one."""

    def local(self, key: str) -> Path:
        """Return a path of this machine from which the file can be read."""

    def scratch(self, key: str) -> Path:
        """Return a folder of this machine for what is not yet part of the data set; it lasts from run to run."""

    def publish(self, key: str) -> AbstractContextManager[Path]:
        """Return a path to write to; on success the file appears under its key, whole, or not at all."""

    def publish_folder(self, key: str) -> AbstractContextManager[Path]:
        """Return a folder to fill; on success it replaces what was under its key."""

    def remove(self, key: str) -> None:
        """Remove a file or folder; nothing happens if there is none."""

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold what only one process at a time may hold.

        Raises:
            RootError: another process holds it, or the place cannot be written to.
        """

    def is_locked(self, key: str) -> bool:
        """Whether some process holds the lock now; False where that is unknown."""


def sha256_of(path: Path) -> str:
    """Hash a regular file's bytes: hex sha256. A FIFO or device, which may never end, is refused."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # it is a BufferedReader


def hash_of(value: Any) -> str:
    """Hex sha256 of a JSON-like value; equal values, equal hash, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
