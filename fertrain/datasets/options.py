"""Options of each kind of data set: names, types and ranges, in one table.

Options come as text from `--set KEY=VALUE`, or as TOML values from datasets.toml. They are converted and checked here,
so readers get only valid values; an unknown name or value is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rmset.errors import UsageError

from ..errors import UnknownNameError

Option = Callable[[object], Any]
"""Converter from a given value to the reader's value; its ValueError says in words what was expected."""


def flag(value: object) -> bool:
    """Parse true or false; `bool("false")` would be true."""
    known = {"true": True, "false": False}
    if str(value).lower() not in known:
        raise ValueError("true or false")
    return known[str(value).lower()]


def whole(least: int) -> Option:
    """Parse a whole number of `least` or more."""

    def read(value: object) -> int:
        text = str(value)
        if not text.isdecimal() or int(text) < least:
            raise ValueError(f"a whole number of {least} or more")
        return int(text)

    return read


def one_of(*known: str | int) -> Option:
    """One of a few values."""

    def read(value: object) -> str | int:
        for one in known:
            if str(value) == str(one):
                return one
        raise ValueError(" or ".join(map(str, known)))

    return read


def names(value: object) -> list[str]:
    """Parse names, as a list or separated by commas."""
    listed = value.split(",") if isinstance(value, str) else value
    found = [str(name).strip() for name in listed] if isinstance(listed, (list, tuple)) else []
    if not found or not all(found):
        raise ValueError("names like a,b,c")
    return found


def pairs(value: object) -> dict[str, str]:
    """Parse KEY=VALUE pairs, as a table or separated by commas."""
    if isinstance(value, Mapping):
        found = {str(k).strip(): str(v).strip() for k, v in value.items()}
    else:
        parts = [part.partition("=") for part in str(value).split(",")]
        found = {key.strip(): name.strip() for key, equals, name in parts if equals}
        if len(found) < len(parts):
            raise ValueError("pairs like a=b,c=d, each key once")
    if not found or not all(found) or not all(found.values()):
        raise ValueError("pairs like a=b,c=d, each key once")
    return found


def classes(value: object) -> list[str] | dict[str, str]:
    """Parse `classes`: names in the order of the head, or pairs of the set's name and the canonical name."""
    return pairs(value) if isinstance(value, Mapping) or (isinstance(value, str) and "=" in value) else names(value)


def columns(value: object) -> dict[str, str]:
    """Parse `columns`: pairs of role and column name."""
    known = ("image", "label", "split", "subject", "video", "sequence")
    found = pairs(value)
    if strange := [key for key in found if key not in known]:
        raise ValueError(f"pairs like image=pth,label=expression of {', '.join(known)} (not {strange[0]})")
    return found


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a name")
    return value.strip()


_ALL: dict[str, Option] = {"drop": names}
_CLASSES = {**_ALL, "classes": classes}
_TABLE = {**_CLASSES, "columns": columns}
_POSED = {**_ALL, "split": one_of("subject", "image"), "seed": whole(0)}

OPTIONS: dict[str, Mapping[str, Option]] = {
    "ferplus": _ALL,
    "folder": _CLASSES,
    "fer2013": {**_ALL, "skip_ambiguous": flag},
    "affectnet": {**_ALL, "expressions": one_of(7, 8)},
    "rafdb": {**_ALL, "images": one_of("aligned", "original")},
    "ckplus": {**_POSED, "frames": whole(1), "neutral": flag},
    "jaffe": _POSED,
    "ferg": _POSED,
    "parquet": _TABLE,
    "csv": {**_TABLE, "table": text},
    "packed": _ALL,
    "rmset": {},
}
"""Options by kind, each with its converter."""


def read_options(kind: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Convert and check the options of a data set.

    Raises:
        UnknownNameError: an option that the kind does not have.
        UsageError: a value of another type, or out of range.
    """
    known, found = OPTIONS[kind], {}
    for name, value in given.items():
        if name not in known:
            raise UnknownNameError(f"option of the kind {kind}", name, known)
        try:
            found[name] = known[name](value)
        except ValueError as error:
            raise UsageError(f"expected {error} for the option {name} of the kind {kind}, found {value!r}") from None
    return found
