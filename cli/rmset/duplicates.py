"""`rmset duplicates`: copies of videos, and crops that show the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, progress, say, warn
from .options import QuietOption, RootOption, find_root

_VIDEOS = ["video_id", "of_video_id", "edit", "likeness", "seconds"]
_CROPS = ["video_id", "crops", "still", "elsewhere", "share"]


def duplicates(
    videos: Annotated[bool, typer.Option("--videos", help="Compare videos only.")] = False,
    crops: Annotated[bool, typer.Option("--crops", help="Compare crops only.")] = False,
    bits: Annotated[
        int, typer.Option("--bits", min=0, max=31, help="Most bits of 256 in which hashes of like crops differ.")
    ] = 12,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find copies of videos and crops that show the same; the table `duplicates` lists them.

    Copies may be encoded again, mirrored, cropped by up to 15 %, up to a tenth faster or slower, or have a logo.
    Nothing is removed; `rmset pairs --distinct` leaves duplicate crops out.

    Example: rmset duplicates --videos
    """
    from rmset.duplicates import find_crops, find_videos

    place = find_root(root)
    place.select(None)
    both = videos == crops
    left_out: list[str] = []
    copies, counts = [], []
    with progress() as report:
        if videos or both:
            copies = find_videos(place, left_out, report)
        if crops or both:
            counts = find_crops(place, bits=bits, left_out=left_out, progress=report)
    for line in left_out:
        warn(f"rmset: duplicates: {line}")
    if videos or both:
        rows = [
            {"video_id": c.video_id, "of_video_id": c.of_video_id, "edit": str(c.how)}
            | {"likeness": round(c.how.share, 3), "seconds": c.how.seconds}
            for c in copies
        ]
        emit(rows, format, _VIDEOS, title="" if videos else "copies of videos")
    if crops or both:
        found = [asdict(c) | {"share": round((c.still + c.elsewhere) / max(c.crops, 1), 3)} for c in counts]
        emit(found, format, _CROPS, title="" if crops else "crops that show the same")
    if both:
        say(f"{len(copies)} copies of videos, {sum(c.still + c.elsewhere for c in counts)} crops like another")
    if left_out:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(duplicates)
