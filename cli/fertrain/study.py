"""`fertrain cross`, `compare` and `votes`: runs × data sets, runs against runs, agreement of taggers."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, QuietOption, emit, progress, say


class Measure(StrEnum):
    """Measure to compare."""

    OVERALL = "overall_accuracy"
    AVERAGE = "average_accuracy"


Runs = Annotated[list[Path], typer.Argument(help="Run folders.")]


def cross(
    runs: Runs,
    on: Annotated[list[str], typer.Option(help="NAME or NAME:SPLIT; may be given several times.")],
    eval_rule: Annotated[str, typer.Option(help="Rule that selects images by votes.")] = "majority",
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Evaluate every run on every data set, over their common classes.

    Example: fertrain cross runs/ferplus runs/rafdb --on ferplus:valid --on rafdb:test --format csv
    """
    from fertrain.analysis.compare.cross_dataset import cross as table

    with progress() as bar:
        rows = table(runs, on, eval_rule, bar)
    emit(rows, fmt)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs (of --runs N), or single runs; first: baseline.")],
    measure: Annotated[
        Measure, typer.Option(help="Accuracy over all images, or the mean of class recalls.")
    ] = Measure.OVERALL,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write a page, x.html.")] = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Compare groups of runs: means and spreads over seeds, and t-tests against the first group.

    Example: fertrain compare runs/mv runs/pld runs/cel -o comparison.html

    The tests are Welch's, and paired over common seeds. All groups must have counted the same images.
    """
    from fertrain.analysis.compare.page import write
    from fertrain.analysis.compare.significance import group, table
    from fertrain.run_folder import told_apart

    groups = [replace(group(path, measure), name=name) for path, name in zip(runs, told_apart(runs), strict=True)]
    rows = table(groups)
    emit(rows, fmt, title=f"{measure}: {groups[0].counted}")
    if out is not None:
        write(groups, rows, measure, out)
        say(f"page: {out}")


def votes(
    name: Annotated[str, typer.Argument(help="A FERPlus data set: a name of `datasets list`, or ferplus:PATH.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the plot and the sheet.")] = Path("votes"),
    draws: Annotated[int, typer.Option(min=1, help="Draws per image and number of taggers.")] = 20,
    disputed: Annotated[int, typer.Option(min=0, help="Images on the sheet of the most disputed; 0 for none.")] = 48,
    split: Annotated[str | None, typer.Option(help="Only this split.", show_default="all")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Measure agreement by number of taggers, the human baseline, and the most disputed images.

    Example: fertrain votes ferplus -o votes

    Agreement: k votes of an image, drawn without replacement, have the same plurality as all ten; ties among the k are
    broken fairly, images whose ten votes tie are left out. The paper gives 46/67/80 % without defining the measure.
    The sheet shows the data set's own photographs; do not publish it.
    """
    from fertrain.analysis.annotators import study

    with progress() as bar:
        found = study(name, out, draws=draws, disputed=disputed, split=split, seed=seed, progress=bar)
    emit([vars(a) for a in found.agreements], fmt)
    say(f"human baseline: one vote agrees with the plurality of the others in {found.human:.2%} of "
        f"{found.human_images:,} images")  # fmt: skip
    say(f"written: {', '.join(str(p) for p in found.files)}")
    if found.unreadable:
        say(
            f"{found.unreadable} of the images on the sheet cannot be read; `fertrain datasets check {name}` names them"
        )
