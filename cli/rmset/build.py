"""Running stages: track, export, build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmset.errors import UsageError

from ..console import Format, emit, progress, say, warn
from .fetching import (
    AllowCopyOf,
    AllowLocalFiles,
    Cookies,
    CookiesFromBrowser,
    FetchLog,
    LimitRate,
    MaxSize,
    MinHeight,
    Proxy,
    Sleep,
    arriving,
    emit_causes,
    parse_rate,
    parse_size,
    read_manifest,
)
from .options import ForceOption, JobsOption, QuietOption, RootOption, VideosArgument, find_root, takes

if TYPE_CHECKING:
    from rmset.pipeline import Outcome
    from rmset.root import Root
    from rmset.stages.audit import AuditConfig
    from rmset.stages.export import ExportConfig
    from rmset.stages.track import TrackConfig


def run_steps(
    root: Root,
    videos: list[str] | None,
    steps: Sequence[tuple[str, Any]],
    jobs: int,
    force: bool,
    check: int = 0,
    run: Callable[..., Iterable[Outcome]] | None = None,
) -> None:
    """Run stages on videos, print the outcome of each, end with a table of failures.

    Args:
        root: the data set.
        videos: ids; None for all.
        steps: stages and their configs.
        jobs: videos at once on this machine.
        force: run again.
        check: whole frames per video for checks of the tracks.
        run: what runs them; default: processes of this machine.

    Raises:
        typer.Exit: with code 1 if any video failed.
    """
    if run is None:
        run = runner("local", None, jobs)
    with progress() as report:
        _tell(run(root, root.select(videos), steps, force=force, check=check, progress=report))


def runner(engine: str, address: str | None, jobs: int) -> Callable[..., Iterable[Outcome]]:
    """Return what runs stages on many videos.

    Raises:
        UsageError: an unknown engine, an address for the local one, or a number of processes for Ray.
    """
    if engine == "ray":
        if jobs != 1:
            raise UsageError(
                f"--jobs {jobs}: expected no number of processes with --engine ray, which uses all processors of the "
                "cluster; leave it out"
            )
        from rmset.ray_engine import build_on_ray

        return partial(build_on_ray, address=address, jobs=0)
    if engine != "local" or address is not None:
        raise UsageError(f"expected --engine local, or --engine ray with or without --address; found --engine {engine}")
    from rmset.engine import build

    return partial(build, jobs=jobs)


def _tell(outcomes: Iterable[Outcome]) -> None:
    """Print the outcome of each stage, end with a table of failures."""
    failures: list[dict[str, Any]] = []
    for outcome in outcomes:
        counts = ", ".join(f"{k} {v:g}" if isinstance(v, (int, float)) else f"{k}: {v}" for k, v in _plain(outcome))
        if outcome.status == "failed":
            failures.append({"video": outcome.video_id, "stage": outcome.stage, "why": outcome.error})
            say(f"{outcome.stage:7} {outcome.video_id}  failed")
        else:
            took = f"{outcome.seconds:.1f} s" if outcome.seconds else outcome.status
            say(f"{outcome.stage:7} {outcome.video_id}  {counts or 'kept'}  ({took})")
    if failures:
        if len(failures) == 1:
            warn(f"rmset: {failures[0]['stage']}: {failures[0]['why']}")
        else:
            emit(failures, Format.TABLE, ["video", "stage", "why"], title=f"{len(failures)} videos failed")
        raise typer.Exit(1)


def _plain(outcome: Outcome) -> list[tuple[str, Any]]:
    """Return the counts of a stage in one row, without those that have their own line."""
    return [(k, v) for k, v in outcome.counts.items() if not isinstance(v, dict)]


Check = Annotated[
    bool, typer.Option("--check", help="Compare the tracks with the exact detector on some whole frames.")
]
CheckFrames = Annotated[
    int, typer.Option("--check-frames", min=1, help="Frames per video for --check, about half a second each.")
]
EmbedderOption = Annotated[
    str,
    typer.Option(
        "--embedder",
        help="Face embedder of the audit: dlib (extra `identity`), a file .onnx or .pt, none; auto: dlib if "
        "it is installed.",
    ),
]
Mend = Annotated[
    bool,
    typer.Option(
        "--mend/--no-mend",
        help="Where the audit finds that ids pass from person to person, correct them in the proposed layout, and "
        "track that video again.",
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="K/N",
        help="Only the K-th of N shares, for N machines that work on one root.",
        show_default=False,
    ),
]
Engine = Annotated[
    str, typer.Option("--engine", help="local: processes of this machine. ray: a cluster (extra `ray`).")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="With --engine ray: the cluster's head, as HOST:6379 or auto; else Ray is started on this machine.",
        show_default=False,
    ),
]
Detector = Annotated[str, typer.Option("--detector", help="mtcnn or yunet.")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="Weights file of a detector without its own (yunet); default: fetch it."),
]
Assign = Annotated[str, typer.Option("--assign", help="previous, reference (the paper) or bytetrack.")]
Search = Annotated[
    str,
    typer.Option(
        "--search",
        help="follow: MTCNN's last net from frame to frame, full search when in doubt. panel: the detector in every "
        "panel of every frame. frame: on every whole frame (the paper).",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="auto: bf16 if the processor has it, which is faster. f32: the same results everywhere, to six digits.",
    ),
]
Stride = Annotated[int, typer.Option("--stride", min=1, help="Take every N-th frame.")]
Size = Annotated[int, typer.Option("--size", min=8, help="Side of a crop, px.")]
Widen = Annotated[float, typer.Option("--widen", min=0, help="Margin of the crop, as a share of the face's width.")]
Quality = Annotated[int, typer.Option("--quality", min=1, max=100, help="JPEG or WebP quality.")]
PictureFormat = Annotated[str, typer.Option("--format", help="jpeg, png or webp.")]
MinSize = Annotated[float, typer.Option("--min-size", min=0, help="Leave out faces lower than this height, px.")]
MinScore = Annotated[float, typer.Option("--min-score", min=0, help="Leave out faces with a lower score.")]
MaxPerPerson = Annotated[
    int, typer.Option("--max-per-person", min=0, help="Most crops per person, spread evenly; 0 keeps all.")
]
Distinct = Annotated[
    int | None,
    typer.Option(
        "--distinct",
        min=0,
        max=255,
        metavar="BITS",
        help="Leave out crops that look like the last kept one of their track: perceptual hashes that differ in at "
        "most so many of 256 bits. 12 is what `rmset duplicates` takes for the same.",
    ),
]
ShardMb = Annotated[int, typer.Option("--shard-mb", min=1, help="Approximate size of a shard, MB.")]


def track_config(
    detector: Detector = "mtcnn",
    weights: Weights = None,
    search: Search = "follow",
    assign: Assign = "previous",
    precision: Precision = "auto",
) -> TrackConfig:
    """Make the track stage's config from its options, except the stride."""
    from rmset.stages.track import TrackConfig

    return TrackConfig(
        detector=detector,
        weights=None if weights is None else str(weights.resolve()),
        search=search,
        assign=assign,
        precision=precision,  # type: ignore[arg-type]  # the config says what is wrong with it
    )


def export_config(
    size: Size = 260,
    widen: Widen = 0.31,
    stride: Stride = 1,
    quality: Quality = 95,
    format: PictureFormat = "jpeg",
    min_size: MinSize = 0,
    min_score: MinScore = 0,
    max_per_person: MaxPerPerson = 0,
    shard_mb: ShardMb = 1000,
    distinct: Distinct = None,
) -> ExportConfig:
    """Make the export stage's config from its options."""
    from rmset.stages.export import ExportConfig

    return ExportConfig(
        size=size,
        widen=widen,
        stride=stride,
        quality=quality,
        format=format,  # type: ignore[arg-type]  # the config says what is wrong with it
        min_size=min_size,
        min_score=min_score,
        max_per_person=max_per_person,
        shard_mb=shard_mb,
        distinct=distinct,
    )


@takes(config=track_config)
def track(
    videos: VideosArgument = None,
    stride: Stride = 1,
    check: Check = False,
    check_frames: CheckFrames = 24,
    embedder: EmbedderOption = "auto",
    mend: Mend = True,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
    *,
    config: TrackConfig,
) -> None:
    """Find every person's face in every frame; then audit layout and tracks.

    Example: rmset track --jobs 2 --check
    """
    from rmset.stages.track import NAME

    steps = [(NAME, replace(config, stride=stride)), audit_step(embedder, mend=mend)]
    run_steps(find_root(root), videos, steps, jobs, force, check_frames if check else 0)


def audit_step(embedder: str, *, mend: bool = True) -> tuple[str, AuditConfig]:
    """Return the audit that follows tracking."""
    from rmset.parts.identity import resolve
    from rmset.stages.audit import NAME, AuditConfig

    return NAME, AuditConfig(embedder=resolve(embedder), mend=mend)


@takes(config=export_config)
def export(
    videos: VideosArgument = None,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
    *,
    config: ExportConfig,
) -> None:
    """Write aspect-normalized face crops into Parquet shards.

    Example: rmset export --stride 3 --quality 90
    """
    from rmset.stages.export import NAME

    run_steps(find_root(root), videos, [(NAME, config)], jobs, force)


@takes(tracking=track_config, exporting=export_config)
def build(
    manifest: Annotated[Path | None, typer.Argument(help="Manifest of videos; all of the root if omitted.")] = None,
    track_stride: Annotated[int, typer.Option("--track-stride", min=1, help="Track every N-th frame.")] = 1,
    check: Check = False,
    check_frames: CheckFrames = 24,
    embedder: EmbedderOption = "auto",
    mend: Mend = True,
    min_height: MinHeight = 1080,
    fetch_jobs: Annotated[int, typer.Option("--fetch-jobs", min=1, help="Downloads at once.")] = 2,
    sleep: Sleep = 10.0,
    limit_rate: LimitRate = None,
    max_size: MaxSize = None,
    cookies: Cookies = None,
    cookies_from_browser: CookiesFromBrowser = None,
    proxy: Proxy = None,
    allow_copy_of: AllowCopyOf = None,
    allow_local_files: AllowLocalFiles = False,
    part: Part = None,
    engine: Engine = "local",
    address: Address = None,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
    *,
    tracking: TrackConfig,
    exporting: ExportConfig,
) -> None:
    """Run all stages, video by video: fetch, layout, track, audit, export. Finished stages are not repeated.

    With a manifest, missing videos are fetched while those already here are processed. With --part, this machine takes
    every N-th entry of the manifest, or every N-th video of the root.

    Example: rmset build manifests/mashups.csv --jobs 2
    """
    from rmset.share import Share
    from rmset.stages import export as export_stage
    from rmset.stages import layout, track
    from rmset.stages.fetch.config import FetchConfig

    place, share, run = find_root(root), Share.parse(part or "1/1"), runner(engine, address, jobs)
    steps: list[tuple[str, Any]] = [
        (layout.NAME, layout.ProposeConfig()),
        (track.NAME, replace(tracking, stride=track_stride)),
        audit_step(embedder, mend=mend),
        (export_stage.NAME, exporting),
    ]
    if manifest is None:
        videos = list(share.take(place.select(None)))
        if not videos:
            say(f"--part {part}: no video is in this share")
            return
        run_steps(place, videos, steps, jobs, force, check_frames if check else 0, run)
        return
    config = FetchConfig(
        min_height=min_height,
        jobs=fetch_jobs,
        sleep=sleep,
        rate_limit=parse_rate(limit_rate),
        max_bytes=parse_size(max_size),
        cookies=cookies,
        cookies_from_browser=cookies_from_browser,
        proxy=proxy,
        allow_copies_of=tuple(allow_copy_of or ()),
    )
    log = FetchLog()
    entries = list(share.take(read_manifest(place, manifest, allow_local_files)))
    try:
        with progress() as report, arriving(place, manifest, entries, config, log, report) as ids:
            _tell(run(place, ids, steps, force=force, check=check_frames if check else 0, progress=report))
    finally:
        if log.failed:
            emit_causes(log.records, Format.TABLE)
    if log.failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (track, export, build):
        app.command()(command)
