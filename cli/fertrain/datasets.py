"""`fertrain datasets`: names for folders, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, emit, progress, say
from . import options as o

app = typer.Typer(
    help="Labelled sets and RMset roots by name.\n\n"
    "Example: fertrain datasets add ferplus --kind ferplus --path /data/ferplus",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What commands will call it.")],
    kind: Annotated[str, typer.Option(help="ferplus, folder (train/CLASS/image), or rmset (a root).")],
    path: Annotated[Path, typer.Option(help="Its folder.")],
    classes: Annotated[
        str | None, typer.Option(help="For a folder: class names in the order of the head, a,b,c.")
    ] = None,
    here: Annotated[bool, typer.Option(help="Write datasets.toml in this folder, not in the user's.")] = False,
) -> None:
    """Make a data set known by a name, after looking into its folder.

    Example: fertrain datasets add ferplus --kind ferplus --path /data/ferplus

    Names stand in datasets.toml here if there is one, else in the user's configuration folder.
    """
    from fertrain.datasets.registry import Entry
    from fertrain.datasets.registry import add as register

    options: dict[str, Any] = {"classes": [c.strip() for c in classes.split(",")]} if classes else {}
    file = register(Entry(name, kind, path.expanduser(), options), here=here)
    say(f"{name} is known now, in {file}; `fertrain datasets check {name}` opens every image")


@app.command("list")
def list_(fmt: FormatOption = Format.TABLE) -> None:
    """Data sets that can be named.

    Example: fertrain datasets list
    """
    from fertrain.datasets.registry import entries

    rows = [
        {"name": e.name, "kind": e.kind, "path": str(e.path), "found": e.path.is_dir(), "file": str(e.file)}
        for e in entries().values()
    ]
    emit(rows, fmt, columns=["name", "kind", "path", "found", "file"])


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A name of `datasets list`, or KIND:PATH.")],
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Counts per split, rule and class; missing, double and unreadable images.

    Example: fertrain datasets check ferplus --format csv

    Exits with 1 if training would stop at an image.
    """
    from fertrain.datasets.check import check as look
    from fertrain.datasets.registry import open_labelled

    from ..console import set_quiet

    if quiet:
        set_quiet(True)
    with progress() as bar:
        report = look(open_labelled(name), bar)
    emit(report.counts, fmt)
    for finding in report.findings:
        say(
            f"{finding.split}: {finding.what}: {finding.n:,}" + (f", e.g. {finding.example}" if finding.example else "")
        )
    if report.broken:
        raise typer.Exit(1)
