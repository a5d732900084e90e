"""`fertrain pairs-quality`: what candidates are worth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say


class By(StrEnum):
    """Which table is printed; all are written."""

    KIND = "kind"
    DISTANCE = "distance"
    PAIR = "pair"
    PERSON = "person"
    RETRIEVAL = "retrieval"


def pairs_quality(
    run: Annotated[Path, typer.Argument(help="A run folder: its similarity refines candidates.")],
    root: Annotated[
        Path | None, typer.Option(help="The data set.", show_default="$RMSET_ROOT, else data/rmset")
    ] = None,
    judge: Annotated[
        Path | None, typer.Option(help="Another run, which says what faces show.", show_default="the same run")
    ] = None,
    by: Annotated[By, typer.Option(help="Which table to print; all are written.")] = By.KIND,
    anchors: Annotated[int, typer.Option(min=1, help="How many are drawn.")] = 200,
    d: Annotated[int, typer.Option("--d", min=0, help="Positives: at most so many steps away.")] = 5,
    d_far: Annotated[int, typer.Option(min=1, help="Negatives: more than so many steps away.")] = 30,
    gamma: Annotated[float, typer.Option(min=0, max=1, help="Share of the candidates that refinement keeps.")] = 0.1,
    max_lag: Annotated[int, typer.Option(min=1, help="Longest delay that is looked for, steps.")] = 30,
    fraction: Annotated[float, typer.Option(help="Share of the root's videos.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode; 0: this one.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of tables and figure.", show_default="RUN/pairs-quality")
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """How often candidates show what their anchor shows, and who reacts how much later than whom.

    Example: fertrain pairs-quality runs/rmfer --root data/rmset --by distance

    `agree` is as the run sees it, beside what chance gives: the same people at any moment. Agreement in N is better
    low. A delay is found where the expressions of two people go together best; delays.json then serves
    `fertrain semi --candidates delay --delays`. A root of known truth (`rmset world`) also shows how far that is right.
    """
    from fertrain.analysis.pairs.plots import pairs_figure
    from fertrain.analysis.pairs.quality import QualityConfig
    from fertrain.analysis.pairs.quality import pairs_quality as measure
    from fertrain.config.methods import RmferConfig
    from rmset.root import Root

    config = QualityConfig(anchors, RmferConfig(d=d, d_far=d_far, gamma=gamma), max_lag, fraction, seed, workers)
    folder = out or run / "pairs-quality"
    with progress() as bar:
        found = measure(run, Root.find(root), folder, config, judge=judge, progress=bar)
    pairs_figure(found).savefig(folder / "pairs-quality.png", dpi=130)
    tables = {By.KIND: found.kinds, By.DISTANCE: found.distances, By.PAIR: found.pairs, By.PERSON: found.people,
              By.RETRIEVAL: found.retrieval}  # fmt: skip
    if by is By.RETRIEVAL and not found.retrieval:
        raise UsageError(
            "expected a root of known truth for --by retrieval, found none in it; `rmset world` and `fertrain world` "
            "write such roots"
        )
    emit(tables[by], fmt)
    if not found.about["projection"]:
        say(f"{run} has learned no projection; candidates are compared by its features themselves")
    unknown = sum(row["delay"] is None for row in found.people)
    if unknown:
        say(f"{unknown:,} of {len(found.people):,} people correlate with no one; they have no delay")
    if found.delays.get("pairs"):
        say(f"delays: off by {found.delays['mean_error']:.2f} steps on average, {found.delays['within_one']:.0%} of "
            f"{found.delays['pairs']:,} pairs at most one step; all alike would be off by "
            f"{found.delays['mean_without']:.2f}")  # fmt: skip
    say(f"written: {', '.join(str(folder / n) for n in ('pairs-quality.json', 'delays.json', 'pairs-quality.png'))}")
