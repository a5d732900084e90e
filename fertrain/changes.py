"""Settings changed by name, strictly: what a grid, a recipe on top of another, or `--set rmfer.tau=0.1` says.

A run's own config.toml is read leniently (`config.config_from`), as it also holds what was measured. Here a name that
nobody has is a mistake.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from rmset.errors import UsageError

from .config import RunConfig
from .errors import UnknownNameError


def changed(config: RunConfig, changes: Mapping[str, Any], where: str) -> RunConfig:
    """The settings with some of them changed.

    Args:
        config: where to start.
        changes: names and values, groups as nested mappings, as TOML gives them.
        where: what messages call the place that these come from.

    Raises:
        UnknownNameError: a setting that nobody has.
        UsageError: a value of another kind than the setting's.
    """
    filled: RunConfig = _changed(config, changes, where, "")
    return filled


def from_words(words: Iterable[str]) -> dict[str, Any]:
    """`["rmfer.tau=0.1", "augment=flip"]` as nested mappings; a value is TOML, or a bare word."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"expected NAME=VALUE like rmfer.tau=0.1 for --set, found '{word}'")
        *groups, last = (part.strip() for part in name.split("."))
        place = found
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise UsageError(f"expected a group of settings for {group} in --set {word}, found a value for it too")
        place[last] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word


def _changed(group: Any, changes: Mapping[str, Any], where: str, prefix: str) -> Any:
    hints = _hints(type(group))
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in hints:
            raise UnknownNameError(f"setting in {where}:", f"{prefix}{name}", [f"{prefix}{known}" for known in hints])
        current = getattr(group, name)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise UsageError(f"expected a group of settings for {prefix}{name} in {where}, found {value!r}")
            values[name] = _changed(current, value, where, f"{prefix}{name}.")
        elif not _fits(value, hints[name]):
            kind = hints[name].__name__ if isinstance(hints[name], type) else hints[name]
            raise UsageError(f"expected {kind} for {prefix}{name} in {where}, found {value!r}")
        else:
            values[name] = _tupled(value)
    return replace(group, **values)


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if not isinstance(value, (list, tuple)):
            return False
        each = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
        return len(each) == len(value) and all(_fits(v, one) for v, one in zip(value, each, strict=True))
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, (list, tuple)) else value
