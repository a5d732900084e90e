"""`fertrain runs`: finished and unfinished runs, by a question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, QuietOption, emit, say


def runs(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders with runs; default: runs.")] = None,
    affected_by: Annotated[
        Path | None, typer.Option("--affected-by", help="A root: the runs that learned from faces removed from it.")
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """List the runs that learned from faces removed from a root since; exit code 1 if there are any.

    Example: fertrain runs --affected-by data/rmset
    """
    from fertrain.analysis.affected import affected
    from rmset.errors import UsageError
    from rmset.root import Root

    if affected_by is None:
        raise UsageError("expected --affected-by, found none; name the root")
    if not affected_by.is_dir():
        raise UsageError(f"expected a root, found no folder {affected_by}; name the folder that `rmset` builds")
    rows = affected(Root(affected_by), folders or [Path("runs")])
    if rows or fmt is not Format.TABLE:
        emit(rows, fmt, ["run", "what", "key", "reason", "learned"])
    if rows:
        raise typer.Exit(1)
    say("no run learned from faces that were removed")
