"""`rmset people`: which tracks of all videos show the same person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, FormatOption, emit, progress, say
from .options import QuietOption, RootOption, find_root

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmset.parts.identity import Embedder
    from rmset.people import Suggestion
    from rmset.read.persons import Row

app = typer.Typer(
    name="people",
    help="Link the tracks of all videos into persons: link, merge, split, show.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
EmbedderOption = Annotated[
    str,
    typer.Option(
        "--embedder", help="Face embedder: dlib (extra `identity`), a file .onnx or .pt; auto: dlib if it is installed."
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold", help="Distance below which tracks are linked; default: 0.85 of the embedder's for one person."
    ),
]
_COLUMNS = ["person_key", "video_id", "person_id", "similarity", "source"]
_PAIR = ["person_key", "other_key", "similarity", "track", "other_track"]


@app.command()
def link(
    embedder: EmbedderOption = "auto",
    threshold: ThresholdOption = None,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compute face embeddings of all tracks, and link those of one person.

    Embeddings are biometric data: this command stores them in the data set, `rmset remove` deletes them. Links by hand
    are never undone, and people seen at the same time in one video never linked.

    Example: rmset people link
    """
    from rmset import people

    place = find_root(root)
    place.select(None)
    with progress() as report:
        found = people.link(place, _embedder(embedder), threshold=threshold, progress=report)
    for row in found.lost:
        say(f"{row.video_id}:{row.person_id}: its track is gone, and with it the assignment to {row.person_key}")
    many = sum(len({row.video_id for row in rows}) > 1 for rows in found.persons.by_key.values())
    say(
        f"{len(found.persons)} tracks of {len(found.persons.by_key)} persons, {many} of them in several videos; "
        f"{len(found.suggestions)} more links to look at: `rmset people show --suggested`"
    )


@app.command()
def merge(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Persons by key, or tracks as VIDEO:PERSON.")],
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make one person of several, by hand.

    Example: rmset people merge p-3f9a1c2b4d5e mashup-1a2b3c4d:3
    """
    from rmset import people

    key = people.merge(find_root(root), names)
    say(f"one person: {key}")


@app.command()
def split(
    names: Annotated[list[str], typer.Argument(metavar="TRACK...", help="Tracks, as VIDEO:PERSON.")],
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make tracks a person of their own, by hand; to reject a suggested link, split both tracks.

    Example: rmset people split mashup-1a2b3c4d:3
    """
    from rmset import people

    key = people.split(find_root(root), names)
    say(f"a person of their own: {key}")


@app.command()
def show(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Persons by key, or tracks; all if omitted.")
    ] = None,
    suggested: Annotated[
        bool, typer.Option("--suggested", help="Pairs of persons who may be one, nearest first.")
    ] = False,
    embedder: EmbedderOption = "auto",
    threshold: ThresholdOption = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show persons and their tracks, or links that need a look.

    Example: rmset people show --suggested
    """
    from rmset import people
    from rmset.errors import UsageError
    from rmset.read.persons import read_persons

    place = find_root(root)
    if suggested:
        if names:
            raise UsageError("expected --suggested or names, found both; give one of them")
        emit(_pairs(people.suggested(place, _embedder(embedder), threshold=threshold)), format, _PAIR)
        return
    rows: Iterable[Row] = read_persons(place)
    if names:
        persons = read_persons(place)
        rows = [row for name in dict.fromkeys(names) for row in people.rows_of(persons, name)]
    emit(
        [{name: getattr(row, name) for name in _COLUMNS} for row in rows],
        format,
        _COLUMNS,
    )


def _pairs(found: Iterable[Suggestion]) -> list[dict[str, Any]]:
    return [
        {"person_key": s.person_key, "other_key": s.other_key, "similarity": s.similarity}
        | {"track": f"{s.one[0]}:{s.one[1]}", "other_track": f"{s.other[0]}:{s.other[1]}"}
        for s in found
    ]


def _embedder(name: str) -> Embedder:
    from rmset.errors import UsageError
    from rmset.parts.identity import load

    made = load(name)
    if made is None:
        raise UsageError(
            f"--embedder {name}: expected a face embedder, found none; `pip install 'rmset[identity]'` or give a file"
        )
    return made
