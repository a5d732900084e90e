"""`rmset rebuild` and `rmset pull-removals`: a release as crops again, and what its publisher has removed since."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, document, emit, progress, say
from .fetching import (
    Cookies,
    CookiesFromBrowser,
    LimitRate,
    MaxSize,
    Proxy,
    Retry,
    Sleep,
    parse_rate,
    parse_size,
    tell_silence,
)
from .options import QuietOption, RootOption, find_root


def rebuild(
    release: Annotated[Path, typer.Argument(help="Folder of the release.")],
    folder: Annotated[
        Path | None, typer.Option("--from", help="Folder with the videos; else they are downloaded.")
    ] = None,
    min_height: Annotated[int, typer.Option("--min-height", min=1, help="Smallest height to download, px.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Downloads and connections at once.")] = 2,
    retry: Retry = None,
    sleep: Sleep = 10.0,
    limit_rate: LimitRate = None,
    max_size: MaxSize = None,
    cookies: Cookies = None,
    cookies_from_browser: CookiesFromBrowser = None,
    proxy: Proxy = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make the crops of a release again: fetch or find its videos, align them, cut with the release's settings.

    Identical files get the tracks as they are; other encodings (rate, size, bars, cut beginning) are aligned by hashes
    of their frames. The table says what is identical, equivalent or rotted. Run it again to go on.

    Example: rmset rebuild release --from videos/ --root data/rebuilt
    """
    from rmset import release as releases
    from rmset.errors import UsageError
    from rmset.release.rebuilt import as_row
    from rmset.stages.fetch.config import FetchConfig
    from rmset.stages.fetch.ledger import parse_retry

    if folder is not None and not folder.is_dir():
        raise UsageError(f"--from {folder}: expected a folder of videos, found none; correct it")
    config = FetchConfig(
        min_height=min_height, jobs=jobs, sleep=sleep, rate_limit=parse_rate(limit_rate),
        max_bytes=parse_size(max_size), cookies=cookies, cookies_from_browser=cookies_from_browser, proxy=proxy,
    )  # fmt: skip
    place, outcomes = find_root(root), []
    with progress() as report:
        found = releases.rebuild(
            place, release, folder=folder, fetching=config, retry=parse_retry(retry), tell=tell_silence, progress=report
        )
        for outcome in found:
            outcomes.append(outcome)
            say(f"rebuild {outcome.video_id}  {outcome.state}{f': {outcome.cause}' if outcome.cause else ''}")
    rows, whole = [as_row(outcome) for outcome in outcomes], releases.summary(outcomes)
    if format is Format.JSON:
        counts = {"videos": whole.videos, "causes": whole.causes, "faces": whole.faces, "released": whole.released}
        document({"summary": {**counts, "whole": whole.whole}, "videos": rows})
    else:
        emit(rows, format, title="rebuilt videos")
    states = ", ".join(f"{count} {state}" for state, count in sorted(whole.videos.items()))
    say(f"{states}; {whole.faces:,} of {whole.released:,} faces are whole ({whole.whole:.1%})")
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def pull_removals(
    source: Annotated[str, typer.Argument(help="Release, its removed.json, or the https address of one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be removed.")] = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Remove here what the publisher of a release has removed since, and keep out what this root does not hold.

    People and faces are removed only if they are those of the release, by the hash of their boxes.

    Example: rmset pull-removals https://example.org/rmset/removed.json --root data/rebuilt
    """
    from rmset import release

    place = find_root(root)
    with progress() as report:
        found = release.pull_removals(place, source, dry_run=dry_run, progress=report)
    columns = ["what", "key", "done", "faces", "crops"]
    emit([{name: getattr(each, name) for name in columns} for each in found], format, columns)
    if dry_run:
        say("nothing removed: --dry-run")
    if strange := [each.key for each in found if each.done == "not matched"]:
        say(
            f"{strange[0]}: expected the faces of the release under this id, found others; `rmset rebuild` the video "
            "from a later release, or remove it with `rmset remove`"
        )
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (rebuild, pull_removals):
        app.command()(command)
