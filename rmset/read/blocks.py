"""Blocks of arrays, one per video, one after another in a file that only grows.

A folder `state/index/<name>` holds `blocks.txt`, the list of the blocks, and the file `<token>.bin` that it names.
`rmset.read.growing` appends blocks. What a list names never changes, so readers need no lock.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset import bounded
from rmset.errors import RootError
from rmset.files import Stamp
from rmset.root import Root

FOLDER = "state/index"
LIST = "blocks.txt"
_FORMAT = 4
# Arrays begin at multiples of this, so that the file can be read as an array of any type.
_ALIGN = 8
_LONGEST_LIST = 1 << 30

Arrays = Mapping[str, npt.NDArray[Any]]
Columns = Mapping[str, np.dtype[Any]]
"""types by name; the size of each divides 8"""


@dataclass(frozen=True)
class Blocks:
    """Blocks by id. V blocks, C columns."""

    columns: Columns
    ids: list[str]
    stamps: list[str]
    """what each block was made of"""
    hashes: list[str]
    """hash of each block's bytes"""
    begin: npt.NDArray[np.int64]
    """(V,) first byte of each block"""
    length: npt.NDArray[np.int64]
    """(V, C) length of each array"""
    numbers: list[list[int]]
    """further numbers of each block"""
    folder: str | None
    """key of the folder; None if the blocks are only in memory"""
    token: str = ""
    """name of the file"""
    end: int = 0
    """bytes of the file that this list or an earlier one names: those are never written again"""
    stamp: Stamp | None = None
    """size and version of the list, when it was read"""
    data: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """the file up to `end`, memory-mapped"""

    def array(self, column: str) -> npt.NDArray[Any]:
        """Return the whole file as values of a column: a block's own begin at `start`."""
        return self.data[: len(self.data) // _ALIGN * _ALIGN].view(self.columns[column])

    def start(self, column: str) -> npt.NDArray[np.int64]:
        """Return the place (V,) at which each block's values begin in `array`."""
        offsets = _offsets(self.columns, self.length)
        return (self.begin + offsets[:, list(self.columns).index(column)]) // self.columns[column].itemsize

    def lengths(self, column: str) -> npt.NDArray[np.int64]:
        """Return the length (V,) of each block's array."""
        return self.length[:, list(self.columns).index(column)]

    @property
    def bytes(self) -> npt.NDArray[np.int64]:
        """(V,) size of each block."""
        return _offsets(self.columns, self.length)[:, -1]

    def block(self, number: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of a block."""
        begin = int(self.begin[number])
        return self.data[begin : begin + int(self.bytes[number])]

    def chosen(self, wanted: Mapping[str, str]) -> Blocks | None:
        """Return the blocks of these ids, in this order; None if one is missing or of another stamp.

        Args:
            wanted: id -> stamp.
        """
        if self.ids == list(wanted) and self.stamps == list(wanted.values()):
            return self
        place = {name: number for number, name in enumerate(self.ids)}
        order = [place.get(name, -1) for name in wanted]
        if min(order, default=0) < 0:
            return None
        found = self.ordered(order)
        return found if found.stamps == list(wanted.values()) else None

    def ordered(self, order: Sequence[int]) -> Blocks:
        """Return some of the blocks, in another order."""
        at = np.asarray(order, np.int64)
        ids, stamps, hashes = ([each[n] for n in order] for each in (self.ids, self.stamps, self.hashes))
        return replace(
            self, ids=ids, stamps=stamps, hashes=hashes, begin=self.begin[at], length=self.length[at],
            numbers=[self.numbers[n] for n in order],
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what can be mapped again."""
        return vars(self) | ({} if self.folder is None else {"data": np.empty(0, np.uint8)})

    def opened(self, root: Root) -> Blocks:
        """Map the file of unpickled blocks.

        Raises:
            RootError: it is gone.
        """
        if self.folder is None:
            return self
        try:
            return replace(self, data=_mapped(root.files.local(f"{self.folder}/{self.token}.bin"), self.end))
        except (OSError, ValueError, RootError):
            raise RootError(f"root {root.place}: has changed since it was opened; open it again") from None

    @property
    def fits(self) -> bool:
        """Whether all blocks lie in the file."""
        lists = (self.ids, self.stamps, self.hashes, self.numbers, self.length)
        return (
            all(len(each) == len(self.begin) for each in lists)
            and min(self.begin.min(initial=0), self.length.min(initial=0)) >= 0
            and not (self.begin % _ALIGN).any()
            and int((self.begin + self.bytes).max(initial=0)) <= self.end
        )

    def is_current(self, root: Root) -> bool:
        """Whether the list is still that which was read."""
        return self.stamp is not None and _stamp(root, f"{self.folder}/{LIST}") == self.stamp

    def to_text(self) -> str:
        """Return the list of the blocks: a hash, and JSON."""
        about = {
            "format": _FORMAT, "token": self.token, "end": self.end,
            "columns": {name: _descr(dtype) for name, dtype in self.columns.items()},
            "ids": self.ids, "stamps": self.stamps, "hashes": self.hashes,
            "begin": _packed(self.begin), "length": _packed(self.length), "numbers": self.numbers,
        }  # fmt: skip
        text = json.dumps(about, separators=(",", ":"))
        return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n"


def load(root: Root, name: str, columns: Columns | None = None) -> Blocks | None:
    """Return all blocks of a name, memory-mapped; None if they are missing, damaged, or of an earlier form.

    Args:
        root: data set with the index.
        name: name of the folder.
        columns: columns that are expected; None for any.
    """
    folder = f"{FOLDER}/{name}"
    try:
        stamp = _stamp(root, f"{folder}/{LIST}")
        data = bounded.read_bytes(root.files.local(f"{folder}/{LIST}"), _LONGEST_LIST)
        digest, _, text = data.decode().partition("\n")
        if hashlib.sha256(text[:-1].encode()).hexdigest() != digest:
            return None
        about = json.loads(text)
        types = {str(n): _dtype_of(t) for n, t in about["columns"].items()}
        if about["format"] != _FORMAT or (columns is not None and types != columns):
            return None
        token = str(about["token"])
        found = Blocks(
            types, about["ids"], about["stamps"], about["hashes"], _unpacked(about["begin"]),
            _unpacked(about["length"]).reshape(len(about["ids"]), len(types)), about["numbers"], folder, token,
            about["end"], stamp,
        )  # fmt: skip
        if not (found.fits and token.isalnum()):
            return None
        return replace(found, data=_mapped(root.files.local(f"{folder}/{token}.bin"), found.end))
    except Exception:
        # A list that somebody wrote can be wrong in any way; the index is then made again.
        return None


def damaged(root: Root) -> list[str]:
    """Keys of folders whose list cannot be read, and of files with changed blocks."""
    bad = []
    for key in root.files.keys(f"{FOLDER}/*/{LIST}"):
        folder = key.rpartition("/")[0]
        found = load(root, folder.rpartition("/")[2])
        if found is None:
            bad.append(folder)
        elif any(hash_bytes(found.block(n)) != known for n, known in enumerate(found.hashes)):
            bad.append(f"{folder}/{found.token}.bin")
    return bad


def pack(columns: Columns, arrays: Arrays) -> tuple[npt.NDArray[np.uint8], tuple[int, ...]]:
    """Return the bytes of a block, and the length of each of its arrays (columns that are left out are empty)."""
    lengths = tuple(len(arrays.get(name, ())) for name in columns)
    places = _offsets(columns, np.array([lengths]))[0]
    packed = np.zeros(places[-1], np.uint8)
    for (name, dtype), at, length in zip(columns.items(), places, lengths, strict=False):
        if length:
            packed[at : at + length * dtype.itemsize].view(dtype)[:] = arrays[name]
    return packed, lengths


def hash_bytes(data: npt.NDArray[np.uint8]) -> str:
    """Hash of a block."""
    return hashlib.sha256(np.ascontiguousarray(data).data).hexdigest()[:32]


def _offsets(columns: Columns, length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the first byte of each array within its block, and the block's size: (V, C + 1)."""
    sizes = length * np.array([dtype.itemsize for dtype in columns.values()], np.int64)
    padded = -(-sizes // _ALIGN) * _ALIGN
    return np.concatenate([np.zeros((len(length), 1), np.int64), np.cumsum(padded, axis=1)], axis=1)


def _packed(numbers: npt.NDArray[np.int64]) -> str:
    """Return whole numbers as base64, which is written in a third and read in a fifth of the time of digits."""
    return base64.b64encode(numbers.astype("<i8").tobytes()).decode()


def _unpacked(text: str) -> npt.NDArray[np.int64]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<i8").astype(np.int64)


def _descr(dtype: np.dtype[Any]) -> Any:
    return dtype.str if dtype.names is None else dtype.descr


def _dtype_of(text: Any) -> np.dtype[Any]:
    """Convert a stored `np.dtype.descr` back: a name, or pairs of field and name."""
    return np.dtype(text if isinstance(text, str) else [(str(n), str(t)) for n, t in text])


def _stamp(root: Root, key: str) -> Stamp | None:
    try:
        return root.files.stamp(key)
    except (FileNotFoundError, RootError):
        return None


def _mapped(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """Map the first bytes of a file.

    Raises:
        ValueError: it is shorter.
    """
    with bounded.open_regular(path) as stream:
        if size == 0:
            # An empty file cannot be mapped.
            return np.empty(0, np.uint8)
        # A plain view: each access through numpy.memmap itself costs a microsecond.
        return np.memmap(stream, np.uint8, "r", shape=(size,)).view(np.ndarray)
