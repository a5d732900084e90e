"""Commands that collect videos: add, fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, progress, say, warn
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
    Retry,
    Sleep,
    emit_causes,
    parse_moment,
    parse_rate,
    parse_size,
    place_layouts,
    read_manifest,
    take_local,
    tell_silence,
)
from .options import QuietOption, RootOption, find_root

_ADD_COLUMNS = ["video_id", "size", "fps", "frames", "seconds", "codec"]


def add(
    files: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    copy: Annotated[bool, typer.Option("--copy", help="Copy even if a hard link is possible.")] = False,
    allow_copy_of: AllowCopyOf = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Add local video files: probe, hash, link or copy.

    Example: rmset add mashup.mp4 more_mashups/
    """
    from rmset.errors import RmsetError
    from rmset.stages import fetch

    place = find_root(root)
    found = [fetch.below(path) for path in files]
    paths = [path for each in found for path in each.videos]
    for line in (line for each in found for line in each.skipped()):
        say(line)
    rows, failed, known = [], 0, set(place.video_ids())
    with progress() as report:
        for done, path in enumerate(paths):
            report("add", done, len(paths))
            try:
                record = fetch.add(place, path, copy=copy, allow_copies_of=allow_copy_of or (), progress=report)
            except Exception as error:
                # One file's failure is one row; the others are added.
                failed += 1
                cause = str(error) if isinstance(error, RmsetError) else f"{path}: {type(error).__name__}: {error}"
                warn(f"rmset: {cause}")
                continue
            if record.video_id in known:
                say(f"{path}: its bytes are in the root already, as {record.video_id}")
            known.add(record.video_id)
            if record.fault:
                say(f"{record.video_id}: {record.fault}")
            for note in record.notes.values():
                say(f"{record.video_id}: {note}")
            size = f"{record.width}x{record.height}"
            cells = (record.video_id, size, round(record.fps, 3), record.frame_count, round(record.duration_s, 2))
            rows.append(dict(zip(_ADD_COLUMNS, (*cells, record.codec), strict=True)))
    if not paths:
        say(f"no video files found in {', '.join(map(str, files))}")
    emit(rows, format, _ADD_COLUMNS)
    if failed or not paths:
        raise typer.Exit(1)


def fetch(
    manifest: Annotated[Path, typer.Argument(help="Manifest of videos, CSV or TOML.")],
    min_height: MinHeight = 1080,
    audio: Annotated[bool, typer.Option("--audio", help="Also download the sound (merging needs ffmpeg).")] = False,
    begin: Annotated[
        str | None, typer.Option("--from", help="Start of the part of each video: seconds or h:m:s.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End of the part of each video: seconds or h:m:s.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Downloads and connections at once.")] = 2,
    retry: Retry = None,
    sleep: Sleep = 10.0,
    limit_rate: LimitRate = None,
    max_size: MaxSize = None,
    retries: Annotated[int, typer.Option("--retries", min=1, help="Retries after temporary errors.")] = 3,
    pause: Annotated[float, typer.Option("--pause", min=0, help="Wait before the first retry, s; doubles.")] = 2,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Timeout of a silent connection, s.")] = 20,
    backoff: Annotated[
        float, typer.Option("--backoff", min=0.01, help="Pause after a refusal without a stated time, s; doubles.")
    ] = 60,
    patience: Annotated[
        float,
        typer.Option(
            "--patience", min=0, help="Longest time to wait for a refusing host, s; then it is left to the next run."
        ),
    ] = 6 * 3600,
    cookies: Cookies = None,
    cookies_from_browser: CookiesFromBrowser = None,
    proxy: Proxy = None,
    allow_copy_of: AllowCopyOf = None,
    allow_local_files: AllowLocalFiles = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Download the videos of a manifest: H.264 first, then VP9 and AV1, at least --min-height; each file is verified.

    Run it again to resume. Temporary errors (network, a busy host) are retried; final ones only with --retry. When a
    host asks for a pause, all downloads from it pause.

    Example: rmset fetch manifests/mashups.csv --jobs 2 --cookies-from-browser firefox
    """
    import shutil

    from rmset.errors import UsageError
    from rmset.stages.fetch.config import FetchConfig
    from rmset.stages.fetch.ledger import parse_retry
    from rmset.stages.fetch.run import Fetching

    start, stop = parse_moment("--from", begin), parse_moment("--to", end)
    if audio and shutil.which("ffmpeg") is None:
        raise UsageError("--audio: expected the program ffmpeg, found none; `apt install ffmpeg`, or leave --audio out")
    config = FetchConfig(
        min_height=min_height,
        audio=audio,
        section=None if start is None and stop is None else (start or 0.0, stop),
        jobs=jobs,
        sleep=sleep,
        rate_limit=parse_rate(limit_rate),
        max_bytes=parse_size(max_size),
        retries=retries,
        pause=pause,
        timeout=timeout,
        backoff=backoff,
        patience=patience,
        cookies=cookies,
        cookies_from_browser=cookies_from_browser,
        proxy=proxy,
        allow_copies_of=tuple(allow_copy_of or ()),
    )
    causes = parse_retry(retry)
    place = find_root(root)
    entries = read_manifest(place, manifest, allow_local_files)
    log = FetchLog()
    with progress() as report:
        for entry, video_id in take_local(place, manifest, [e for e in entries if e.is_local], config, log):
            place_layouts(place, manifest, entry, video_id)
        fetching = Fetching(place, config, retry=causes, tell=tell_silence, progress=report)
        for outcome in fetching.outcomes([e for e in entries if not e.is_local]):
            log(outcome)
            if outcome.video is not None and outcome.entry is not None:
                place_layouts(place, manifest, outcome.entry, outcome.record.video_id)
    emit_causes(log.records, format)
    if log.failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (add, fetch):
        app.command()(command)
