"""`rmset remove`: remove videos, people and crops from a data set permanently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, FormatOption, emit, progress, say
from .options import QuietOption, RootOption, find_root

if TYPE_CHECKING:
    from rmset.root import Root
    from rmset.tombstones import Tombstone


def remove(
    video: Annotated[list[str] | None, typer.Option("--video", help="Id of a video; repeatable.")] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(
            "--person",
            help="A person of a video, as VIDEO:PERSON, or of all videos, by key (`rmset people show`); repeatable.",
        ),
    ] = None,
    crops: Annotated[
        str | None,
        typer.Option("--crops", metavar="SQL", help="Single faces: a query for video_id, person_id and frame_idx."),
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="With --person: make their panel gray in the source video too; drops its sound."),
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, in a few words; kept with the removal.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Remove videos, people or crops, and keep them out; without arguments, finish interrupted removals.

    Removed data are gone from all files of the data set and cannot be restored. Later builds leave them out. The
    source video of a removed person stays as it is without --pixels.

    Example: rmset remove --person mashup-1a2b3c4d:3 --reason "asked to be left out"
    """
    from rmset import removal
    from rmset.errors import UsageError

    place = find_root(root)
    asked = bool(video or person or crops)
    if asked and not reason.strip():
        raise UsageError("expected --reason, found none; say in a few words why this is removed")
    if reason and not asked:
        raise UsageError("expected --video, --person or --crops beside --reason, found none; name what to remove")

    if pixels and not person:
        raise UsageError("expected --person beside --pixels, found none; --video deletes the file in any case")

    def work(dry_run: bool) -> list[Tombstone]:
        how: dict[str, Any] = {"dry_run": dry_run, "progress": report}
        done = [removal.remove_video(place, v, reason, **how) for v in video or ()]
        done += [removal.remove_person(place, v, p, reason, pixels=pixels, **how) for v, p in people]
        return done + (removal.remove_crops(place, crops, reason, **how) if crops else [])

    with progress() as report:
        done = [] if dry_run else removal.finish(place, report)
        # Hidden until then: a person in a video with an unfinished removal.
        people = list(dict.fromkeys(track for text in person or () for track in _tracks(place, text)))
        if asked:
            # All of the request is checked before anything is removed.
            found = work(dry_run=True)
            done += found if dry_run else [t for t in work(dry_run=False) if t not in done]
    if done or format is not Format.TABLE:
        rows = [{"what": t.what, "key": t.key, "faces": t.faces, "crops": t.crops, "reason": t.reason} for t in done]
        emit(rows, format, ["what", "key", "faces", "crops", "reason"])
    if dry_run:
        say("nothing removed: --dry-run")
    elif done:
        say("removed; `rmset verify --removed` proves it")
    else:
        say("no face matches the query" if asked else "no removal was left unfinished")


def _tracks(place: Root, text: str) -> list[tuple[str, int]]:
    """Tracks of a person: of one video, or by key of all videos."""
    from rmset.errors import RootError, UsageError
    from rmset.read.persons import read_persons, stored_persons

    video_id, colon, number = text.rpartition(":")
    if colon and video_id and number.isdecimal():
        return [(video_id, int(number))]
    if colon or not text:
        raise UsageError(f"--person {text}: expected VIDEO:PERSON, such as mashup-1a2b3c4d:3, or a person's key")
    known, every = read_persons(place).by_key.get(text, ()), stored_persons(place).by_key.get(text, ())
    if not every:
        raise RootError(f"person {text}: unknown in {place.path}; `rmset people show` lists the persons")
    if len(known) < len(every):
        raise RootError(
            f"person {text}: expected present tracks, found a video tracked anew; run `rmset people link` first"
        )
    return [row.track for row in known]


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(remove)
