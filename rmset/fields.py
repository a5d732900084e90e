"""Dataclasses and JSON: values checked against annotations, and settings as they are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
LATER = {"later": True}
"""Metadata of a setting that earlier versions did not have; with its default the stage has the results it had,
or a new code version of the stage says that they change."""


def settings_of(config: DataclassInstance) -> dict[str, Any]:
    """Return settings as they are recorded and hashed.

    Those that came later are left out while they have their default, so that a new version's new setting does not make
    the results of earlier versions out of date.
    """
    later = {f.name for f in fields(config) if "later" in f.metadata and getattr(config, f.name) == f.default}
    return {name: value for name, value in asdict(config).items() if name not in later}


def fitting(kind: type[T], raw: Any) -> dict[str, Any]:
    """Pick the values of `raw` that are fields of a dataclass, each of its field's type; lists become tuples.

    Unknown keys, written by a newer program, are ignored.

    Raises:
        ValueError: `raw` is not a mapping, or a value does not fit its field.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"expected an object, found {type(raw).__name__}")
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]  # mypy takes a type variable for unhashable
    missing = [f.name for f in fields(kind) if f.name not in raw and f.default is f.default_factory is MISSING]  # type: ignore[arg-type]
    if missing:
        raise ValueError(f"expected {', '.join(missing)}, found none")
    return {name: _fit(raw[name], hints[name], name) for name in hints if name in raw}


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fit(value: Any, hint: Any, name: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        for part in parts:
            try:
                return _fit(value, part, name)
            except ValueError:
                continue
    elif origin is Literal:
        if value in parts:
            return value
    elif hint is NoneType:
        if value is None:
            return None
    elif origin is dict:
        if isinstance(value, Mapping):
            return {k: _fit(v, parts[1], f"{name}.{k}") for k, v in value.items()}
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
            if len(kinds) == len(value):
                return tuple(_fit(v, part, name) for v, part in zip(value, kinds, strict=True))
    elif hint is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value) if isinstance(value, float) else value
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(hint, type) and isinstance(value, hint):
        return value
    raise ValueError(f"{name}: expected {_named(hint)}, found {str(value)[:40]!r}")


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
