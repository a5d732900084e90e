"""`rmset`: build a data set of unlabeled faces out of reaction mashup videos."""

from __future__ import annotations

import typer

from ..console import CacheOption, CacheSizeOption, VersionOption, run
from . import (
    audit,
    build,
    collect,
    demo,
    duplicates,
    layout,
    look,
    people,
    plan,
    publish,
    query,
    rebuild,
    remove,
    search,
    status,
    world,
)

app = typer.Typer(
    name="rmset",
    help="Build RMset, a data set of unlabeled faces, out of reaction mashup videos.\n\n"
    "Start with `rmset demo`. The stages are `add`, `layout`, `track`, `export`; `build` runs them all.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _all(cache: CacheOption = None, cache_size: CacheSizeOption = None, version: VersionOption = False) -> None:
    """Options of the program itself."""


for family in (
    demo,
    world,
    plan,
    search,
    collect,
    build,
    audit,
    status,
    query,
    look,
    remove,
    publish,
    rebuild,
    duplicates,
):
    family.register(app)
app.add_typer(layout.app, name="layout")
app.add_typer(people.app, name="people")


def main() -> None:
    """Entry point of the console script."""
    run(app, "rmset")
