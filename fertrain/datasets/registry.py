"""Data sets by name: `datasets.toml` here, else in the user's configuration folder.

    [ferplus]
    kind = "ferplus"
    path = "/data/ferplus"

A new kind with one label per image is a function from a folder to a `Listing` and one entry in `LAYOUTS`; any
other is a class with `splits`, `rules`, `load`, `findings` (see `LabelledSet`) and one entry in `KINDS`. What it may
be told stands in `options.OPTIONS`. Every labelled kind takes the option `drop`, classes to leave out (eight to seven
by name).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rmset.errors import UsageError

from ..config import to_toml
from ..errors import DatasetError, UnknownNameError
from ..writing import write_text
from . import affectnet, fer2013, posed, rafdb, tables
from .ferplus import FerPlus
from .folder import Folder
from .labelled import LabelledSet
from .listed import SPLITS, Listed, Reader
from .narrow import Narrowed
from .options import OPTIONS, read_options

FILE = "datasets.toml"
UNLABELLED = "rmset"
"""The kind of an RMset root; everything else is labelled."""


@dataclass(frozen=True)
class Entry:
    """One data set of datasets.toml."""

    name: str
    """What commands call it."""
    kind: str
    """A key of `KINDS`, or `rmset`."""
    path: Path
    """Its folder."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else its kind wants to know, as `classes` of a folder; see `options.OPTIONS`."""
    file: Path | None = None
    """The datasets.toml that names it; None for `kind:path`."""


def _folder(entry: Entry) -> LabelledSet:
    return Folder(entry.name, entry.path, tuple(entry.options.get("classes", ())))


def _ferplus(entry: Entry) -> LabelledSet:
    return FerPlus(entry.name, entry.path)


LAYOUTS: dict[str, Reader] = {
    "fer2013": fer2013.read,
    "affectnet": affectnet.read,
    "rafdb": rafdb.read,
    "ckplus": posed.ckplus,
    "jaffe": posed.jaffe,
    "ferg": posed.ferg,
    "parquet": tables.parquet,
    "csv": tables.labels_csv,
}
"""Kinds with one label per image, by what their folders look like."""


def _listed(read: Reader) -> Callable[[Entry], LabelledSet]:
    return lambda entry: Listed(entry.name, read(entry.path, entry.options))


KINDS: dict[str, Callable[[Entry], LabelledSet]] = {
    "ferplus": _ferplus,
    "folder": _folder,
    **{kind: _listed(read) for kind, read in LAYOUTS.items()},
}
"""Labelled kinds; a kind is a function from an entry to a `LabelledSet`."""


def user_file() -> Path:
    """$XDG_CONFIG_HOME/fertrain/datasets.toml, or ~/.config/… where that is not set."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "fertrain" / FILE


def files() -> list[Path]:
    """Where names are looked up, nearest first."""
    return [path for path in (Path(FILE), user_file()) if path.is_file()]


def entries() -> dict[str, Entry]:
    """Every data set that can be named; a name here hides the same name in the user's folder."""
    found: dict[str, Entry] = {}
    for file in reversed(files()):
        for name, table in _read(file).items():
            if not isinstance(table, dict) or not {"kind", "path"} <= table.keys():
                raise DatasetError(f"expected kind and path under [{name}] in {file}, found {table}")
            options = {k: v for k, v in table.items() if k not in ("kind", "path")}
            path = (file.parent / Path(table["path"]).expanduser()).resolve()
            found[name] = Entry(name, table["kind"], path, options, file)
    return dict(sorted(found.items()))


def add(entry: Entry, *, here: bool = False) -> Path:
    """Write an entry, after opening it; returns the file it went to.

    It goes to `datasets.toml` of this folder if there is one or `here` is asked for, else to the user's.
    """
    entry = _checked(entry)
    if entry.kind != UNLABELLED:
        open_entry(entry)
    file = Path(FILE) if here or Path(FILE).is_file() else user_file()
    tables = _read(file) if file.is_file() else {}
    tables[entry.name] = {"kind": entry.kind, "path": str(entry.path.resolve()), **entry.options}
    write_text(file, to_toml(tables))
    return file


def resolve(name: str) -> Entry:
    """The entry of a name, or of `kind:path` for a set that is used once."""
    known = entries()
    if name in known:
        return known[name]
    kind, colon, path = name.partition(":")
    if colon and (kind in KINDS or kind == UNLABELLED):
        return Entry(Path(path).name or kind, kind, Path(path).expanduser())
    raise UnknownNameError(
        "data set", name, known, f"`fertrain datasets add {name} --kind KIND --path FOLDER` makes it known"
    )


def name_and_split(on: str) -> tuple[str, str]:
    """`NAME[:SPLIT]` or `KIND:PATH[:SPLIT]` taken apart; the split is "" where none is named.

    Names and paths may hold colons themselves, so the whole text is tried first. Where a set is called like a kind,
    `ferplus:test` is its split and `ferplus:./test` the folder.
    """
    known = entries()
    head, _, tail = on.rpartition(":")

    def is_there(name: str) -> bool:
        kind, _, path = name.partition(":")
        return name in known or (kind in KINDS and path != "" and Path(path).expanduser().is_dir())

    if on in known or (is_there(on) and not (head in known and tail in SPLITS)):
        return on, ""
    meant = head not in ("", *KINDS) and tail in SPLITS
    return (head, tail) if meant or is_there(head) else (on, "")


def open_labelled(name: str) -> LabelledSet:
    """The labelled data set of that name."""
    entry = resolve(name)
    if entry.kind == UNLABELLED:
        raise UsageError(f"expected a labelled data set, found '{name}', an RMset root; give it to --unlabeled")
    return open_entry(entry)


def open_entry(entry: Entry) -> LabelledSet:
    """The labelled data set of an entry."""
    entry = _checked(entry)
    data = KINDS[entry.kind](entry)
    drop = entry.options.get("drop", ())
    return Narrowed(data, drop) if drop else data


def _checked(entry: Entry) -> Entry:
    """The entry with its options as its kind reads them; refuses kinds, folders and options that there are not."""
    if entry.kind not in OPTIONS:
        raise UnknownNameError("kind of data set", entry.kind, OPTIONS)
    if not entry.path.is_dir():
        raise UsageError(f"expected a folder for data set '{entry.name}', found none at {entry.path}")
    return replace(entry, options=read_options(entry.kind, entry.options))


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DatasetError(f"expected a TOML file of data sets at {file}, found: {error}") from None
