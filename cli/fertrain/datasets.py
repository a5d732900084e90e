"""`fertrain datasets`: register, check and view data sets."""

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
    name: Annotated[str, typer.Argument(help="Name for use in commands.")],
    where: Annotated[Path | None, typer.Argument(metavar="[PATH]", help="Its folder.", show_default=False)] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="ferplus, fer2013, affectnet, rafdb, ckplus, jaffe, ferg, folder (train/CLASS/image), parquet, "
            "csv (labels.csv), packed (by `datasets pack`), or rmset (a root).",
            show_default="detected",
        ),
    ] = None,
    path: Annotated[Path | None, typer.Option(help="The folder; same as PATH.")] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="For folder, parquet, csv: class names in the order of the head, a,b,c; or pairs NAME=CLASS, "
            "1=surprise,suprise=surprise."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="For csv, parquet: names of the columns, image=pth,label=expression; also split, subject."),
    ] = None,
    drop: Annotated[
        str | None, typer.Option(help="Classes to leave out, a,b: `contempt` turns eight classes into seven.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Options of a kind: expressions=7 (affectnet), split=image|subject, seed=N, frames=3, "
            "neutral=true (ckplus), images=original (rafdb), skip_ambiguous=true (fer2013), table=FILE (csv).",
        ),
    ] = None,
    here: Annotated[bool, typer.Option(help="Write datasets.toml into this folder instead of the user's.")] = False,
) -> None:
    """Register a data set by name, after checking its folder.

    Example: fertrain datasets add ferplus /data/ferplus

    Without --kind the kind is detected and printed. Names are stored in datasets.toml of this folder if it exists, else
    in the user's configuration folder.
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
        f"{name} is registered in {file}; `fertrain datasets check {name}` opens every image, "
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
    """List the registered data sets.

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
    """Count images per split, rule and class; find missing, duplicate, damaged and unreadable ones.

    Example: fertrain datasets check ferplus --format csv

    Images are read as in training. The exit code is 1 for findings of the level error: training would stop, or learn
    wrong labels. As JSON and CSV, findings are rows with the columns finding, level, n and example.
    With --against, pictures on both sides are listed instead, and the exit code is 1 if there are any:
    `fertrain datasets check ferplus:train --against ferplus:test`.
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
    """Print pictures that are on both sides."""
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
    rule: Annotated[str | None, typer.Option(help="Rule that selects images by votes.", show_default="first")] = None,
    each: Annotated[int, typer.Option(min=1, help="Images per class and split.")] = 6,
    tile: Annotated[int, typer.Option(min=16, help="Side of an image, px.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Which images.")] = 0,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Draw a contact sheet, classes × splits, with the labels that training uses; label mix-ups become visible.

    Example: fertrain datasets show ferplus -o ferplus.png

    The sheet shows faces of the set; keep it private.
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


@app.command("pack")
def pack(
    name: Annotated[str, typer.Argument(help="A name of `datasets list`, or KIND:PATH.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder for the packed set.")],
    quiet: QuietOption = False,
) -> None:
    """Write a labeled set as a few large files, for sets of very many small ones and for slow file systems.

    Example: fertrain datasets pack affectnet -o data/affectnet-packed

    Images keep their bytes, names, labels, votes and groups, so a run on the packed set learns the same. Images that
    cannot be read are left out and named.
    """
    from fertrain.datasets.packed import pack as write
    from fertrain.datasets.registry import open_labeled

    with progress() as bar:
        done = write(open_labeled(name), out, bar)
    emit([{"images": done.images, "files": done.files, "missing": len(done.missing), "folder": str(out)}], Format.TABLE)
    for missing in done.missing[:10]:
        say(f"not packed, because it cannot be read: {missing}")
    say(f"fertrain datasets add {name}-packed --kind packed --path {out}")


@app.command("align")
def align(
    name: Annotated[str, typer.Argument(help="A name of `datasets list`, or KIND:PATH.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder for the crops.")],
    size: Annotated[int, typer.Option(min=16, help="Side of a crop, px.")] = 260,
    widen: Annotated[float, typer.Option(min=0, help="Margin of the crop, as a share of the face's width.")] = 0.31,
    detector: Annotated[str, typer.Option(help="mtcnn or yunet.")] = "mtcnn",
    min_face: Annotated[float, typer.Option(help="Smallest face to look for, px.")] = 20,
    quiet: QuietOption = False,
) -> None:
    """Crop the faces of a labeled set as in RMset.

    Example: fertrain datasets align rafdb-photographs -o data/rafdb-aligned --size 260

    For sets of whole photographs. Files that are not images, and images without a detected face, are left out and
    listed
    in missed.csv. The result is a set of the kind `folder`.
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
