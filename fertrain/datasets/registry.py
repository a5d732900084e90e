"""Data sets by name: `datasets.toml` here, else in the user's configuration folder; the split that is reported.

    [ferplus]
    kind = "ferplus"
    path = "/data/ferplus"

A new kind with one label per image is a function from a folder to a `Listing` and one entry in `LAYOUTS`; any
other is a class with `splits`, `rules`, `load`, `findings` (see `LabeledSet`) and one entry in `KINDS`. Its options
are listed in `options.OPTIONS`. Every labeled kind has the option `drop`: classes to leave out, by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rmset.bounded import read_toml
from rmset.errors import UnreadableError, UsageError
from rmset.locks import change
from rmset.remote import is_remote

from ..config.serialization import to_toml
from ..errors import DatasetError, UnknownNameError
from ..files import write_text
from ..transforms.input_spec import AS_LABELED, InputSpec, widened
from . import affectnet, fer2013, folder, posed, rafdb, tables
from .base import GIVEN, SPLITS, LabeledSet, Listed, Reader, Split, require_split
from .ferplus import FerPlus
from .images import ImageFiles
from .options import OPTIONS, read_options
from .packed import PackedSet
from .subsets import Narrowed

FILE = "datasets.toml"
UNLABELED = "rmset"
"""The kind of an RMset root; everything else is labeled."""


@dataclass(frozen=True)
class Entry:
    """One data set of datasets.toml."""

    name: str
    """Its name in commands."""
    kind: str
    """A key of `KINDS`, or `rmset`."""
    path: Path
    """Its folder."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of its kind, such as `classes` of a folder; see `options.OPTIONS`."""
    file: Path | None = None
    """The datasets.toml that names it; None for `kind:path`."""


def _ferplus(entry: Entry) -> LabeledSet:
    return FerPlus(entry.name, entry.path)


LAYOUTS: dict[str, Reader] = {
    "fer2013": fer2013.read,
    "affectnet": affectnet.read,
    "rafdb": rafdb.read,
    "ckplus": posed.ckplus,
    "jaffe": posed.jaffe,
    "ferg": posed.ferg,
    "folder": folder.read,
    "parquet": tables.parquet,
    "csv": tables.labels_csv,
}
"""Layout readers of the kinds with one label per image."""


def _listed(read: Reader) -> Callable[[Entry], LabeledSet]:
    return lambda entry: Listed(entry.name, read(entry.path, entry.options))


KINDS: dict[str, Callable[[Entry], LabeledSet]] = {
    "ferplus": _ferplus,
    "packed": lambda entry: PackedSet(entry.name, entry.path),
    **{kind: _listed(read) for kind, read in LAYOUTS.items()},
}
"""Labeled kinds; a kind is a function from an entry to a `LabeledSet`."""


def user_file() -> Path:
    """$XDG_CONFIG_HOME/fertrain/datasets.toml, or ~/.config/… where that is not set."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "fertrain" / FILE


def files() -> list[Path]:
    """Files in which names are looked up, nearest first."""
    return [path for path in (Path(FILE), user_file()) if path.is_file()]


def entries() -> dict[str, Entry]:
    """Every registered data set; a name here hides the same name in the user's folder."""
    found: dict[str, Entry] = {}
    for file in reversed(files()):
        for name, table in _read(file).items():
            table = table if isinstance(table, dict) else {}
            if not all(isinstance(table.get(key), str) and "\0" not in table[key] for key in ("kind", "path")):
                raise DatasetError(f"expected kind and path under [{name}] in {file}, found {str(table)[:80]}")
            options = {k: v for k, v in table.items() if k not in ("kind", "path")}
            try:
                path = _absolute(table["path"], file.parent)
            except (OSError, RuntimeError) as error:
                raise DatasetError(f"expected a path under [{name}] in {file}, found: {error}") from None
            found[name] = Entry(name, table["kind"], path, options, file)
    return dict(sorted(found.items()))


def _absolute(path: Path | str, base: Path = Path()) -> Path:
    """Return an absolute path; the address of a root on an object store stays as it is."""
    return Path(path) if is_remote(path) else (base / Path(path).expanduser()).resolve()


def add(entry: Entry, *, here: bool = False) -> Path:
    """Open an entry, then write it; returns the file written.

    That is `datasets.toml` of this folder if it exists or `here` is set, else the user's.
    """
    entry = _checked(entry)
    if entry.kind != UNLABELED:
        open_entry(entry)
    file = Path(FILE) if here or Path(FILE).is_file() else user_file()
    with change(file):
        tables = _read(file) if file.is_file() else {}
        tables[entry.name] = {"kind": entry.kind, "path": str(_absolute(entry.path)), **entry.options}
        write_text(file, to_toml(tables))
    return file


def resolve(name: str) -> Entry:
    """Return the entry of a name, or of `kind:path` for an unregistered set."""
    known = entries()
    if name in known:
        return known[name]
    kind, colon, path = name.partition(":")
    if colon and (kind in KINDS or kind == UNLABELED):
        return Entry(Path(path).name or kind, kind, Path(path).expanduser())
    raise UnknownNameError(
        "data set", name, known, f"`fertrain datasets add {name} --kind KIND --path FOLDER` makes it known"
    )


def name_and_split(on: str) -> tuple[str, str]:
    """Parse `NAME[:SPLIT]` or `KIND:PATH[:SPLIT]`; the split is "" if none is named.

    Names and paths may contain colons, so the whole text is tried first. For a set named like a kind, `ferplus:test`
    is its split and `ferplus:./test` the folder.
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


def resolve_labeled(name: str) -> Entry:
    """Return the entry of a labeled data set."""
    entry = resolve(name)
    if entry.kind == UNLABELED:
        raise UsageError(f"expected a labeled data set, found '{name}', an RMset root; give it to `data.unlabeled`")
    return entry


def open_labeled(name: str) -> LabeledSet:
    """Return the labeled data set of that name."""
    return open_entry(resolve_labeled(name))


def open_entry(entry: Entry) -> LabeledSet:
    """Return the labeled data set of an entry."""
    entry = _checked(entry)
    data = KINDS[entry.kind](entry)
    drop = entry.options.get("drop", ())
    return Narrowed(data, drop) if drop else data


def _checked(entry: Entry) -> Entry:
    """Check an entry and convert its options; raises for unknown kinds, folders and options."""
    if entry.kind not in OPTIONS:
        raise UnknownNameError("kind of data set", entry.kind, OPTIONS)
    if not entry.path.is_dir():
        raise UsageError(f"expected a folder for data set '{entry.name}', found none at {entry.path}")
    return replace(entry, options=read_options(entry.kind, entry.options))


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_toml(file)
    except (FileNotFoundError, UnreadableError) as error:
        raise DatasetError(f"expected a TOML file of data sets at {file}, found: {error}") from None


def rule_for(data: LabeledSet, rule: str) -> str:
    """Return the given rule, or `given` for a data set with one label per image."""
    return GIVEN if data.rules() == [GIVEN] else rule


def reported(data: LabeledSet, wanted: str | None) -> str | None:
    """Return the split to report: the requested one, else test, else valid; None if neither is present."""
    return wanted or next((split for split in ("test", "valid") if split in data.splits()), None)


def open_split(data: LabeledSet, split: str, rule: str) -> Split:
    """Return a split under an evaluation rule.

    Raises:
        DatasetError: it is not present, or the rule selects none of its images.
    """
    require_split(data, split)
    return require_images(data.load(split, rule_for(data, rule)))


def require_images(split: Split) -> Split:
    """Raise for a split without images: an accuracy of 0 % would be reported, but nothing measured."""
    if len(split) == 0:
        raise DatasetError(
            f"expected images to count in {split.dataset}:{split.split} under the rule {split.rule}, found none; put "
            "images in place, or take another split or another `eval_rule`"
        )
    return split


def images_of(split: Split, spec: InputSpec, *, reduced: bool = False) -> ImageFiles:
    """Open the images of a split, decoded by the spec; `reduced`: JPEGs near its size."""
    return ImageFiles(split.source, split.names, spec.size, gray=spec.gray, reduced=reduced)


def open_target(on: str) -> tuple[LabeledSet, str]:
    """Return the data set and the split of `NAME[:SPLIT]`; default split: `test` if present, else `valid`."""
    name, split = name_and_split(on)
    dataset = open_labeled(name)
    return dataset, reported(dataset, split) or "test"


def splits_of(on: str) -> list[Split]:
    """Load every split of `NAME[:SPLIT]`, under the set's first rule."""
    name, split = name_and_split(on)
    data = open_labeled(name)
    if split:
        require_split(data, split)
    return [data.load(one, data.rules()[0]) for one in ([split] if split else data.splits())]


NOTE = "crop.toml"


def note_crop(folder: Path, settings: Mapping[str, Any]) -> None:
    """Record the crop settings of a folder."""
    write_text(folder / NOTE, to_toml(settings))


def crop_of(folder: Path) -> str:
    """Return the crop settings of a folder in the notation of `InputSpec`.

    Raises:
        DatasetError: the note cannot be read.
    """
    note = folder / NOTE
    if not note.is_file():
        return AS_LABELED
    try:
        return widened(float(read_toml(note)["widen"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"expected a number for widen in {note}, found: {error!r}") from None
