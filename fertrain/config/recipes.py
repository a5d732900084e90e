"""Published settings by name: one TOML file each, which names paper, command, expected score and time.

A recipe is a starting point: whatever a command line says beside it wins. `--recipe` also takes a path, so that a
recipe can be written without touching this package; it looks like a run's config.toml with four lines on top. What
such a file has measured is passed over; any other name that is no setting is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from rmset.bounded import parse_toml, read_text
from rmset.errors import UnreadableError, UsageError

from ..errors import UnknownNameError
from .run import RunConfig
from .serialization import changed, earlier_defaults

_FOLDER = "recipe_files"
_ABOUT = ("paper", "command", "expects", "time")
_NO_SETTINGS = (*_ABOUT, "measured", "made_with", "out", "overwrite")
"""What else a run's config.toml holds: not what is learned, nor where it lay."""


@dataclass(frozen=True)
class Recipe:
    """Settings with where they come from and what to expect of them."""

    paper: str
    """Whose settings."""
    command: str
    """How to run them."""
    expects: str
    """Published score, with its rule."""
    time: str
    """How long it takes, and where that was measured."""
    config: RunConfig
    """The settings."""


def names() -> list[str]:
    """List the recipes that come with the package."""
    return sorted(p.name.removesuffix(".toml") for p in files(__package__).joinpath(_FOLDER).iterdir())


def recipe(name: str) -> Recipe:
    """Read the recipe of that name, or of a file *.toml."""
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"expected a recipe file, found none at {path}; `fertrain recipes` lists those built in")
        return parse(read_text(path), name)
    if name not in names():
        raise UnknownNameError("recipe", name, names())
    return parse(files(__package__).joinpath(_FOLDER, f"{name}.toml").read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Recipe:
    """Parse a recipe."""
    try:
        values = parse_toml(text, name)
    except UnreadableError as error:
        raise UsageError(f"expected a recipe in TOML in {name}, found: {error}") from None
    if missing := [key for key in _ABOUT if not isinstance(values.get(key), str)]:
        raise UsageError(f"expected {', '.join(_ABOUT)} in the recipe {name}, found no {missing[0]}")
    # a run's config.toml is a recipe too, and repeats that run
    start = earlier_defaults(values) if "measured" in values else RunConfig()
    config = changed(start, {k: v for k, v in values.items() if k not in _NO_SETTINGS}, name)
    return Recipe(values["paper"], values["command"], values["expects"], values["time"], config)
