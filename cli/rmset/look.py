"""Commands to inspect results: preview, sheet, stats, verify, evaluate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, FormatOption, document, emit, progress, say, warn
from .options import QuietOption, RootOption, find_root

if TYPE_CHECKING:
    from rmset.root import Root

VideoArgument = Annotated[str, typer.Argument(help="Video id.")]


def preview(
    video: VideoArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The MP4 to write.")],
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.1, help="Length of the preview.")] = None,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw boxes, ids and the removed region on the video.

    Example: rmset preview mashup-ab12cd34 -o preview.mp4 --seconds 20
    """
    from rmset.inspect import preview as inspect

    place = find_root(root)
    (video_id,) = place.select([video])
    with progress() as report:
        count = inspect.write(place, video_id, output, seconds=seconds, progress=report)
    say(f"{count} frames written to {output}")


def sheet(
    video: VideoArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The PNG to write.")],
    columns: Annotated[int, typer.Option("--columns", min=1, help="Moments shown.")] = 16,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw a contact sheet: one row per person, time from left to right.

    Example: rmset sheet mashup-ab12cd34 -o sheet.png
    """
    from rmset.inspect import sheet as inspect

    place = find_root(root)
    (video_id,) = place.select([video])
    people = inspect.write(place, video_id, output, columns=columns)
    say(f"{people} people drawn on {output}")


def stats(
    pixels: Annotated[bool, typer.Option("--pixels", help="Also the exact mean and std of all crops.")] = False,
    plots: Annotated[Path | None, typer.Option("--plots", help="Write a page of plots: PNG, PDF or SVG.")] = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Count videos, frames, people, faces, crops, and describe them.

    coverage: faces / (people × frames). gaps: interruptions of tracks. aspect: h_f / w_f of faces, and of crops after
    widening. masked: removed share of all pixels.

    Example: rmset stats --pixels --format json
    """
    from rmset.inspect import stats as inspect

    place = find_root(root)
    place.select(None)
    left_out: list[str] = []
    place.records(left_out)
    place.layouts(left_out)
    for line in left_out:
        say(line)
    rows = inspect.per_video(place)
    every = inspect.total(rows, inspect.persons(place))
    found = None
    if pixels:
        with progress() as report:
            found = inspect.pixels(place, report)
    if plots is not None:
        from rmset.inspect import charts

        charts.write(plots, rows, inspect.distributions(place))
        say(f"plots written to {plots}")
    if format is Format.JSON:
        # One document for all options.
        document({"videos": rows, "total": every, "pixels": asdict(found) if found else None})
        return
    emit([row | {"persons": None} for row in rows] + [every] if "persons" in every else [*rows, every], format)
    if found:
        emit(
            [{"crops": found.crops, "mean": _triple(found.mean), "std": _triple(found.std)}],
            format,
            title="pixels of all crops, RGB, 0 to 1",
        )


def _triple(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{v:.4f}" for v in values)


def verify(
    frames: Annotated[
        int | None,
        typer.Argument(
            min=1,
            metavar="[N]",
            help="With --pixels: also decode N random frames of each video again, and compare crops with them.",
        ),
    ] = None,
    pixels: Annotated[bool, typer.Option("--pixels/--no-pixels", help="Decode every crop.")] = True,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild broken files only.")] = False,
    removed: Annotated[
        bool,
        typer.Option("--removed", help="Check instead that removed faces are gone: rows, bytes and look-alikes."),
    ] = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Verify the data set; exit code 1 if anything is missing or damaged.

    Example: rmset verify --pixels 20
    """
    from rmset.errors import UsageError
    from rmset.inspect.verify import verify as check

    place = find_root(root)
    if frames is not None and not pixels:
        raise UsageError(f"expected --pixels {frames}, or --no-pixels without a number, found both")
    if removed:
        _verify_removed(place, format)
        return
    count, drawn = len(place.select(None)), frames or 0
    with progress() as report:
        findings = list(check(place, pixels=pixels, frames=drawn, progress=report))
        if findings and repair:
            from rmset.pipeline import repair as mend

            for finding in findings:
                say(f"{finding.key}: {finding.problem}")
            for outcome in mend(place, findings, progress=report):
                if outcome.error:
                    warn(f"rmset: {outcome.stage} {outcome.video_id}: {outcome.error}")
                else:
                    say(f"{outcome.stage} {outcome.video_id}  rebuilt")
            broken = sorted({finding.video_id for finding in findings} & set(place.video_ids()))
            findings = [f for f in findings if f.video_id not in broken]
            findings += check(place, pixels=pixels, frames=drawn, progress=report, video_ids=broken)
    if findings or format is not Format.TABLE:
        emit([asdict(f) for f in findings], format, ["video_id", "key", "problem", "remedy"])
    if findings:
        raise typer.Exit(1)
    say(f"{count} videos verified: every file readable, hashes, counts and keys as recorded")


def _verify_removed(place: Root, format: Format) -> None:
    from rmset.inspect.absence import absence

    with progress() as report:
        findings = list(absence(place, report))
    if findings or format is not Format.TABLE:
        emit([asdict(f) for f in findings], format, ["video_id", "key", "problem", "remedy"])
    if findings:
        raise typer.Exit(1)
    say(f"{len(place.removed().entries)} removals verified: no row, file or crop of them is left")


def evaluate(
    truth: Annotated[
        list[Path],
        typer.Option("--truth", help="A .truth.json, or a MOTChallenge gt.txt; repeat it for each video."),
    ],
    videos: Annotated[
        list[str] | None, typer.Argument(metavar="[VIDEO]...", help="Videos, in the order of the truth files.")
    ] = None,
    tracks: Annotated[
        list[Path] | None,
        typer.Option(
            "--tracks", help="Score these MOTChallenge tracks instead of a root's, in the order of the truth files."
        ),
    ] = None,
    write_mot: Annotated[
        Path | None,
        typer.Option("--write-mot", help="Also write truth and tracks into this folder in TrackEval's format."),
    ] = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score tracks, layout and mask against truth: HOTA, IDF1, MOTA, per video and overall.

    Without a video, `x.truth.json` belongs to the video added as `x.mp4`.

    Example: rmset evaluate --truth mashup.truth.json
    """
    from rmset.errors import UsageError
    from rmset.inspect import evaluate as scoring

    from .scoring import of_files, of_root

    if tracks:
        if len(tracks) != len(truth) or videos or write_mot:
            raise UsageError(
                f"expected one --tracks file for each --truth and neither videos nor --write-mot, found {len(tracks)} "
                f"for {len(truth)}"
            )
        evaluated = [of_files(a, b) for a, b in zip(truth, tracks, strict=True)]
    else:
        place = find_root(root)
        ids = place.select(videos) if videos else [_video_of(place, path) for path in truth]
        if len(ids) != len(truth):
            raise UsageError(f"expected as many videos as truth files, found {len(ids)} and {len(truth)}")
        evaluated = [of_root(place, v, p, write_mot) for v, p in zip(ids, truth, strict=True)]
    rows: list[dict[str, Any]] = [e.row for e in evaluated]
    if format is Format.TABLE and len(rows) == 1:
        # One video is easier to read as a column.
        emit([{"score": k, "value": v} for k, v in rows[0].items()], format)
    else:
        emit([*rows, scoring.overall(evaluated)] if len(rows) > 1 else rows, format)


def _video_of(root: Root, truth: Path) -> str:
    from rmset.errors import RootError

    ids = root.select(None)
    stem = truth.name.removesuffix(".truth.json")
    named = [record.video_id for record in root.records() if record.title == stem]
    if len(named) == 1:
        return named[0]
    if not named and len(ids) == 1:
        return ids[0]
    raise RootError(f"truth file {truth}: {len(named)} videos are titled {stem!r}; name the video it belongs to")


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (preview, sheet, stats, verify, evaluate):
        app.command()(command)
