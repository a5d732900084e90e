"""Read-only file system for DuckDB over the Parquet files of a root.

DuckDB opens files by key (`rmset://tracks/<video_id>.parquet`), never by path: keys outside the list do not exist, and
nothing can be opened for writing. Parent folders of the root are hidden too, so `year=2024/` or `my [1] root/` is not
interpreted as a partition or glob.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from rmset.bounded import open_regular

PROTOCOL = "rmset"
PREFIX = f"{PROTOCOL}://"


class _Reader:
    """A file opened for reading, with a position per thread, because DuckDB seeks and reads in several threads."""

    def __init__(self, path: Path) -> None:
        self._file = open_regular(path)
        self._size = os.fstat(self._file.fileno()).st_size
        self._here = threading.local()
        # only on systems without positional reads
        self._lock = threading.Lock()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of the calling thread."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        self._here.position = start + offset
        return start + offset

    def tell(self) -> int:
        """Position of the calling thread."""
        return getattr(self._here, "position", 0)

    def read(self, count: int = -1) -> bytes:
        """Read up to `count` bytes at the calling thread's position; all following bytes if negative."""
        position = self.tell()
        wanted = max(0, self._size - position) if count < 0 else count
        parts: list[bytes] = []
        while wanted:
            part = self._at(position, wanted)
            if not part:
                break
            parts.append(part)
            position, wanted = position + len(part), wanted - len(part)
        self._here.position = position
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _at(self, position: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), count, position)
        with self._lock:
            self._file.seek(position)
            return self._file.read(count)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ReadOnlyFiles(AbstractFileSystem):  # type: ignore[misc]
    """File system of the given files, by key.

    Args:
        paths: key -> path of the file.
    """

    protocol = (PROTOCOL,)
    cachable = False

    def __init__(self, paths: Mapping[str, Path]) -> None:
        super().__init__()
        self._paths = {PREFIX + key: path for key, path in paths.items()}

    def _path(self, name: str) -> Path:
        try:
            return self._paths[name]
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
        return _Reader(self._path(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and kind of a file."""
        found = self._path(path).stat()
        return {"name": path, "size": found.st_size, "type": "file", "mtime": found.st_mtime}

    def exists(self, path: str, **_: Any) -> bool:
        """Whether a path is one of the files."""
        return path in self._paths

    isfile = exists

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        """Return False: there are no folders."""
        return False

    def modified(self, path: str) -> datetime:
        """Time of a file's last change, so that DuckDB does not mistake a new file for a cached one."""
        return datetime.fromtimestamp(self._path(path).stat().st_mtime, UTC)

    def glob(self, path: str, **_: Any) -> Sequence[str]:
        """Return the name itself if it is one of the files; patterns are not expanded."""
        return [path] if path in self._paths else []

    def _refused(self, *names: Any, **_: Any) -> Any:
        raise PermissionError(f"{names[0] if names else 'files'}: a root is only read from here")

    # all other methods of AbstractFileSystem
    ls = find = walk = mkdir = makedirs = rmdir = rm = rm_file = mv = copy = cp_file = touch = _refused
    put_file = get_file = pipe_file = created = _open = _refused
