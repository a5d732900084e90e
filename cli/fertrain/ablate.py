"""`fertrain ablate`: a grid of runs into one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, QuietOption, emit, progress, say
from . import options as o


@o.with_settings("ablate")
def ablate(
    grid: Annotated[
        str,
        typer.Argument(
            help="A grid.toml, or a built-in one: rmfer, rivals, candidates, schemes, label-embedding, claim, "
            "noisy-labels."
        ),
    ],
    seeds: Annotated[
        int | None, typer.Option(help="Seeds 0 to N − 1.", show_default="the grid's", rich_help_panel=o.METHOD)
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="VARIANT", help="Run only these variants; repeatable.", rich_help_panel=o.METHOD
        ),
    ] = None,
    sets: o.Sets = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs at once, each with its share of the cores.", rich_help_panel=o.METHOD)
    ] = 1,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the runs and the tables.", rich_help_panel=o.OUTPUT)
    ] = Path("runs/ablation"),
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
    *,
    given: Mapping[str, Any],
) -> None:
    """Run every variant with every seed; write means and spreads to table.md, table.csv and table.json in --out.

    Example: fertrain ablate rmfer --labeled ferplus --labels 4000 --unlabeled rmset --seeds 3 --out runs/ablation

    Options change the common settings; a variant's own settings override them. Finished runs are not repeated, so the
    same command resumes; small networks train faster with --jobs 2. A grid is a TOML file of settings and variants;
    `fertrain.analysis.compare.ablation` shows one.

    The grid claim takes a set that names its subjects, or generated:N as --labeled: it makes worlds (`fertrain world
    --identity`), chooses rates on tuning people, and compares on people never seen; tables are people.md, .csv, .json.
    """
    from fertrain.analysis.compare.ablation import ablate as run_grid
    from fertrain.analysis.compare.ablation import read
    from fertrain.analysis.compare.people import ablate_people

    plan = read(grid)
    plan = replace(
        plan, start=o.settings(plan.start, given, sets), seeds=plan.seeds if seeds is None else tuple(range(seeds))
    )
    with progress() as bar:
        outcome = (ablate_people if plan.people else run_grid)(plan, out, only or [], bar, o.talk, jobs)
    emit(outcome.rows, fmt, title=plan.about)
    say(f"written: {', '.join(str(path) for path in outcome.files)}")
    if outcome.failed:
        raise typer.Exit(1)
