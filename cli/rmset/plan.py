"""Planning commands: doctor, estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, emit, progress, say
from .fetching import MinHeight
from .options import QuietOption, RootOption, find_root

Calibrate = Annotated[bool, typer.Option("--calibrate", help="Measure this machine again.")]


def estimate(
    manifest: Annotated[Path, typer.Argument(help="Manifest of videos, CSV or TOML.")],
    min_height: MinHeight = 1080,
    people: Annotated[
        float | None, typer.Option("--people", min=0.1, help="People per video; the root's, else the paper's 16.")
    ] = None,
    track_stride: Annotated[int, typer.Option("--track-stride", min=1, help="Track every N-th frame.")] = 1,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Export every N-th frame.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Parallel workers.")] = 1,
    calibrate: Calibrate = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Estimate disk and hours, from rates measured on this machine; exit code 1 if the disk is too small.

    The first call processes a small composed mashup to measure the rates, and stores them.

    Example: rmset estimate manifests/mashups.csv --stride 3 --jobs 8
    """
    from rmset.inspect.calibrate import rates
    from rmset.inspect.estimate import estimate as run
    from rmset.manifest import read

    place, entries = find_root(root), read(manifest)
    with progress() as report:
        measured = rates(again=calibrate, progress=report)
    cost = run(place, entries, measured, min_height=min_height, people=people, track_stride=track_stride, stride=stride)
    speedup = measured.speedup(jobs)
    rows = [
        _row("videos", f"{cost.videos:,}", f"{cost.videos_here:,} are here"),
        _row("length", f"{cost.hours_of_video:.1f} h", f"{cost.assumed_durations:,} lengths assumed"),
        _row("to download", _gb(cost.download_bytes), "about 4 Mbit/s at 1080p"),
        _row("videos on disk", _gb(cost.video_bytes), ""),
        _row("frames", f"{cost.frames:,}", ""),
        _row("people a video", f"{cost.people_per_video:g}", "change it with --people"),
        _row("crops", f"{cost.crops:,}", "0.9 of people x frames, as in the paper"),
        _row("shards on disk", _gb(cost.crop_bytes), f"{measured.bytes_per_crop:,.0f} bytes a crop"),
        _row("decoding", _hours(cost.decode_hours / speedup), f"{measured.decode_fps:,.0f} frames/s, twice"),
        _row(
            "layout, tracking, audit",
            _hours(cost.track_hours / speedup),
            f"{measured.track_s_per_face * 1e3:.2f} ms a face",
        ),
        _row("export", _hours(cost.export_hours / speedup), f"{measured.export_s_per_crop * 1e3:.2f} ms a crop"),
        _row("disk", f"{_gb(cost.needed_bytes)} of {_gb(cost.free_bytes)} free", "fits" if cost.fits else "too little"),
    ]
    if format is Format.TABLE:
        emit(rows, format)
        say(
            f"hours are shared by {jobs} workers on {measured.cores} cores; one keeps {measured.busy:.1f} busy; "
            f"rates measured {measured.measured}"
        )
    else:
        emit([vars(cost) | {"needed_bytes": cost.needed_bytes, "fits": cost.fits}], format)
    if not cost.fits:
        raise typer.Exit(1)


def doctor(
    manifest: Annotated[
        Path | None, typer.Argument(help="Compare the free disk with this manifest's estimate.")
    ] = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Check the requirements of collecting: yt-dlp, JavaScript, decoders, disk, weights. Exit code 1 if one is missing.

    Example: rmset doctor manifests/mashups.csv
    """
    from rmset.inspect.doctor import examine

    place, cost = find_root(root), None
    if manifest is not None:
        from rmset.inspect.calibrate import rates
        from rmset.inspect.estimate import estimate as run
        from rmset.manifest import read

        entries = read(manifest)
        with progress() as report:
            cost = run(place, entries, rates(progress=report))
    findings = examine(place, cost)
    emit([vars(f) for f in findings], format, ["what", "state", "found", "remedy"])
    if any(f.state == "missing" for f in findings):
        raise typer.Exit(1)


def _row(what: str, value: str, note: str) -> dict[str, Any]:
    return {"what": what, "about": value, "because": note}


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _hours(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.1f} min"


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (doctor, estimate):
        app.command()(command)
