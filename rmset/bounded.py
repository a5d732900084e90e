"""Bounded reading of small untrusted files; violations are one-line errors.

A small file is a regular file of at most 16 MiB of UTF-8. JSON and TOML nest at most 64 deep and contain finite
numbers. FIFOs, devices and folders are refused at once, because opening or reading them could block forever.
"""

from __future__ import annotations

import io
import json
import math
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from rmset.errors import UnreadableError

SMALL = 16 << 20
"""largest file of settings, results or one video's state, bytes"""
DEEP = 64
"""most levels of nested lists and tables"""
LARGE = 1 << 63
"""whole numbers are below this, as in the tables"""
_PIECE = 1 << 20
# Some systems lack some flags.
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY", "O_NOINHERIT")
_READING = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in _FLAGS)


class _Readable(io.FileIO):
    """A file whose read errors name the file, which Python's do not."""

    def __init__(self, handle: int, path: Path) -> None:
        super().__init__(handle, "rb")
        self._path = path

    def readinto(self, buffer: Any) -> int | None:
        """Read into a buffer."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _unreadable(self._path, error) from None

    def readall(self) -> bytes:
        """Return the rest of the file."""
        try:
            return super().readall()
        except OSError as error:
            raise _unreadable(self._path, error) from None


def _unreadable(path: Path, error: OSError) -> UnreadableError:
    return UnreadableError(f"{path}: expected a file to read, found: {(error.strerror or '').lower()}")


def open_regular(path: Path, most: int | None = None) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: the file; links are followed.
        most: the largest size, bytes; None for any.

    Raises:
        FileNotFoundError: there is none.
        UnreadableError: it is not a regular file, is too large, or is not readable; also raised by its reads.
    """
    handle, _ = _opened(path, most)
    try:
        return io.BufferedReader(_Readable(handle, path))
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, most: int | None = None) -> bytes:
    """Return the bytes of a regular file; with half the calls of `open_regular`, for sets of many small files.

    Raises:
        FileNotFoundError: there is none.
        UnreadableError: as for `open_regular`.
    """
    handle, size = _opened(path, most)
    try:
        data = os.read(handle, size + 1)
        # one read gives it all, except from a file that grows or is very large
        while len(data) != size and (more := os.read(handle, _PIECE)):
            data += more
            if most is not None and len(data) > most:
                raise UnreadableError(f"{path}: expected at most {most:,} bytes, found more; remove it")
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(handle)
    return data


def _opened(path: Path, most: int | None) -> tuple[int, int]:
    """Return a descriptor of a regular file, and its size."""
    try:
        # Without O_NONBLOCK, opening a FIFO blocks until a writer opens it.
        handle = os.open(path, _READING)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(2, "no such file", str(path)) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(f"{path}: expected a regular file, found {_kind(found.st_mode)}; remove it")
        if most is not None and found.st_size > most:
            raise UnreadableError(f"{path}: expected at most {most:,} bytes, found {found.st_size:,}; remove it")
    except BaseException:
        os.close(handle)
        raise
    return handle, found.st_size


def read_bytes(path: Path, most: int = SMALL) -> bytes:
    """Return the bytes of a small file.

    Raises:
        FileNotFoundError: there is none.
        UnreadableError: it is no regular file, is too large, or cannot be read.
    """
    with open_regular(path, most) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        # Files of /proc report size 0; others grow while they are read.
        raise UnreadableError(f"{path}: expected at most {most:,} bytes, found more; remove it")
    return data


def read_text(path: Path, most: int = SMALL) -> str:
    """Return the text of a small file; a byte order mark is left out, line ends are as in the file.

    Raises:
        FileNotFoundError: there is none.
        UnreadableError: as for `read_bytes`, or invalid UTF-8.
    """
    data = read_bytes(path, most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = f"the byte 0x{data[error.start]:02x} at {error.start}"
        raise UnreadableError(f"{path}: expected UTF-8 text, found {at}; write the file again") from None


def read_json(path: Path, most: int = SMALL) -> Any:
    """Return the value of a small JSON file; see `read_text` and `parse_json`."""
    return parse_json(read_text(path, most), str(path))


def read_toml(path: Path, most: int = SMALL) -> dict[str, Any]:
    """Return the tables of a small TOML file; see `read_text` and `parse_toml`."""
    return parse_toml(read_text(path, most), str(path))


def parse_json(text: str, where: str) -> Any:
    """Return a JSON value, at most 64 levels deep, all numbers finite.

    Raises:
        UnreadableError: the text is invalid; the message begins with `where`.
    """
    try:
        return _bounded(json.loads(text), where)
    except RecursionError:
        raise UnreadableError(f"{where}: expected at most {DEEP} levels, found more; write the file again") from None
    except ValueError as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"{where}: expected JSON, found {_first_line(error)}; write the file again") from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the tables of a TOML text, at most 64 levels deep, all numbers finite.

    Raises:
        UnreadableError: the text is invalid; the message begins with `where`.
    """
    try:
        tables: dict[str, Any] = _bounded(tomllib.loads(text), where)
    except RecursionError:
        raise UnreadableError(f"{where}: expected at most {DEEP} levels, found more; write the file again") from None
    except ValueError as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"{where}: expected TOML, found {_first_line(error)}; correct it") from None
    return tables


def _bounded(value: Any, where: str) -> Any:
    """Check a value without recursion, and return it."""
    level, deep = [value], 0
    while level:
        if deep > DEEP:
            raise UnreadableError(f"{where}: expected at most {DEEP} levels, found more; write the file again")
        below: list[Any] = []
        for each in level:
            if isinstance(each, float) and not math.isfinite(each):
                raise UnreadableError(f"{where}: expected finite numbers, found {each}; write the file again")
            if isinstance(each, int) and abs(each) >= LARGE:
                raise UnreadableError(f"{where}: expected whole numbers of 64 bits, found more; write the file again")
            if isinstance(each, str) and not each.isascii():
                _encodable(each, where)
            if isinstance(each, Mapping):
                below.extend((*each.keys(), *each.values()))
            elif isinstance(each, list):
                below.extend(each)
        level, deep = below, deep + 1
    return value


def _encodable(text: str, where: str) -> None:
    """Reject lone surrogates: they can be read, but neither printed nor written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnreadableError(f"{where}: expected text, found half a character; write the file again") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "something else")
