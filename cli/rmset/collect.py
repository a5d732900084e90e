"""Taking videos in: add."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, progress, say
from .options import QuietOption, RootOption, find_root


def add(
    files: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    copy: Annotated[bool, typer.Option("--copy", help="Copy even where a hard link would do.")] = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Take local video files in: probe, hash, link or copy.

    Example: rmset add mashup.mp4 more_mashups/
    """
    from rmset.errors import RmsetError
    from rmset.stages import fetch

    place = find_root(root)
    paths = [p for path in files for p in fetch.videos_below(path)]
    rows, failed = [], 0
    with progress() as report:
        for done, path in enumerate(paths):
            report("add", done, len(paths))
            try:
                record = fetch.add(place, path, copy=copy)
            except RmsetError as error:
                failed += 1
                typer.echo(f"rmset: {error}", err=True)
                continue
            if record.fault:
                say(f"{record.video_id}: {record.fault}")
            rows.append(
                {
                    "video_id": record.video_id,
                    "size": f"{record.width}x{record.height}",
                    "fps": round(record.fps, 3),
                    "frames": record.frame_count,
                    "seconds": round(record.duration_s, 2),
                    "codec": record.codec,
                }
            )
    if not paths:
        say(f"no video files found in {', '.join(map(str, files))}")
    emit(rows, format, ["video_id", "size", "fps", "frames", "seconds", "codec"])
    if failed or not paths:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(add)
