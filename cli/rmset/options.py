"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo

from ..console import QuietOption as QuietOption

if TYPE_CHECKING:
    from rmset.root import Root

RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="The data set, a folder or an address s3://, gs://, az://; else $RMSET_ROOT, else data/rmset.",
        show_default=False,
    ),
]
VideosArgument = Annotated[list[str] | None, typer.Argument(metavar="[VIDEO]...", help="Video ids; all if omitted.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Videos processed in parallel.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again even if nothing changed.")]


def find_root(path: Path | None) -> Root:
    """Find the root: the path given, else `$RMSET_ROOT`, else `data/rmset`."""
    from rmset.root import Root

    return Root.find(path)


def takes(**made: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of config functions; it gets the configs by name.

    @takes(config=export_config)
    def export(videos: VideosArgument = None, *, config: ExportConfig) -> None: ...
    """

    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in _parameters(function, unknown=made) if p.name not in made]
        lent = {name: _parameters(maker) for name, maker in made.items()}
        arguments = [p for p in own if isinstance(p.annotation.__metadata__[0], ArgumentInfo)]
        options = [p for p in own if p not in arguments]
        parameters = [*arguments, *(p for found in lent.values() for p in found), *options]

        @functools.wraps(function)
        def call(**values: Any) -> None:
            configs = {name: made[name](**{p.name: values.pop(p.name) for p in found}) for name, found in lent.items()}
            function(**values, **configs)

        # Typer reads both attributes
        call.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        return call

    return wrap


def _parameters(function: Callable[..., Any], unknown: Iterable[str] = ()) -> list[inspect.Parameter]:
    """Resolve annotations, except those of `unknown` parameters and the result: their classes are imported late."""
    late = {function.__annotations__[name]: object for name in (*unknown, "return")}
    hints = get_type_hints(function, localns=late, include_extras=True)
    return [p.replace(annotation=hints[p.name]) for p in inspect.signature(function).parameters.values()]
