"""Field types of settings: ranges and choices, checked whenever a group of settings is made.

    lr: NotNegative = 1e-3                                        # a number in a range
    schedule: Literal["cosine", "constant"] = "cosine"            # one of a few names

The command line reads the same types, so an option's type, choices and range are defined only here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from rmset.errors import UsageError

from ..errors import UnknownNameError


@dataclass(frozen=True)
class Range:
    """Range of a number. NaN is in no range."""

    words: str
    """The range in words, for messages."""
    holds: Callable[[float], bool]
    """Whether a number is in the range."""


_INFINITY = float("inf")

Count = Annotated[int, Range("1 or more", lambda x: x >= 1)]
Whole = Annotated[int, Range("0 or more", lambda x: x >= 0)]
NotNegative = Annotated[float, Range("0 or more", lambda x: 0 <= x < _INFINITY)]
Positive = Annotated[float, Range("above 0", lambda x: 0 < x < _INFINITY)]
Share = Annotated[float, Range("from 0 to 1", lambda x: 0 <= x <= 1)]
BelowOne = Annotated[float, Range("from 0 to below 1", lambda x: 0 <= x < 1)]
Within = Annotated[float, Range("between 0 and 1", lambda x: 0 < x < 1)]
SCALES = (0.5, 2.0)
"""Smallest and largest scale at test."""
MOST_SCALES = 16
"""Most scales at test."""
Scale = Annotated[float, Range("from 0.5 to 2", lambda x: SCALES[0] <= x <= SCALES[1])]
Seed = Annotated[int, Range("from 0 to 2^63 - 1", lambda x: 0 <= x < 2**63)]


@dataclass(frozen=True)
class FieldType:
    """Parsed type of a setting."""

    base: type
    """`int`, `float`, `bool`, `str`, `tuple`, or a group."""
    optional: bool
    """Whether None is allowed."""
    range: Range | None = None
    """Range of a number."""
    choices: tuple[str, ...] = ()
    """Choices of a name; empty if any name is allowed."""
    item: type | None = None
    """Type of the items of a tuple."""


@dataclass(frozen=True)
class Settings:
    """Base of the groups of settings.

    Raises:
        UsageError: a number out of its range; names the setting, as `optim.lr`.
        UnknownNameError: a name that is not among the choices.
    """

    GROUP: ClassVar[str] = ""
    """Prefix of the field names, such as "optim."."""

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():  # type: ignore[arg-type]
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if kind.range is not None and number is not None and not kind.range.holds(number):
                    raise UsageError(f"expected `{self.GROUP}{name}` {kind.range.words}, found {number:g}")
            if kind.choices and value is not None and value not in kind.choices:
                raise UnknownNameError(f"`{self.GROUP}{name}`", value, kind.choices)


@lru_cache(maxsize=64)
def field_types(settings: type) -> dict[str, FieldType]:
    """Types of the fields of a group by name."""
    hints = get_type_hints(settings, include_extras=True)
    return {f.name: _taken_apart(hints[f.name]) for f in fields(settings)}


def _taken_apart(hint: Any) -> FieldType:
    parts = list(_alternatives(hint))
    optional = NoneType in parts
    (main,) = [part for part in parts if part is not NoneType]
    found: Range | None = None
    if get_origin(main) is Annotated:
        main, found = get_args(main)
    if get_origin(main) is Literal:
        return FieldType(str, optional, choices=get_args(main))
    if get_origin(main) is tuple:
        items = get_args(main)
        inner = _taken_apart(items[0]) if items[-1] is Ellipsis else FieldType(tuple, optional=False)
        return FieldType(tuple, optional, inner.range, item=inner.base)
    return FieldType(main, optional, found)


def _alternatives(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, UnionType):
        yield from get_args(hint)
    else:
        yield hint
