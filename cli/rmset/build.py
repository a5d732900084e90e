"""Running stages: track, export, build, status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, FormatOption, emit, progress, say
from .options import ForceOption, JobsOption, QuietOption, RootOption, VideosArgument, find_root

if TYPE_CHECKING:
    from rmset.stages.track import TrackConfig
    from rmset.store import Root


def run_steps(root: Root, videos: list[str] | None, steps: Sequence[tuple[str, Any]], jobs: int, force: bool) -> None:
    """Run stages on videos, tell what became of each, end with a table of failures.

    Raises:
        typer.Exit: with code 1 if any video failed.
    """
    from rmset.pipeline import build

    failures: list[dict[str, Any]] = []
    with progress() as report:
        for outcome in build(root, root.select(videos), steps, jobs=jobs, force=force, progress=report):
            counts = ", ".join(f"{k} {v:g}" for k, v in outcome.counts.items())
            if outcome.status == "failed":
                failures.append({"video": outcome.video_id, "stage": outcome.stage, "why": outcome.error})
                say(f"{outcome.stage:7} {outcome.video_id}  failed")
            else:
                took = f"{outcome.seconds:.1f} s" if outcome.seconds else outcome.status
                say(f"{outcome.stage:7} {outcome.video_id}  {counts or 'kept'}  ({took})")
    if failures:
        if len(failures) == 1:
            typer.echo(f"rmset: {failures[0]['stage']}: {failures[0]['why']}", err=True)
        else:
            emit(failures, Format.TABLE, ["video", "stage", "why"], title=f"{len(failures)} videos failed")
        raise typer.Exit(1)


Detector = Annotated[str, typer.Option("--detector", help="mtcnn or yunet.")]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="The file of a detector that brings none (yunet); else it is fetched.")
]
Assign = Annotated[str, typer.Option("--assign", help="previous, reference (the paper) or bytetrack.")]
Search = Annotated[
    str,
    typer.Option(
        "--search",
        help="follow: MTCNN's last net from frame to frame, searches where in doubt. panel: the detector in every "
        "panel of every frame. frame: on every whole frame (the paper).",
    ),
]
Stride = Annotated[int, typer.Option("--stride", min=1, help="Take every N-th frame.")]
Size = Annotated[int, typer.Option("--size", min=8, help="Side of a crop, px.")]
Widen = Annotated[float, typer.Option("--widen", min=0, help="Share by which a face's width grows.")]
Quality = Annotated[int, typer.Option("--quality", min=1, max=100, help="JPEG quality.")]


def track(
    videos: VideosArgument = None,
    detector: Detector = "mtcnn",
    weights: Weights = None,
    search: Search = "follow",
    assign: Assign = "previous",
    stride: Stride = 1,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find every person's face in every frame.

    Example: rmset track --jobs 2
    """
    from rmset.stages.track import NAME

    config = _track_config(detector, weights, search, assign, stride)
    run_steps(find_root(root), videos, [(NAME, config)], jobs, force)


def _track_config(detector: str, weights: Path | None, search: str, assign: str, stride: int) -> TrackConfig:
    from rmset.errors import UsageError
    from rmset.parts.assign import TRACKERS
    from rmset.parts.detect import DETECTORS
    from rmset.stages.track import SEARCHES, TrackConfig

    for kind, name, known in (
        ("--detector", detector, DETECTORS),
        ("--search", search, SEARCHES),
        ("--assign", assign, TRACKERS),
    ):
        if name not in known:
            raise UsageError(f"{kind} {name}: unknown; expected one of {', '.join(known)}")
    file = None if weights is None else str(weights.resolve())
    return TrackConfig(detector=detector, weights=file, search=search, assign=assign, stride=stride)


def export(
    videos: VideosArgument = None,
    size: Size = 260,
    widen: Widen = 0.31,
    stride: Stride = 1,
    quality: Quality = 95,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write aspect-normalised face crops into Parquet shards.

    Example: rmset export --stride 3 --quality 90
    """
    from rmset.stages.export import NAME, ExportConfig

    config = ExportConfig(size=size, widen=widen, stride=stride, quality=quality)
    run_steps(find_root(root), videos, [(NAME, config)], jobs, force)


def build(
    manifest: Annotated[Path | None, typer.Argument(help="Which videos; all of the root if omitted.")] = None,
    detector: Detector = "mtcnn",
    weights: Weights = None,
    search: Search = "follow",
    assign: Assign = "previous",
    track_stride: Annotated[int, typer.Option("--track-stride", min=1, help="Track every N-th frame.")] = 1,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Export every N-th frame.")] = 1,
    size: Size = 260,
    widen: Widen = 0.31,
    quality: Quality = 95,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run all stages, video by video: layout, track, export. A stage that is done is not done again.

    Example: rmset build --jobs 2
    """
    from rmset.stages import export as export_stage
    from rmset.stages import layout, track

    place = find_root(root)
    steps = [
        (layout.NAME, layout.ProposeConfig()),
        (track.NAME, _track_config(detector, weights, search, assign, track_stride)),
        (export_stage.NAME, export_stage.ExportConfig(size=size, widen=widen, stride=stride, quality=quality)),
    ]
    videos = None if manifest is None else _take_in(place, manifest)
    run_steps(place, videos, steps, jobs, force)


def _take_in(root: Root, manifest: Path) -> list[str]:
    """Ids of the manifest's videos, the local ones taken in first."""
    from rmset.errors import ManifestError
    from rmset.manifest import read
    from rmset.stages import fetch

    ids = []
    for entry in read(manifest):
        if entry.is_local:
            ids.append(fetch.add(root, manifest.parent / entry.video, title=entry.title).video_id)
        elif entry.video in root.video_ids():
            ids.append(entry.video)
        else:
            raise ManifestError(
                f"manifest {manifest}, line {entry.line}: expected a video of the root or a local file, found "
                f"{entry.video}; download it and name the file"
            )
    return ids


def status(format: FormatOption = Format.TABLE, root: RootOption = None, quiet: QuietOption = False) -> None:
    """Show what is done, what failed and why.

    Example: rmset status --format csv
    """
    from rmset.pipeline import STAGES

    place = find_root(root)
    rows = []
    for video_id in place.select(None):
        row: dict[str, Any] = {"video_id": video_id}
        why = place.record(video_id).fault
        for stage in STAGES:
            entry = place.stage_record(stage, video_id)
            row[stage] = entry.status if entry else "waiting"
            if entry and entry.error and entry.error not in (why or ""):
                # What failed first is the cause; later stages only lack its result.
                why = why or entry.error
        rows.append(row | {"why": why})
    emit(rows, format, ["video_id", *STAGES, "why"])


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (track, export, build, status):
        app.command()(command)
