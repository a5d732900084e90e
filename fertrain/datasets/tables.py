"""Any labeled images: Parquet files in the Hugging Face convention, or a table beside images.

*.parquet     columns `image` (struct of bytes and path, or plain bytes) and `label` (a number or a class name);
              the split is the file's first word (train-00000-of-00002.parquet), or a column `split`
labels.csv    columns name, label, and split if there is more than train; or one table a split (train.csv, test.tsv)

Other usual column names are accepted (`label_table.COLUMNS`); the option `columns` names any other. Columns called
subject, video or sequence define groups that a hold-out does not split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rmset.bounded import open_regular, parse_json
from rmset.errors import UnreadableError, UsageError

from ..errors import DatasetError
from .base import Issue, Labeled, Level, Listing
from .classes import read_classes, spelled
from .label_table import COLUMNS, Table, find_column, read_table, split_of
from .sources import Bytes, FolderBytes, children, files_below, located

GROUPS = ("subject", "sequence", "video")
_TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class _Item:
    """One image of a table."""

    name: str
    split: str
    label: object
    where: str
    groups: Mapping[str, str]


class ParquetBytes:
    """Encoded images by "file.parquet#row". A file's image column is read at the first access to one of its images."""

    def __init__(self, folder: Path, columns: Mapping[str, str], rows: Mapping[str, int]) -> None:
        self.folder, self._columns, self._rows = folder, dict(columns), dict(rows)
        self._open: dict[str, Any] = {}

    def get(self, name: str) -> bytes:
        """Return the bytes of one row."""
        file, _, row = name.rpartition("#")
        if file not in self._columns or not row.isdigit() or int(row) >= self._rows[file]:
            raise FileNotFoundError(f"{self.folder}/{name}")
        if file not in self._open:
            column = self._columns[file]
            try:
                self._open[file] = _columns(self.folder / file, [column])[column]
            except DatasetError as error:
                self._open[file] = error  # checked once per file, not per row
        if isinstance(self._open[file], DatasetError):
            raise self._open[file]
        value = self._open[file][int(row)].as_py()
        return bytes((value.get("bytes") if isinstance(value, dict) else value) or b"")

    def names(self) -> set[str]:
        """Every row of every file."""
        return {f"{file}#{row}" for file, n in self._rows.items() for row in range(n)}

    def __getstate__(self) -> dict[str, Any]:
        # each process opens the files itself
        return {**self.__dict__, "_open": {}}


def parquet(path: Path, options: Mapping[str, Any]) -> Listing:
    """Read Parquet files; `classes` gives the order or the meaning of numbers if the files do not."""
    files = sorted(p for p in files_below(path) if p.suffix == ".parquet")
    if not files:
        raise DatasetError(f"expected *.parquet in {path}, found none")
    columns: dict[str, str] = {}
    counts: dict[str, int] = {}
    found: list[_Item] = []
    hub: Sequence[str] | None = None
    unread: dict[str, None] = {}
    for file in files:
        name = file.relative_to(path).as_posix()
        schema = _schema(file)
        picked = _picked(schema.names, options.get("columns", {}), file, images=("image", "img", "pixels"))
        columns[name] = picked.pop("image")
        _require_bytes(schema.field(columns[name]), file)
        hub = hub or _hub_names(schema, picked["label"])
        unread |= dict.fromkeys(c for c in schema.names if c not in (columns[name], *picked.values()))
        table = {what: _columns(file, [column])[column].to_pylist() for what, column in picked.items()}
        counts[name] = len(table["label"])
        word = file.name.split("-")[0].split(".")[0]
        for i, label in enumerate(table["label"]):
            where = f"{path}: {name}#{i}"
            split = _split_named(str(table["split"][i]) if "split" in table else word, where)
            groups = {what: str(table[what][i]) for what in GROUPS if what in table}
            found.append(_Item(f"{name}#{i}", split, label, where, groups))
    notes = [Issue("all", "columns that are not read", len(unread), ", ".join(unread))] if unread else []
    return _listing(found, options, ParquetBytes(path, columns, counts), path, notes, hub)


def labels_csv(path: Path, options: Mapping[str, Any]) -> Listing:
    """Read a table of labels beside images, or one per split; `classes` gives the meaning of numbers."""
    named: list[str] = []
    rows: list[tuple[str, object, str, Mapping[str, str]]] = []
    notes: list[Issue] = []
    for file, of_file in _tables(path, options).items():
        table = read_table(file)
        picked = _picked(table.columns, options.get("columns", {}), file)
        notes += _unread(table, picked, of_file)
        for row in table.rows:
            name, where = row.cells[picked["image"]], table.at(row)
            if not name:
                raise DatasetError(f"expected the name of an image in {where}; found none")
            split = of_file or "train"
            if "split" in picked and row.cells[picked["split"]]:
                split = _split_named(row.cells[picked["split"]], f"{where}: {name}")
            groups = {what: row.cells[picked[what]] for what in GROUPS if what in picked}
            named.append(name)
            rows.append((split, row.cells[picked["label"]], f"{where}: {name}", groups))
    here, moved = located(named, path)
    if moved:
        notes.append(Issue("all", moved, len(here)))
    found = [_Item(name, *row) for name, row in zip(here, rows, strict=True)]
    return _listing(found, options, FolderBytes(path), path, notes)


def _tables(path: Path, options: Mapping[str, Any]) -> dict[Path, str | None]:
    """Return the tables of a folder with their splits; None if a column gives the split.

    Raises:
        DatasetError: there is none, or the choice is ambiguous.
    """
    if wanted := options.get("table"):
        if not (path / wanted).is_file():
            raise UsageError(f"expected the table {wanted} in {path}, found none; name one with the option table")
        return {path / wanted: None}
    if (path / "labels.csv").is_file():
        return {path / "labels.csv": None}
    tables = [p for p in children(path) if p.suffix.lower() in _TABLES and p.is_file()]
    split = {p: split_of(p.stem.replace("-", "_").split("_")[0]) for p in tables}
    by_split = {p: of for p, of in split.items() if of}
    if by_split and len(set(by_split.values())) == len(by_split):
        return dict(by_split)
    if len(tables) == 1:
        return {tables[0]: None}
    raise DatasetError(
        f"expected labels.csv (name, label, split) in {path}, found {', '.join(p.name for p in tables[:6]) or 'none'}"
        + ("; name one with the option table" if tables else "")
    )


def _picked(columns: Sequence[str], given: Mapping[str, str], file: Path, images: Sequence[str] = ()) -> dict[str, str]:
    """Find the columns; image and label are required.

    Args:
        columns: of the file.
        given: the option `columns`.
        file: for messages.
        images: names of an image column, preferred to the usual ones.
    """
    found: dict[str, str] = {}
    for what in ("image", "label", "split", *GROUPS):
        column = find_column(columns, what, given, file)
        if what == "image" and what not in given:
            column = next((name for name in images if name in columns), column)
        if column is not None and column not in found.values():
            found[what] = column
        elif what in ("image", "label"):
            raise DatasetError(
                f"expected a column {' or '.join(COLUMNS[what][:6])} in {file}, found {', '.join(columns)}; name it "
                f"with `columns='{what}=COLUMN'`"
            )
    return found


def _unread(table: Table, picked: Mapping[str, str], of_file: str | None) -> list[Issue]:
    """Report unread columns and a missing split column."""
    unread = [column for column in table.columns if column and column not in picked.values()]
    found = []
    if unread:
        found.append(Issue("all", "columns that are not read", len(unread), ", ".join(unread)))
    if "split" not in picked and of_file is None:
        what = f"no split column in {table.path.name}: every image is a training image"
        what += f" (not read: {', '.join(unread)}; `columns='split=COLUMN'` takes one)" if unread else ""
        found.append(Issue("all", what, len(table.rows), level=Level.WARNING))
    return found


def _split_named(text: str, where: str) -> str:
    split = split_of(text)
    if split is None:
        raise DatasetError(f"expected a split train, valid or test in {where}, found '{text}'")
    return split


def _listing(
    found: Sequence[_Item], options: Mapping[str, Any], source: Bytes, path: Path, notes: Sequence[Issue],
    hub: Sequence[str] | None = None,
) -> Listing:  # fmt: skip
    counts: dict[str, Counter[str]] = {}
    for item in found:
        counts.setdefault(item.split, Counter())[spelled(item.label)] += 1
    classes = read_classes(counts, options.get("classes"), str(path), hub)
    rows: dict[str, list[Labeled]] = {}
    groups: dict[str, dict[str, str]] = {}
    for item in found:
        rows.setdefault(item.split, []).append((item.name, classes.position(item.label, item.where)))
        for what, value in item.groups.items():
            groups.setdefault(what, {})[item.name] = value or item.name
    said = [Issue("all", classes.why, len(found))] if classes.why else []
    return Listing(classes.order, rows, source, notes=(*notes, *said), groups=groups)


def _schema(file: Path) -> Any:
    try:
        # A pipe of that name would be waited for without end.
        open_regular(file).close()
        return pq.read_schema(file)
    except (pa.ArrowException, UnreadableError, OSError) as error:
        raise DatasetError(f"expected a readable Parquet file at {file}, found: {str(error).splitlines()[0]}") from None


def _columns(file: Path, names: Sequence[str]) -> Any:
    try:
        open_regular(file).close()
        return pq.read_table(file, columns=list(names), memory_map=True)
    except (pa.ArrowException, UnreadableError, OSError) as error:
        found = str(error).splitlines()[0]
        raise DatasetError(f"expected the column {', '.join(names)} whole in {file}, found: {found}") from None


def _require_bytes(field: Any, file: Path) -> None:
    """Raise for a column without encoded images, such as names or pixels as text."""
    kind = field.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DatasetError(f"expected the bytes of images in the column {field.name} of {file}, found {kind}")


def _hub_names(schema: Any, label: str) -> Sequence[str] | None:
    """Class names that the Hugging Face library writes into a file's metadata."""
    meta = (schema.metadata or {}).get(b"huggingface")
    if not meta:
        return None
    try:
        found = parse_json(meta.decode(), "its metadata")
    except ValueError:
        return None  # not what that library writes
    for key in ("info", "features", label, "names"):
        found = found.get(key) if isinstance(found, dict) else None
    names = found
    return [str(n) for n in names] if isinstance(names, list) else None
