"""A labeled set in a few large files: `fertrain datasets pack` writes it, the kind `packed` reads it.

    pack.json              schema, label order, rules, splits, gray or not
    labels/SPLIT-RULE.parquet   names, targets, votes and groups under each rule, as the set itself gives them
    images-000.parquet     encoded pictures in the layout of a root's shards, so that one is read by its position

Names, targets and pictures are those of the set, so a run on the packed set learns the same to the bit. A folder of
280,000 files costs a directory walk and an open per picture; a packed set has one file per GiB, opened once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset.bounded import open_regular, read_json
from rmset.errors import RmsetError, UnreadableError, UsageError
from rmset.parts.picture_size import MOST_BYTES
from rmset.parts.shards import locate
from rmset.progress import Progress, silent
from rmset.read.handles import read_at

from ..errors import DatasetError
from ..files import whole, write_json
from ..labels import LabelOrder
from .base import Issue, LabeledSet, Split, require_split

SCHEMA = 1
NOTE = "pack.json"
_GROUP, _FILE = 64, 1 << 30
"""Pictures in a row group, and bytes of pictures in a file."""
_IMAGE = pa.struct([pa.field("bytes", pa.binary(), nullable=False), pa.field("path", pa.string(), nullable=False)])
_FIELDS = pa.schema([pa.field("image", _IMAGE, nullable=False), pa.field("encoded_size", pa.int64(), nullable=False)])


class PackedBytes:
    """Pictures by name out of the `images-*.parquet` of a folder; safe in threads and forked workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = sorted(folder.glob("images-*.parquet"))
        self._at: dict[str, tuple[int, int, int]] = {}
        for number, path in enumerate(self._files):
            try:
                open_regular(path).close()
                with pq.ParquetFile(path) as file:
                    table = file.read(columns=["image.path", "encoded_size"])
                    sizes = table.column("encoded_size").to_numpy()
                    where = locate(path, file, sizes)
            except (pa.ArrowException, UnreadableError, OSError, RmsetError, KeyError) as error:
                raise DatasetError(
                    f"expected whole packed images in {path}, found: {str(error).splitlines()[0]}; pack the set again"
                ) from None
            names = table.column("image").combine_chunks().field("path").to_pylist()
            places = zip(names, where["offset"].tolist(), sizes.tolist(), strict=True)
            self._at |= {name: (number, offset, size) for name, offset, size in places}
        self._opened: dict[int, int] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """Return the picture's bytes, by one positional read."""
        if name not in self._at:
            raise FileNotFoundError(f"{self.folder}/{name}")
        number, offset, size = self._at[name]
        if not 0 <= size <= MOST_BYTES:
            raise DatasetError(f"expected at most {MOST_BYTES:,} bytes of {name} in {self.folder}, found {size:,}")
        with self._lock:
            if number not in self._opened:
                self._opened[number] = os.open(self._files[number], os.O_RDONLY)
        found: bytes = read_at(self._opened[number], size, offset)
        return found

    def names(self) -> set[str]:
        """Names of all pictures."""
        return set(self._at)

    def __getstate__(self) -> dict[str, Any]:
        # each process opens the files itself
        return {**self.__dict__, "_opened": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __del__(self) -> None:
        for handle in self.__dict__.get("_opened", {}).values():
            os.close(handle)


class PackedSet:
    """A packed labeled set."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        try:
            note = read_json(folder / NOTE)
            if note["schema"] > SCHEMA:
                raise DatasetError(f"expected a packed set of schema {SCHEMA} in {folder}, found a newer one; update")
            self.order = LabelOrder(str(note["order"]["name"]), tuple(map(str, note["order"]["classes"])))
            self._rules, self._splits = list(map(str, note["rules"])), list(map(str, note["splits"]))
            self._gray, self._from = bool(note["gray"]), str(note["set"])
        except (FileNotFoundError, UnreadableError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"expected a packed set with {NOTE} in {folder}, found: {error!r}; `fertrain datasets pack` writes it"
            ) from None
        self._source: PackedBytes | None = None

    def splits(self) -> list[str]:
        """Return the splits of the set that was packed."""
        return list(self._splits)

    def rules(self) -> list[str]:
        """Return its rules."""
        return list(self._rules)

    def load(self, split: str, rule: str) -> Split:
        """Return the images that a rule selects, as the set itself did."""
        require_split(self, split)
        path = self.folder / "labels" / f"{split}-{rule}.parquet"
        try:
            table = pq.read_table(path)
            targets, shares = _matrix(table, "targets"), _matrix(table, "shares")
            groups = {c[6:]: tuple(table.column(c).to_pylist()) for c in table.column_names if c.startswith("group.")}
            names = tuple(table.column("name").to_pylist())
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DatasetError(
                f"expected labels under the rule {rule} in {path}, found: {str(error).splitlines()[0]}; pack again"
            ) from None
        self._source = self._source or PackedBytes(self.folder)
        assert targets is not None
        return Split(
            self.name, split, rule, self.order, names, targets, self._source, self._gray, shares=shares, groups=groups
        )

    def findings(self) -> list[Issue]:
        """Return where the set comes from; what it lacks was found when it was packed."""
        return [Issue("all", f"packed from {self._from}", 1)]


@dataclass(frozen=True)
class Packing:
    """What was packed."""

    images: int
    """Pictures written."""
    files: int
    """Files of pictures."""
    missing: list[str]
    """Names of pictures that could not be read; runs fail on them as on the set itself."""


def pack(data: LabeledSet, out: Path, progress: Progress = silent) -> Packing:
    """Write a labeled set as a packed one; the same set gives the same bytes.

    Args:
        data: the set.
        out: a folder that is new or empty.
        progress: progress callback on pictures.

    Raises:
        UsageError: the folder is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"expected a new or empty folder to pack into, found {out}; choose another")
    (out / "labels").mkdir(parents=True, exist_ok=True)
    every: dict[str, Any] = {}
    gray = False
    for split_name in data.splits():
        for rule in data.rules():
            split = data.load(split_name, rule)
            _write_labels(out / "labels" / f"{split_name}-{rule}.parquet", split)
            every |= dict.fromkeys(split.names, split.source)
            gray = split.gray
    missing: list[str] = []

    def pictures() -> Iterator[tuple[str, bytes]]:
        for done, (name, source) in enumerate(every.items(), 1):
            try:
                yield name, source.get(name)
            except (FileNotFoundError, DatasetError):
                missing.append(name)
            progress("pack images", done, len(every))

    files = _write_images(out, pictures())
    note = {
        "schema": SCHEMA, "set": data.name, "order": {"name": data.order.name, "classes": list(data.order.classes)},
        "rules": data.rules(), "splits": data.splits(), "gray": gray,
    }  # fmt: skip
    write_json(out / NOTE, note)
    return Packing(len(every) - len(missing), files, missing)


def _write_images(out: Path, pictures: Iterator[tuple[str, bytes]]) -> int:
    """Write files of about `_FILE` bytes; returns their number."""
    files, ended = 0, False
    while not ended:
        group: list[dict[str, Any]] = []
        written = rows = 0
        with whole(out / f"images-{files:03d}.parquet") as part, _writer(part) as writer:
            while written < _FILE:
                name, data = next(pictures, ("", b""))
                ended = name == ""
                if not ended:
                    group.append({"image": {"bytes": data, "path": name}, "encoded_size": len(data)})
                    written, rows = written + len(data), rows + 1
                if group and (ended or len(group) == _GROUP or written >= _FILE):
                    writer.write_table(pa.Table.from_pylist(group, schema=_FIELDS), row_group_size=len(group))
                    group = []
                if ended:
                    break
        files += 1
    return files


def _writer(path: Path) -> pq.ParquetWriter:
    """Make a writer whose pictures `locate` finds: plain, uncompressed, one page a row group."""
    return pq.ParquetWriter(
        path, _FIELDS, compression={"image.bytes": "none", "image.path": "zstd", "encoded_size": "zstd"},
        use_dictionary=False, write_statistics=["encoded_size"], data_page_size=1 << 30, version="2.6",
    )  # fmt: skip


def _write_labels(path: Path, split: Split) -> None:
    columns: dict[str, Any] = {"name": pa.array(split.names, pa.string()), "targets": _rows(split.targets)}
    if split.shares is not None:
        columns["shares"] = _rows(split.shares)
    columns |= {f"group.{kind}": pa.array(values, pa.string()) for kind, values in split.groups.items()}
    with whole(path) as part:
        pq.write_table(pa.table(columns), part, compression="zstd")


def _rows(values: npt.NDArray[np.float32]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _matrix(table: pa.Table, column: str) -> npt.NDArray[np.float32] | None:
    if column not in table.column_names:
        return None
    held = table.column(column).combine_chunks()
    return np.asarray(held.flatten().to_numpy(), dtype=np.float32).reshape(len(held), held.type.list_size).copy()
