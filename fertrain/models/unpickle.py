"""Tensors from pickles whose classes are not installed.

Every class that cannot be imported is replaced by a stand-in, which accepts everything that a pickle does to an
object: arguments, state (`__dict__`, `__slots__`, `__setstate__`), items of a dict or list subclass, members of an
enumeration. The tensors are then collected from the stand-ins. All other code in the file runs.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from rmset.bounded import open_regular

from ..errors import WeightsError


class _Members(type):
    """Metaclass whose attributes are stand-ins: members of an enumeration are pickled by name."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls(name)


class StandIn(metaclass=_Members):
    """Stand-in for an object of a missing class; holds its pickled state and has no behavior."""

    args: tuple[Any, ...]
    items: dict[Any, Any]
    listed: list[Any]
    state: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        made = object.__new__(cls)
        made.args, made.items, made.listed, made.state = args, {}, [], dict(kwargs)
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> StandIn:
        return StandIn(self, *args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def append(self, value: Any) -> None:
        """As a list subclass has it."""
        self.listed.append(value)

    def extend(self, values: Any) -> None:
        """As a list subclass has it."""
        self.listed += list(values)

    def add(self, value: Any) -> None:
        """As a set subclass has it."""
        self.listed.append(value)

    def __setstate__(self, state: Any) -> None:
        # a pair for classes with slots: (state of __dict__, state of the slots)
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                self.state.update({str(k): v for k, v in part.items()})
            elif part is not None:
                self.listed.append(part)


def _rebuilt(cls: Any, base: Any, state: Any) -> Any:
    """Replace `copyreg._reconstructor`, used by pickles of protocols 0 and 1."""
    if isinstance(cls, _Members):
        made = cls()
        if isinstance(state, Mapping):
            made.items.update(state)
        elif isinstance(state, (list, tuple, set)):
            made.listed += list(state)
        return made
    made = object.__new__(cls) if base is object else base.__new__(cls, state)
    if base is not object and base.__init__ is not object.__init__:
        base.__init__(made, state)
    return made


class _Unpickler(pickle.Unpickler):
    """Unpickler that replaces missing classes by stand-ins."""

    stood_in: dict[str, Any]

    def find_class(self, module: str, name: str) -> Any:
        if module in ("copyreg", "copy_reg") and name == "_reconstructor":
            return _rebuilt
        full = f"{module}.{name}"
        if full in self.stood_in:
            return self.stood_in[full]
        try:
            return super().find_class(module, name)
        except Exception:
            # absent, or a module that fails on import
            self.stood_in[full] = _Members(name.rpartition(".")[2], (StandIn,), {"__module__": module})
            return self.stood_in[full]


def load_trusted(path: Path) -> tuple[object, list[str]]:
    """Load a file of `torch.save`, and list the classes that are not installed. Runs the code in the file.

    Raises:
        WeightsError: the file cannot be read.
    """
    stood_in: dict[str, Any] = {}
    unpickler = type("Unpickler", (_Unpickler,), {"stood_in": stood_in})
    made = ModuleType("fertrain_trusted_pickle")
    made.Unpickler = unpickler  # type: ignore[attr-defined]
    made.load = lambda file, **options: unpickler(file, **options).load()  # type: ignore[attr-defined]
    try:
        with open_regular(path) as file:
            data = io.BytesIO(file.read())
        content = torch.load(data, map_location="cpu", weights_only=False, pickle_module=made)
    except Exception as error:
        # foreign code can raise anything
        raise WeightsError(
            f"expected a file of torch.save at {path}, found: {type(error).__name__}: {error}"
        ) from error
    return content, sorted(stood_in)


def named_tensors(content: object) -> dict[str, Tensor]:
    """Tensors of a module (or its stand-in) or of a mapping, by their names in a state dict."""
    if isinstance(content, nn.Module) and not _stood_in_below(content):
        return dict(content.state_dict())
    return dict(_walk(content, "", set()))


def mapping_of(content: object) -> Mapping[Any, Any] | None:
    """Return a mapping, or the items of one whose class is not installed; None for anything else."""
    if isinstance(content, Mapping):
        return content
    if isinstance(content, StandIn) and content.items:
        return content.items
    return None


def _stood_in_below(module: nn.Module) -> bool:
    return any(not isinstance(m, nn.Module) for m in _modules_below(module))


def _modules_below(module: Any) -> Iterator[Any]:
    yield module
    for child in (vars(module).get("_modules") or {}).values() if isinstance(module, nn.Module) else ():
        if child is not None:
            yield from _modules_below(child)


def _walk(content: object, prefix: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield prefix.rstrip("."), content.detach()
        return
    if id(content) in seen:
        return
    seen = seen | {id(content)}
    if isinstance(content, (StandIn, nn.Module)):
        values = content.state if isinstance(content, StandIn) else vars(content)
        if "_parameters" in values:
            # as nn.Module pickles itself
            passing = set(values.get("_non_persistent_buffers_set") or ())
            groups = [values["_parameters"], {k: v for k, v in values["_buffers"].items() if k not in passing},
                      values["_modules"]]  # fmt: skip
        else:
            groups = [values]
        if isinstance(content, StandIn):
            groups += [content.items, dict(enumerate(content.args)), dict(enumerate(content.listed))]
    elif isinstance(content, Mapping):
        groups = [content]
    elif isinstance(content, (list, tuple)) and prefix:
        groups = [dict(enumerate(content))]
    else:
        return
    for group in groups:
        for key, value in group.items():
            yield from _walk(value, f"{prefix}{key}.", seen)
