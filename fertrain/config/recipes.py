"""Published settings by name: one TOML file each, with paper, command, expected score and time.

A recipe is a starting point: other options of the command line override it. `--recipe` also takes the path of your
own recipe: a run's config.toml with four lines on top. Measurements in such a file are ignored; any other unknown
name is an error.
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
"""Keys of a run's config.toml that are not settings: measurements and paths."""


@dataclass(frozen=True)
class Recipe:
    """Settings with their origin and the expected score."""

    paper: str
    """The paper."""
    command: str
    """The command that runs them."""
    expects: str
    """Published score, with its rule."""
    time: str
    """Duration, and the machine it was measured on."""
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
    # a run's config.toml is also a valid recipe, and repeats that run
    start = earlier_defaults(values) if "measured" in values else RunConfig()
    config = changed(start, {k: v for k, v in values.items() if k not in _NO_SETTINGS}, name)
    return Recipe(values["paper"], values["command"], values["expects"], values["time"], config)
