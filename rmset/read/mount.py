"""Read-only file system for DuckDB over the Parquet files of a root.

DuckDB opens files by key (`rmset://tracks/<video_id>.parquet`), never by path: keys outside the list do not exist, and
nothing can be opened for writing. Parent folders of the root are hidden too, so `year=2024/` or `my [1] root/` is not
interpreted as a partition or glob.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

from rmset.files import Files, Reader, hash_of

PROTOCOL = "rmset"
PREFIX = f"{PROTOCOL}://"


class _Reader:
    """A file opened for reading, with a position per thread, because DuckDB seeks and reads in several threads."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._here = threading.local()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of the calling thread."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._source.size}[whence]
        self._here.position = start + offset
        return start + offset

    def tell(self) -> int:
        """Position of the calling thread."""
        return getattr(self._here, "position", 0)

    def read(self, count: int = -1) -> bytes:
        """Read up to `count` bytes at the calling thread's position; all following bytes if negative."""
        position = self.tell()
        data = self._source.read_at(position, max(0, self._source.size - position) if count < 0 else count)
        self._here.position = position + len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self._source.close()


class ReadOnlyFiles(AbstractFileSystem):  # type: ignore[misc]
    """File system of some files of a root, by key.

    Args:
        files: storage of the root.
        keys: which of its files.
    """

    protocol = (PROTOCOL,)
    cachable = False

    def __init__(self, files: Files, keys: Iterable[str]) -> None:
        super().__init__()
        self._files = files
        self._keys = {PREFIX + key: key for key in keys}

    def _key(self, name: str) -> str:
        try:
            return self._keys[name]
        except KeyError:
            raise FileNotFoundError(f"{name}: no table of this root") from None

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        # names are not normalized, so `..` and doubled slashes have no meaning
        return path

    def open(self, path: str, mode: str = "rb", **_: Any) -> _Reader:
        """Open a file for reading.

        Raises:
            PermissionError: any other mode than reading.
            FileNotFoundError: the path is not one of the files.
        """
        if mode not in ("r", "rb"):
            raise PermissionError(f"{path}: a root is only read from here")
        return _Reader(self._files.reader(self._key(path)))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and kind of a file."""
        return {"name": path, "size": self._files.stamp(self._key(path)).bytes, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Whether a path is one of the files."""
        return path in self._keys

    isfile = exists

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        """Return False: there are no folders."""
        return False

    def modified(self, path: str) -> datetime:
        """Time of a file's last change, so that DuckDB does not mistake a new file for a cached one."""
        version = self._files.stamp(self._key(path)).version
        # A storage that counts no time gives another name to another file.
        moment = version if isinstance(version, int) else int(hash_of(version)[:12], 16) * 1000
        return datetime.fromtimestamp(moment / 1e9, UTC)

    def glob(self, path: str, **_: Any) -> Sequence[str]:
        """Return the name itself if it is one of the files; patterns are not expanded."""
        return [path] if path in self._keys else []

    def _refused(self, *names: Any, **_: Any) -> Any:
        raise PermissionError(f"{names[0] if names else 'files'}: a root is only read from here")

    # all other methods of AbstractFileSystem
    ls = find = walk = mkdir = makedirs = rmdir = rm = rm_file = mv = copy = cp_file = touch = _refused
    put_file = get_file = pipe_file = created = _open = _refused
