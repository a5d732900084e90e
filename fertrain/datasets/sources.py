"""Encoded images by name, from a folder or zip archives, and which files count as data.

Names that begin with a dot are skipped: macOS, Jupyter and editors leave such files beside a set.
"""

from __future__ import annotations

import errno
import lzma
import os
import posixpath
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2

from rmset.bounded import open_regular, read_regular
from rmset.errors import UnreadableError
from rmset.parts.picture_size import MOST_BYTES

from ..errors import DatasetError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm",
     ".pnm", ".gif", ".jp2", ".avif"}
)  # fmt: skip
"""Endings of image files; for any other ending, the first bytes decide."""
_LOCATED_SAMPLE = 64
_NO_DATA = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"})


class Bytes(Protocol):
    """Random access to encoded images."""

    def get(self, name: str) -> bytes:
        """Return the file of that name.

        Raises:
            FileNotFoundError: there is none.
            DatasetError: it is there and cannot be read.
        """

    def names(self) -> set[str]:
        """All file names."""


def no_data(name: str) -> bool:
    """Whether a name is hidden, thus not data: `._x.jpg`, `.ipynb_checkpoints/x.jpg`."""
    return any((p.startswith(".") and p not in (".", "..")) or p in _NO_DATA for p in name.split("/"))


def children(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted, without hidden ones."""
    return sorted(p for p in folder.iterdir() if not no_data(p.name))


def folders(folder: Path) -> list[Path]:
    """Return the subfolders of a folder, sorted, without hidden ones."""
    return [p for p in children(folder) if p.is_dir()]


def here_and_below(path: Path) -> list[Path]:
    """Return a folder and its direct subfolders: archives may unpack into a folder of their own."""
    return [path, *folders(path)] if path.is_dir() else []


def files_below(folder: Path) -> Iterator[Path]:
    """Every data file below a folder. Unlike `rglob`, links to folders are followed, because sets are often linked."""
    for here, below, names in os.walk(folder, followlinks=True):
        below[:] = [name for name in below if not no_data(name) and not _leads_back(here, name)]
        for name in names:
            if not no_data(name):
                yield Path(here) / name


def _leads_back(here: str, name: str) -> bool:
    """Whether a link leads to a folder above itself, an endless loop."""
    path = Path(here, name)
    return path.is_symlink() and Path(here).resolve().is_relative_to(path.resolve())


def is_image(path: Path) -> bool:
    """Whether a file is an image, by its ending or its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    if not path.is_file():
        return False  # opening a pipe would block forever
    try:
        return bool(cv2.haveImageReader(str(path)))
    except cv2.error:
        return False


def plain_name(name: str, folder: Path) -> str:
    """Normalize a name of a table: relative to the folder, with forward slashes, without `./` and `a/../`.

    An absolute name inside of the folder becomes relative; any other stays absolute, and is read from there.
    """
    name = name.strip()
    if "\\" in name and not _is_here(folder, name):
        name = name.replace("\\", "/")
    name = posixpath.normpath(name)
    if name.startswith("/"):
        for base in (folder, folder.resolve()):
            if Path(name).is_relative_to(base):
                return Path(name).relative_to(base).as_posix()
    return name


def located(names: Sequence[str], folder: Path, prefixes: Sequence[str] = ()) -> tuple[list[str], str]:
    """Match names of a table to files below a folder; also says in words how names were changed ("" if not).

    Tables get moved between machines. If no name exists as written, leading folders are removed
    (`C:/faces/train/1.jpg` -> `train/1.jpg`) and the folder's own subfolders are tried (`train/1.jpg` ->
    `Images/train/1.jpg`). An evenly spaced sample decides.

    Args:
        names: names in the table.
        folder: folder of the set.
        prefixes: usual folders of the layout, tried first.
    """
    plain = [plain_name(name, folder) for name in names]
    sample = plain[:: max(1, len(plain) // _LOCATED_SAMPLE)]
    if not sample or any(_is_here(folder, name) for name in sample):
        return plain, ""
    deep = max(name.count("/") for name in sample) + 1
    tried = ["", *prefixes, *(p.name for p in folders(folder))]
    ways = [(taken, prefix) for taken in range(deep) for prefix in tried]
    hits = {way: sum(_is_here(folder, _moved(name, *way)) for name in sample) for way in ways}
    best = max(ways, key=lambda way: hits[way])
    if not hits[best]:
        return plain, ""
    moved = [_moved(name, *best) for name in plain]
    return moved, f"images found under other names than the table's: {names[0]} is {moved[0]}"


def _is_here(folder: Path, name: str) -> bool:
    """Whether a name of a table is that of a file; one that no file system takes is none."""
    try:
        return (folder / name).is_file()
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            return False
        raise


def _moved(name: str, taken: int, prefix: str) -> str:
    """Replace the first folders of a name by another."""
    parts = name.strip("/").split("/")
    return "/".join(([prefix] if prefix else []) + parts[min(taken, len(parts) - 1) :])


class FolderBytes:
    """Files below a folder; names are relative to it, with forward slashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str) -> bytes:
        """Return the file's bytes."""
        path = self.folder / name
        try:
            return read_regular(path, most=MOST_BYTES)
        except UnreadableError as error:
            raise DatasetError(str(error)) from None
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                raise
            found = "a link to nothing" if isinstance(error, FileNotFoundError) else error.strerror
            raise DatasetError(f"expected a readable file at {path}, found: {found}") from None

    def names(self) -> set[str]:
        """Names of all files below the folder."""
        return {p.relative_to(self.folder).as_posix() for p in files_below(self.folder)}


# damaged, truncated, encrypted, or compressed by a method that Python lacks
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
)


class ZipBytes:
    """Members of a zip archive, read in place.

    Each process opens the archive itself, forked or not: a shared descriptor has one shared position.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._renew()

    def _renew(self) -> None:
        self._process = os.getpid()
        self._archive: zipfile.ZipFile | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """Return the member's bytes."""
        if self._process != os.getpid():
            self._renew()
        with self._lock:
            try:
                archive = self._open()
                packed = archive.getinfo(name)
                if packed.file_size > MOST_BYTES:
                    raise DatasetError(
                        f"expected at most {MOST_BYTES:,} bytes of {name} in {self.path}, found {packed.file_size:,}"
                    )
                return archive.read(packed)
            except KeyError:
                raise FileNotFoundError(f"{self.path}:{name}") from None
            except _ZIP_FAULTS as error:
                raise DatasetError(f"expected {name} whole in {self.path}, found: {error}") from None

    def names(self) -> set[str]:
        """Names of all members that are data files."""
        return {name for name in self._open().namelist() if not name.endswith("/") and not no_data(name)}

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None:
            try:
                # A pipe of that name would be waited for without end.
                self._archive = zipfile.ZipFile(open_regular(self.path))
            except (*_ZIP_FAULTS, UnreadableError) as error:
                raise DatasetError(f"expected a readable zip archive at {self.path}, found: {error}") from None
        return self._archive

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


class Archives:
    """Several zips side by side as one source; a name is `archive.zip/member`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._zips = {path.name: ZipBytes(path) for path in paths}

    def get(self, name: str) -> bytes:
        """Return the member's bytes."""
        archive, _, member = name.partition("/")
        if archive not in self._zips:
            raise FileNotFoundError(name)
        return self._zips[archive].get(member)

    def names(self) -> set[str]:
        """Members of all archives."""
        return {f"{archive}/{name}" for archive, source in self._zips.items() for name in source.names()}
