"""Any labeled images: Parquet files in the Hugging Face convention, or a labels.csv beside images.

*.parquet     columns `image` (struct of bytes and path, or plain bytes) and `label` (a number or a class name);
              the split is the file's first word (train-00000-of-00002.parquet), or a column `split`
labels.csv    columns name, label, and split if there is more than train
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DatasetError, LabelError
from ..labels import LabelOrder, canonical, order_of, order_of_set
from .base import Labeled, Listing, table_text
from .images import FolderBytes

_SPLITS = {"train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid",
           "dev": "valid", "test": "test"}  # fmt: skip
_IMAGE = ("image", "img", "pixels")
_LABEL = ("label", "labels", "emotion", "expression", "class")
_NAME = ("name", "image", "path", "file", "filename", "image_name")


class ParquetBytes:
    """Encoded images by "file.parquet#row". A file's image column is read when its first image is asked for."""

    def __init__(self, folder: Path, columns: Mapping[str, str], rows: Mapping[str, int]) -> None:
        self.folder, self._columns, self._rows = folder, dict(columns), dict(rows)
        self._open: dict[str, Any] = {}

    def get(self, name: str) -> bytes:
        """The bytes of one row."""
        file, _, row = name.rpartition("#")
        if file not in self._columns or not row.isdigit() or int(row) >= self._rows[file]:
            raise FileNotFoundError(f"{self.folder}/{name}")
        if file not in self._open:
            column = self._columns[file]
            try:
                self._open[file] = _columns(self.folder / file, [column])[column]
            except DatasetError as error:
                self._open[file] = error  # found out once, not for each of its rows
        if isinstance(self._open[file], DatasetError):
            raise self._open[file]
        value = self._open[file][int(row)].as_py()
        return bytes((value.get("bytes") if isinstance(value, dict) else value) or b"")

    def names(self) -> set[str]:
        """Every row of every file."""
        return {f"{file}#{row}" for file, n in self._rows.items() for row in range(n)}

    def __getstate__(self) -> dict[str, Any]:
        # each process opens the files for itself
        return {**self.__dict__, "_open": {}}


def parquet(path: Path, options: Mapping[str, object]) -> Listing:
    """Parquet files; `classes` gives the order where the files do not."""
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise DatasetError(f"expected *.parquet in {path}, found none")
    columns: dict[str, str] = {}
    counts: dict[str, int] = {}
    found: list[tuple[str, str, object]] = []
    given: Sequence[str] | None = _classes(options)
    for file in files:
        name = file.relative_to(path).as_posix()
        schema = _schema(file)
        columns[name], label = _pick(schema.names, _IMAGE, file), _pick(schema.names, _LABEL, file)
        _require_bytes(schema.field(columns[name]), file)
        given = given or _hub_names(schema, label)
        wanted = [label] + (["split"] if "split" in schema.names else [])
        table = _columns(file, wanted)
        values = table[label].to_pylist()
        splits = (
            table["split"].to_pylist() if "split" in wanted else [file.name.split("-")[0].split(".")[0]] * len(values)
        )
        counts[name] = len(values)
        found += [(f"{name}#{i}", str(s), v) for i, (s, v) in enumerate(zip(splits, values, strict=True))]
    return _listing(found, given, ParquetBytes(path, columns, counts), path)


def labels_csv(path: Path, options: Mapping[str, object]) -> Listing:
    """A labels.csv; `classes` gives the order where labels are numbers."""
    file = path / "labels.csv"
    if not file.is_file():
        raise DatasetError(f"expected labels.csv (name, label, split) in {path}, found none")
    found: list[tuple[str, str, object]] = []
    with table_text(file) as stream:
        table = csv.DictReader(stream)
        columns = list(table.fieldnames or ())
        name, label = _pick(columns, _NAME, file), _pick(columns, _LABEL, file)
        for row in table:
            if not row[name]:
                raise DatasetError(f"expected the name of an image in {file}, line {table.line_num}; found none")
            found.append((row[name], row.get("split") or "train", row[label]))
    return _listing(found, _classes(options), FolderBytes(path), path)


def _listing(
    found: Sequence[tuple[str, str, object]],
    given: Sequence[str] | None,
    source: FolderBytes | ParquetBytes,
    path: Path,
) -> Listing:
    # what most labels are, the odd one is not: it is that one which is named
    numbers = 2 * sum(_number(value) is not None for _, _, value in found) >= len(found)
    if given:
        order = order_of(given)
    elif numbers:
        raise LabelError(
            f"expected the classes that the numbers in {path} stand for, found no names beside them; "
            "give them in the order of the numbers with `classes='a,b,c'`"
        )
    else:
        order = order_of_set(frozenset(canonical(str(v)) for _, _, v in found))
    rows: dict[str, list[Labeled]] = {}
    for name, split, value in found:
        if split.lower() not in _SPLITS:
            raise DatasetError(f"expected a split train, valid or test in {path}, found '{split}' for {name}")
        rows.setdefault(_SPLITS[split.lower()], []).append((name, _class(value, order, numbers, f"{path}: {name}")))
    return Listing(order, rows, source)


def _class(value: object, order: LabelOrder, numbers: bool, where: str) -> int:
    if numbers:
        known, k = f"0 to {len(order) - 1}", _number(value)
    else:
        known, name = ", ".join(order.classes), canonical(str(value))
        k = order.classes.index(name) if name in order.classes else None
    if k is None or not 0 <= k < len(order):
        raise DatasetError(f"expected a label of {known}, found {value!r} for {where}")
    return k


def _number(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _classes(options: Mapping[str, object]) -> Sequence[str] | None:
    value = options.get("classes")
    return [str(c) for c in value] if isinstance(value, (list, tuple)) else None


def _schema(file: Path) -> Any:
    try:
        return pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"expected a readable Parquet file at {file}, found: {str(error).splitlines()[0]}") from None


def _columns(file: Path, names: Sequence[str]) -> Any:
    try:
        return pq.read_table(file, columns=list(names), memory_map=True)
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0]
        raise DatasetError(f"expected the column {', '.join(names)} whole in {file}, found: {found}") from None


def _require_bytes(field: Any, file: Path) -> None:
    """Refuse a column that holds no encoded images: names, or pixels as text."""
    kind = field.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DatasetError(f"expected the bytes of images in the column {field.name} of {file}, found {kind}")


def _pick(names: Sequence[str], wanted: Sequence[str], file: Path) -> str:
    for name in wanted:
        if name in names:
            return name
    raise DatasetError(f"expected a column {' or '.join(wanted)} in {file}, found {', '.join(names)}")


def _hub_names(schema: Any, label: str) -> Sequence[str] | None:
    """Class names that the Hugging Face library writes into a file's metadata."""
    meta = (schema.metadata or {}).get(b"huggingface")
    if not meta:
        return None
    feature = json.loads(meta).get("info", {}).get("features", {}).get(label, {})
    names = feature.get("names")
    return [str(n) for n in names] if isinstance(names, list) else None
