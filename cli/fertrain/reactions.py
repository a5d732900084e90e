"""`fertrain reactions`: a root's expressions over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, QuietOption, emit, progress, say


def reactions(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    root: Annotated[
        Path | None, typer.Option(help="The data set.", show_default="$RMSET_ROOT, else data/rmset")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of tables, pictures and page.", show_default="RUN/reactions"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run in the root's table `predictions`.", show_default="the run folder's"),
    ] = None,
    moments: Annotated[int, typer.Option(min=0, help="Moments of strongest agreement to show.")] = 8,
    window: Annotated[float, typer.Option(help="Seconds over which agreement is averaged for a moment.")] = 1.0,
    shuffles: Annotated[int, typer.Option(min=1, help="Shuffled time lines of the null model.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the shuffles.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode; 0: this one.")] = 0,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Describe a root's expressions over time: people, synchrony against chance, moments of agreement.

    Example: fertrain reactions runs/cel --root data/rmset -o reactions

    Predictions of every crop are written into the root, where `rmset sql` reads them as the table `predictions`. The
    folder gets tables (CSV, Parquet), pictures and reactions.html; it shows faces of the root, keep it private.
    Synchrony is the mean correlation of two people of a video; the null model shifts each person's time line in a
    circle.
    """
    from fertrain.analysis.reactions.report import ReactionConfig
    from fertrain.analysis.reactions.report import reactions as describe
    from rmset.root import Root

    config = ReactionConfig(shuffles, moments, window, seed, workers)
    with progress() as bar:
        found = describe(run, Root.find(root), out or run / "reactions", config, name=name, progress=bar)
    emit(found.synchrony, fmt)
    say(f"predictions: {found.run}, in the root's table `predictions`")
    say(f"written: {(out or run / 'reactions') / 'reactions.html'} and {len(found.files) - 1:,} other files")
