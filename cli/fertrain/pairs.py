"""`fertrain pairs-quality`: quality of candidates."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from rmset.errors import UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say


class By(StrEnum):
    """Table to print; all are written."""

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
        Path | None, typer.Option(help="Another run, used to classify the faces.", show_default="the same run")
    ] = None,
    by: Annotated[By, typer.Option(help="Table to print; all are written.")] = By.KIND,
    anchors: Annotated[int, typer.Option(min=1, help="Number of anchors to draw.")] = 200,
    d: Annotated[int, typer.Option("--d", min=0, help="Positives are at most this many steps away.")] = 5,
    d_far: Annotated[int, typer.Option(min=1, help="Negatives are more than this many steps away.")] = 30,
    gamma: Annotated[float, typer.Option(min=0, max=1, help="Share of the candidates that refinement keeps.")] = 0.1,
    max_lag: Annotated[int, typer.Option(min=1, help="Longest delay to look for, steps.")] = 30,
    fraction: Annotated[float, typer.Option(help="Share of the root's videos.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option(help="People: a split by person, as in `rmset publish`.", show_default="everybody"),
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Of the splits.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode; 0: this one.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of tables and figure.", show_default="RUN/pairs-quality")
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Measure how often candidates share their anchor's expression, and the delays between people.

    Example: fertrain pairs-quality runs/rmfer --root data/rmset --by distance

    `agree` uses the run's predictions; chance is the agreement of the same people at any moment. Agreement in N should
    be low. The delay of two people maximizes the correlation of their expressions; delays.json is the input of
    `fertrain semi --candidates delay --delays`. For roots with known truth (`rmset world`), true values are added.
    """
    from fertrain.analysis.pairs.plots import pairs_figure
    from fertrain.analysis.pairs.quality import QualityConfig
    from fertrain.analysis.pairs.quality import pairs_quality as measure
    from fertrain.config.methods import RmferConfig
    from fertrain.files import write_figure
    from rmset.root import Root

    rules = RmferConfig(d=d, d_far=d_far, gamma=gamma)
    config = QualityConfig(anchors, rules, max_lag, fraction, seed, workers, split, split_seed)
    folder = out or run / "pairs-quality"
    with progress() as bar:
        found = measure(run, Root.find(root), folder, config, judge=judge, progress=bar)
    write_figure(folder / "pairs-quality.png", pairs_figure(found), dpi=130)
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
