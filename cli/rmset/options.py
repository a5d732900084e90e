"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import QuietOption as QuietOption

if TYPE_CHECKING:
    from rmset.root import Root

RootOption = Annotated[
    Path | None,
    typer.Option("--root", help="The data set; else $RMSET_ROOT, else data/rmset.", show_default=False),
]
VideosArgument = Annotated[list[str] | None, typer.Argument(metavar="[VIDEO]...", help="Video ids; all if omitted.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Videos worked on at once.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again even if nothing has changed.")]


def find_root(path: Path | None) -> Root:
    """The root that is meant."""
    from rmset.root import Root

    return Root.find(path)
