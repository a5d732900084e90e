"""`rmset publish`: write a release of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, progress, say
from .options import QuietOption, RootOption, find_root


def publish(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the release; missing or empty.")],
    name: Annotated[str, typer.Option("--name", help="Title of the data set.")] = "RMset",
    version: Annotated[str, typer.Option("--release-version", help="Version of the release.")] = "1",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the splits by person.")] = 0,
    persons: Annotated[
        bool, typer.Option("--persons", help="Also publish who is the same person in several videos.")
    ] = False,
    with_titles: Annotated[
        bool, typer.Option("--with-titles", help="Also publish titles, uploaders and channels.")
    ] = False,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Keep the names of local files in the ids of their videos.")
    ] = False,
    with_pixels: Annotated[
        Path | None,
        typer.Option(
            "--with-pixels",
            metavar="CONSENT",
            help="Also publish the crops of the people in a consent file: CSV with video_id,person_id.",
        ),
    ] = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write a release without pixels: ids, addresses, boxes, settings, splits, datasheet. Others rebuild it.

    Unfinished videos are left out; removed people are in no table. A scan at the end finds no picture, embedding,
    title or name, or nothing is published.

    Example: rmset publish -o release --name "Sad mashups"
    """
    from rmset import release

    place = find_root(root)
    options = release.Options(name, version, seed, persons, with_titles, with_names, with_pixels)
    with progress() as report:
        done = release.publish(place, output, options, progress=report)
    for line in done.left_out:
        say(line)
    rows = [{"what": what, "files": count, "bytes": size} for what, (count, size) in done.files.items()]
    emit(rows, format, ["what", "files", "bytes"])
    facts = done.facts
    say(f"{output}: {facts.videos} videos, {facts.people} people, {facts.faces} faces; splits by {facts.split_by}")
    say("fill in the gaps of README.md, datasheet.md and CITATION.cff; `rmset rebuild` makes the crops again")


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(publish)
