"""The program `fertrain`. Only running commands import torch."""

from __future__ import annotations

import typer

from fertrain.allocator import keep_freed_memory

from .. import console
from . import ablate, datasets, evaluate, explain, export, pairs, predict, reactions, runs, study, train, weights, world
from .options import as_flags

app = typer.Typer(
    help="Train and evaluate facial expression recognition, from crowd votes and from reaction mashups.\n\n"
    "Example: fertrain supervised --labeled ferplus --scheme cel --model resnet10t --epochs 1 --out runs/first",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _all(
    context: typer.Context,
    quiet: console.QuietOption = False,
    cache: console.CacheOption = None,
    cache_size: console.CacheSizeOption = None,
    version: console.VersionOption = False,
) -> None:
    """Options of the program itself."""
    if context.invoked_subcommand not in ("supervised", "semi"):
        console.require_one_process(f"fertrain {context.invoked_subcommand}")


app.add_typer(datasets.app, name="datasets")
app.command("supervised", cls=console.PanelCommand)(train.supervised)
app.command("semi", cls=console.PanelCommand)(train.semi)
app.command("ablate", cls=console.PanelCommand)(ablate.ablate)
app.command("evaluate")(evaluate.evaluate)
app.command("probe")(evaluate.probe)
app.command("cross")(study.cross)
app.command("compare")(study.compare)
app.command("votes")(study.votes)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("pairs-quality")(pairs.pairs_quality)
app.command("reactions")(reactions.reactions)
app.command("runs")(runs.runs)
app.command("world")(world.world)
app.command("convert")(weights.convert)
app.command("recipes")(weights.recipes)


def main() -> None:
    """Entry point of the console script."""
    keep_freed_memory()
    console.run(app, "fertrain", as_flags)
