"""Settings to and from TOML, and changes by name.

A grid, a recipe or `--set rmfer.tau=0.1` is read strictly: an unknown name is an error. A run's own config.toml is
read leniently, because it also holds measurements.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rmset.errors import UsageError

from ..errors import UnknownNameError
from .run import RunConfig

EARLIER = {"labelled_weight": "labeled_weight"}
"""Today's names of settings by their names in earlier versions."""


def changed(config: RunConfig, changes: Mapping[str, Any], where: str) -> RunConfig:
    """Change some settings by name, strictly.

    Args:
        config: the settings to change.
        changes: names and values; groups are nested mappings, as in TOML.
        where: source of the changes, for messages.

    Raises:
        UnknownNameError: an unknown setting.
        UsageError: a value of the wrong type.
    """
    filled: RunConfig = _filled(config, changes, where, strict=True)
    return filled


def filled(group: Any, changes: Mapping[str, Any], where: str, prefix: str = "") -> Any:
    """Change fields of any group of settings, a dataclass that may hold others, by name, strictly; see `changed`."""
    return _filled(group, changes, where, prefix, strict=True)


def config_from(mapping: Mapping[str, Any], where: str = "config.toml") -> RunConfig:
    """Read the settings of a run's config.toml; other keys (hashes, measurements) are ignored.

    Raises:
        UsageError: a value of the wrong type.
    """
    filled: RunConfig = _filled(earlier_defaults(mapping), mapping, where, strict=False)
    return filled


def earlier_defaults(mapping: Mapping[str, Any]) -> RunConfig:
    """Defaults for a run's file: a setting it does not name has the default of the version that wrote it."""
    start, data = RunConfig(), mapping.get("data")
    if isinstance(data, Mapping) and "holdout_by" not in data:
        start = replace(start, data=replace(start.data, holdout_by="name"))
    return start


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


def _filled(group: Any, changes: Mapping[str, Any], where: str, prefix: str = "", *, strict: bool) -> Any:
    """Replace the fields of a dataclass that `changes` names; unknown names are an error only if `strict`."""
    hints = _hints(type(group))
    values: dict[str, Any] = {}
    for given, value in changes.items():
        name = EARLIER.get(given, given)
        if name not in hints:
            if not strict:
                continue
            raise UnknownNameError(f"setting in {where}:", f"{prefix}{name}", [f"{prefix}{known}" for known in hints])
        current = getattr(group, name)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise UsageError(f"expected a group of settings for {prefix}{name} in {where}, found {value!r}")
            values[name] = _filled(current, value, where, f"{prefix}{name}.", strict=strict)
        elif not _fits(value, hints[name]):
            kind = hints[name].__name__ if isinstance(hints[name], type) else str(hints[name]).replace("typing.", "")
            raise UsageError(f"expected {kind} for {prefix}{name} in {where}, found {value!r}")
        else:
            values[name] = _tupled(value)
    return replace(group, **values)


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str)  # the group itself checks the choice
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if not isinstance(value, (list, tuple)):
            return False
        each = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
        return len(each) == len(value) and all(_fits(v, one) for v, one in zip(value, each, strict=True))
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def to_toml(value: Mapping[str, Any]) -> str:
    """Write a nested mapping of plain values as TOML; `None` is omitted, because TOML has no null."""
    lines: list[str] = []
    tables: list[tuple[str, Mapping[str, Any]]] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            tables.append((key, item))
        elif item is not None:
            lines.append(f"{_key(key)} = {_toml_value(item)}")

    def write(prefix: str, table: Mapping[str, Any]) -> None:
        nested = {k: v for k, v in table.items() if isinstance(v, Mapping)}
        plain = {k: v for k, v in table.items() if not isinstance(v, Mapping) and v is not None}
        if plain or not nested:
            lines.append("")
            lines.append(f"[{prefix}]")
            lines.extend(f"{_key(k)} = {_toml_value(v)}" for k, v in plain.items())
        for k, v in nested.items():
            write(f"{prefix}.{_key(k)}", v)

    for key, table in tables:
        write(_key(key), table)
    return "\n".join(lines).strip() + "\n"


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False)


METHOD_GROUPS = (
    "eac", "ldl", "rul", "scn", "vac", "rmfer", "fixmatch", "flexmatch", "freematch", "softmatch", "uda", "mixmatch",
    "remixmatch", "ada_cm", "simclr", "moco", "byol", "simsiam",
)  # fmt: skip
"""Groups of settings that belong to one method each."""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return the settings as nested plain values, without the groups of other methods."""
    own = config.method.replace("-", "_")
    return {k: v for k, v in asdict(config).items() if k not in METHOD_GROUPS or k == own}


def deciding(config: RunConfig) -> dict[str, Any]:
    """Return the settings that determine the weights: without the run's folder and the number of workers."""
    nothing = {"out", "overwrite", "workers", "reading", "memory_mb", "checkpoint_steps", "tensorboard", "wandb"}
    return {k: v for k, v in settings_of(config).items() if k not in nothing}


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, (list, tuple)) else value
