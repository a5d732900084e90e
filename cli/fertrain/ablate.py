"""`fertrain ablate`: a grid of runs into one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, progress, say, set_quiet
from . import options as o
from .settings import settings


def ablate(
    grid: Annotated[
        str, typer.Argument(help="A grid.toml, or a built-in one: rmfer, rivals, candidates, schemes, label-embedding.")
    ],
    labeled: Annotated[str | None, typer.Option(help="Labeled set of all variants.", show_default="the grid's")] = None,
    labels: o.Budget = None,
    labels_file: o.LabelsFile = None,
    unlabeled: Annotated[
        str | None, typer.Option(help="Unlabeled images of all variants.", show_default="the grid's")
    ] = None,
    root: o.Root = None,
    model: Annotated[
        str | None, typer.Option(help="Network of all variants.", show_default="the grid's, else resnet10t")
    ] = None,
    image_size: o.ImageSize = None,
    pretrained: o.Pretrained = None,
    weights: o.Weights = None,
    images: o.Images = None,
    sets: o.Sets = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds 0 to N − 1.", show_default="the grid's")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="VARIANT", help="Run only these variants; repeatable.")
    ] = None,
    device: o.Device = None,
    workers: o.Workers = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the runs and the tables.")] = Path(
        "runs/ablation"
    ),
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Run seeds × variants and write one table with means and spreads: table.md, table.csv, table.json in --out.

    Example: fertrain ablate rmfer --labeled ferplus --labels 4000 --unlabeled rmset --seeds 3 --out runs/ablation

    Options change what all variants share; a variant's own settings win. Finished runs are not repeated, so the same
    command goes on where it was stopped. A grid is a TOML file of settings and variants;
    `fertrain.analysis.compare.ablation` shows one.
    """
    from fertrain.analysis.compare.ablation import ablate as run_grid
    from fertrain.analysis.compare.ablation import read

    given = dict(locals())
    if quiet:
        set_quiet(True)
    plan = read(grid)
    plan = replace(plan, start=settings(plan.start, given), seeds=plan.seeds if seeds is None else tuple(range(seeds)))
    with progress() as bar:
        outcome = run_grid(plan, out, only or [], bar, say)
    emit(outcome.rows, fmt, title=plan.about)
    say(f"written: {', '.join(str(path) for path in outcome.files)}")
    if outcome.failed:
        raise typer.Exit(1)
