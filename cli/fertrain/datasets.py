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
    where: Annotated[Path | None, typer.Argument(metavar="[PATH]", help="Its folder.", show_default=False)] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="ferplus, fer2013, affectnet, rafdb, ckplus, jaffe, ferg, folder (train/CLASS/image), parquet, "
            "csv (labels.csv), or rmset (a root).",
            show_default="what is found there",
        ),
    ] = None,
    path: Annotated[Path | None, typer.Option(help="Its folder, as PATH.")] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="For folder, parquet, csv: class names in the order of the head, a,b,c; or what the set calls them, "
            "1=surprise,suprise=surprise."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="For csv, parquet: which column is what, image=pth,label=expression; also split, subject."),
    ] = None,
    drop: Annotated[str | None, typer.Option(help="Classes to leave out, a,b: `contempt` makes eight seven.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What a kind wants to know: expressions=7 (affectnet), split=image|subject, seed=N, frames=3, "
            "neutral=true (ckplus), images=original (rafdb), skip_ambiguous=true (fer2013), table=FILE (csv).",
        ),
    ] = None,
    here: Annotated[bool, typer.Option(help="Write datasets.toml in this folder, not in the user's.")] = False,
) -> None:
    """Make a data set known by a name, after looking into its folder.

    Example: fertrain datasets add ferplus /data/ferplus

    Without --kind the folder is looked into, and what was found is said. Names stand in datasets.toml here if there is
    one, else in the user's configuration folder.
    """
    from fertrain.datasets.check import evidence
    from fertrain.datasets.detect import detect
    from fertrain.datasets.registry import UNLABELED, Entry, open_entry
    from fertrain.datasets.registry import add as register

    if (where is None) == (path is None):
        raise UsageError(f"expected one folder for the data set, found {'none' if where is None else 'two'}; give PATH")
    folder = (where or path or Path()).expanduser()
    chosen = {
        key: text for key, text in (("classes", classes), ("columns", columns), ("drop", drop)) if text is not None
    }
    chosen |= dict(_setting(text) for text in options or ())
    if kind is None:
        found = detect(folder)
        kind, folder = found.kind, found.path
        say(f"{folder}: {found.why}; read as the kind {kind}")
    entry = Entry(name, kind, folder, chosen)
    file = register(entry, here=here)
    if kind != UNLABELED:
        data = open_entry(entry)
        counts = {split: len(data.load(split, data.rules()[0])) for split in data.splits()}
        say(", ".join(f"{split} {n:,}" for split, n in counts.items()) + f" images, label order {data.order.name}: "
            f"{', '.join(data.order.classes)}")  # fmt: skip
        for finding in [*data.findings(), *evidence(data)[1:]]:
            say(str(finding))
    say(
        f"{name} is known now, in {file}; `fertrain datasets check {name}` opens every image, "
        f"`fertrain datasets show {name}` shows them"
    )


def _setting(text: str) -> tuple[str, str]:
    """One KEY=VALUE: "seed=3" -> ("seed", "3")."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"expected KEY=VALUE for --set, found '{text}'")
    return key, value


@app.command("list")
def list_(fmt: FormatOption = Format.TABLE) -> None:
    """List the data sets that have a name.

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
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:SPLIT]",
            help="Look for pictures that are also there: copied, mirrored, saved again or resized. NAME itself "
            "compares its own splits; repeatable.",
        ),
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Count images per split, rule and class; find missing, double, damaged and unreadable ones.

    Example: fertrain datasets check ferplus --format csv

    Images are read as training reads them. Exits with 1 at a finding of the level error: training would stop at it, or
    learn what is wrong. As JSON and CSV, findings are rows with the columns finding, level, n and example.
    With --against nothing else is looked at, every picture that is on both sides is a row, and the exit code is 1 if
    there is one: `fertrain datasets check ferplus:train --against ferplus:test`.
    """
    from fertrain.datasets.check import check as look
    from fertrain.datasets.registry import open_labeled

    if against:
        _compare(name, against, fmt)
        return
    with progress() as bar:
        report = look(open_labeled(name), bar)
    if fmt is Format.TABLE:
        emit(report.counts, fmt)
        said = [row for row in report.rows() if row["finding"]]
        emit(said, fmt, columns=["split", "finding", "level", "n", "example"])
    else:
        emit(report.rows(), fmt)
        for finding in report.findings:
            say(str(finding))
    if report.broken:
        raise typer.Exit(1)


def _compare(name: str, against: list[str], fmt: Format) -> None:
    """Pictures that are on both sides."""
    from fertrain.datasets.overlap import overlap
    from fertrain.datasets.registry import splits_of

    columns = ["in", "image", "label", "also_in", "as", "other_label", "how", "similarity"]
    with progress() as bar:
        found = overlap(splits_of(name), [split for other in against for split in splits_of(other)], bar)
    emit([pair.row() for pair in found], fmt, columns=columns)
    counts: dict[str, int] = {}
    for pair in found:
        counts[pair.how] = counts.get(pair.how, 0) + 1
    text = ", ".join(f"{n:,} {how}" for how, n in counts.items())
    say(f"{len(found):,} pictures of {name} are also in {', '.join(against)}" + (f": {text}" if text else ""))
    if found:
        raise typer.Exit(1)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A name of `datasets list`, or KIND:PATH.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG.", show_default="NAME-sheet.png")] = None,
    rule: Annotated[str | None, typer.Option(help="Which images, where there are votes.", show_default="first")] = None,
    each: Annotated[int, typer.Option(min=1, help="Images of each class and split.")] = 6,
    tile: Annotated[int, typer.Option(min=16, help="Side of an image, px.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Which images.")] = 0,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Draw a contact sheet, classes × splits, as they will be learned: the look that catches every label mix-up.

    Example: fertrain datasets show ferplus -o ferplus.png

    The sheet shows faces of the set: it is for you.
    """
    from fertrain.datasets.registry import open_labeled
    from fertrain.datasets.sheet import draw

    data = open_labeled(name)
    file = out or Path(f"{data.name}-sheet.png")
    if file.is_dir():
        raise UsageError(f"expected a PNG to write, found the folder {file}; give -o {file / 'sheet.png'}")
    with progress() as bar:
        drawn = draw(data, file, rule=rule, each=each, tile=tile, seed=seed, progress=bar)
    emit(drawn.rows, fmt)
    say(f"written: {drawn.file}")


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
