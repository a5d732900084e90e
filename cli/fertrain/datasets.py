"""`fertrain datasets`: names for folders, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say

app = typer.Typer(
    help="Labeled sets and RMset roots by name.\n\n"
    "Example: fertrain datasets add ferplus --kind ferplus --path /data/ferplus",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What commands will call it.")],
    kind: Annotated[
        str,
        typer.Option(
            help="ferplus, fer2013, affectnet, rafdb, ckplus, jaffe, ferg, folder (train/CLASS/image), parquet, "
            "csv (labels.csv), or rmset (a root)."
        ),
    ],
    path: Annotated[Path, typer.Option(help="Its folder.")],
    classes: Annotated[
        str | None, typer.Option(help="For folder, parquet, csv: class names in the order of the head, a,b,c.")
    ] = None,
    drop: Annotated[str | None, typer.Option(help="Classes to leave out, a,b: `contempt` makes eight seven.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What a kind wants to know: expressions=7 (affectnet), split=image|subject, seed=N, frames=3, "
            "neutral=true (ckplus), images=original (rafdb), skip_ambiguous=true (fer2013).",
        ),
    ] = None,
    here: Annotated[bool, typer.Option(help="Write datasets.toml in this folder, not in the user's.")] = False,
) -> None:
    """Make a data set known by a name, after looking into its folder.

    Example: fertrain datasets add ferplus --kind ferplus --path /data/ferplus

    Names stand in datasets.toml here if there is one, else in the user's configuration folder.
    """
    from fertrain.datasets.registry import Entry
    from fertrain.datasets.registry import add as register

    chosen = {key: text for key, text in (("classes", classes), ("drop", drop)) if text is not None}
    chosen |= dict(_setting(text) for text in options or ())
    file = register(Entry(name, kind, path.expanduser(), chosen), here=here)
    say(f"{name} is known now, in {file}; `fertrain datasets check {name}` opens every image")


def _setting(text: str) -> tuple[str, str]:
    """One KEY=VALUE: "seed=3" -> ("seed", "3")."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"expected KEY=VALUE for --set, found '{text}'")
    return key, value


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
    quiet: QuietOption = False,
) -> None:
    """Counts per split, rule and class; missing, double and unreadable images.

    Example: fertrain datasets check ferplus --format csv

    Exits with 1 if training would stop at an image.
    """
    from fertrain.datasets.check import check as look
    from fertrain.datasets.registry import open_labeled

    with progress() as bar:
        report = look(open_labeled(name), bar)
    emit(report.counts, fmt)
    for finding in report.findings:
        say(
            f"{finding.split}: {finding.what}: {finding.n:,}" + (f", e.g. {finding.example}" if finding.example else "")
        )
    if report.broken:
        raise typer.Exit(1)


@app.command("align")
def align(
    name: Annotated[str, typer.Argument(help="A name of `datasets list`, or KIND:PATH.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder for the crops.")],
    size: Annotated[int, typer.Option(min=16, help="Side of a crop, px.")] = 260,
    widen: Annotated[float, typer.Option(min=0, help="Share of the face's width that the crop is wider.")] = 0.31,
    detector: Annotated[str, typer.Option(help="mtcnn or yunet.")] = "mtcnn",
    min_face: Annotated[float, typer.Option(help="Smallest face that is looked for, px.")] = 20,
    quiet: QuietOption = False,
) -> None:
    """Cut the faces of a labeled set out the way RMset's crops are cut.

    Example: fertrain datasets align rafdb-photographs -o data/rafdb-aligned --size 260

    For sets that come as whole photographs. Files that are no image and images without a face that is found are left
    out and named in missed.csv. The result is a set of the kind `folder`.
    """
    from fertrain.datasets.align import AlignSettings
    from fertrain.datasets.align import align as cut_all
    from fertrain.datasets.registry import open_labeled
    from rmset.parts.detect import load

    data = open_labeled(name)
    with progress() as bar:
        done = cut_all(data, out, load(detector), AlignSettings(size, widen, min_face), bar)
    emit([{"written": done.written, "missed": len(done.missed), "folder": str(out)}], Format.TABLE)
    say(f"fertrain datasets add {name}-aligned --kind folder --path {out} --classes {','.join(data.order.classes)}")
