"""Shared parts of `fetch` and `build`: options, and messages about each video."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, emit, say

if TYPE_CHECKING:
    from rmset.manifest import Entry
    from rmset.progress import Progress
    from rmset.root import Root
    from rmset.stages.fetch.config import FetchConfig
    from rmset.stages.fetch.ledger import FetchRecord
    from rmset.stages.fetch.run import Fetched, Fetching

MinHeight = Annotated[int, typer.Option("--min-height", min=1, help="Smallest height, px; a manifest can override it.")]
Sleep = Annotated[float, typer.Option("--sleep", min=0, help="Pause between two videos of one host, s.")]
LimitRate = Annotated[
    str | None, typer.Option("--limit-rate", help="Bytes per second, all downloads together: 500K, 5M.")
]
MaxSize = Annotated[
    str | None,
    typer.Option("--max-size", help="Most bytes of one video: 40G; else by its length, 16G if that is unknown."),
]
Cookies = Annotated[Path | None, typer.Option("--cookies", help="Cookies file in Netscape form; it is only read.")]
CookiesFromBrowser = Annotated[
    str | None, typer.Option("--cookies-from-browser", help="BROWSER[+KEYRING][:PROFILE][::CONTAINER].")
]
Proxy = Annotated[str | None, typer.Option("--proxy", help="http://, https:// or socks5:// and the address.")]
Retry = Annotated[
    str | None, typer.Option("--retry", help="Also retry final failures: `failed`, or causes such as private,removed.")
]
AllowLocalFiles = Annotated[bool, typer.Option("--allow-local-files", help="Allow local files in this manifest.")]

AllowCopyOf = Annotated[
    list[str] | None,
    typer.Option("--allow-copy-of", metavar="VIDEO", help="Accept videos that look like this removed one; repeatable."),
]


def parse_rate(text: str | None) -> float | None:
    """Parse bytes per second: `500K`, `5M`, `1.5G`.

    Raises:
        UsageError: it is not a rate.
    """
    from rmset.errors import UsageError

    if text is None:
        return None
    if (found := _bytes(text.strip().removesuffix("/s"))) is None:
        raise UsageError(f"--limit-rate {text}: expected bytes per second such as 500K or 5M; correct it")
    return found


def parse_size(text: str | None) -> int | None:
    """Bytes from `500M`, `40G`.

    Raises:
        UsageError: it is no size.
    """
    from rmset.errors import UsageError

    if text is None:
        return None
    if (found := _bytes(text.strip())) is None:
        raise UsageError(f"--max-size {text}: expected bytes such as 500M or 40G; correct it")
    return int(found)


def _bytes(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        return None
    return float(found[1]) * 1024.0 ** ["", "K", "M", "G", "T"].index(found[2].upper())


def parse_moment(option: str, text: str | None) -> float | None:
    """Parse seconds: `90`, `1:30` or `1:02:03.5`.

    Raises:
        UsageError: it is not a time.
    """
    from rmset.errors import UsageError

    if text is None:
        return None
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise UsageError(f"{option} {text}: expected seconds, or [hours:]minutes:seconds; correct it")
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def read_manifest(root: Root, path: Path, allow_local_files: bool) -> list[Entry]:
    """Read an untrusted manifest.

    Raises:
        ManifestError: it is invalid, or names local files without permission.
    """
    from rmset.errors import ManifestError
    from rmset.manifest import content_hash, read

    entries = read(path)
    known = set(root.video_ids())
    for entry in entries:
        name = entry.video if entry.is_local and entry.video not in known else entry.layout
        if name is not None and not allow_local_files:
            raise ManifestError(
                f"manifest {path}, line {entry.line}: expected an id or URL, found the local file {name!r}; "
                "pass --allow-local-files if you trust this manifest"
            )
    say(f"manifest {path}: {len(entries)} entries, content {content_hash(entries)[:12]}")
    return entries


def tell_silence(host: str, until: float, why: str) -> None:
    """Print that a host asked for a pause."""
    say(f"{host} is left alone until {time.strftime('%H:%M:%S', time.localtime(until))} ({why}); the rest goes on")


class FetchLog:
    """Printer of outcomes; collects them for the table of causes."""

    def __init__(self) -> None:
        self.records: list[FetchRecord] = []

    def __call__(self, outcome: Fetched) -> None:
        """Print one outcome."""
        record, video = outcome.record, outcome.video
        self.records.append(record)
        if record.status == "failed":
            again = "" if outcome.fresh else " (known; --retry tries again)"
            say(f"fetch   {record.video_id}  failed: {record.cause}: {record.error}{again}")
        elif record.status == "done" and video is None:
            say(f"fetch   {record.video_id}  holds {len(record.children)} videos")
        elif video is not None:
            took = f"{outcome.seconds:.1f} s" if outcome.fresh else "already done"
            what = f"{video.width}x{video.height} {video.codec}, {video.duration_s:.1f} s, {video.bytes / 1e6:.1f} MB"
            say(f"fetch   {record.video_id}  {what}  ({took})")

    @property
    def failed(self) -> bool:
        """Whether any video failed."""
        return any(r.status != "done" for r in self.records)


CAUSE_COLUMNS = ["state", "cause", "videos", "in its own words", "remedy"]


def emit_causes(records: list[FetchRecord], fmt: Format) -> None:
    """Print the number of videos by outcome, most frequent first."""
    from rmset.stages.fetch.ledger import commonest_causes

    emit(commonest_causes(records), fmt, CAUSE_COLUMNS, title="how fetching ended")


def take_local(
    root: Root, manifest: Path, entries: list[Entry], config: FetchConfig, log: FetchLog
) -> Iterator[tuple[Entry, str]]:
    """Add the manifest's local files, and yield each entry with its video's id."""
    from rmset.errors import RemovedError, VideoError
    from rmset.records import url_video_id
    from rmset.stages import fetch
    from rmset.stages.fetch.causes import Cause
    from rmset.stages.fetch.ledger import FetchRecord

    known = set(root.video_ids())
    for entry in entries:
        if entry.video in known:
            yield entry, entry.video
            continue
        path = manifest.parent / entry.video.removeprefix("file://")
        about: dict[str, Any] = {"license": entry.license, "query": entry.query, "split": entry.split}
        try:
            video = fetch.add(root, path, title=entry.title, allow_copies_of=config.allow_copies_of, **about)
        except (VideoError, RemovedError) as error:
            say(f"add     {entry.video}  failed: {error}")
            cause = Cause.TAKEN_OUT if isinstance(error, RemovedError) else Cause.BROKEN
            log.records.append(FetchRecord(url_video_id(entry.video), entry.video, "failed", cause, str(error)))
            continue
        say(f"add     {video.video_id}")
        yield entry, video.video_id


def place_layouts(root: Root, manifest: Path, entry: Entry, video_id: str) -> None:
    """Copy the layout named in an entry to its video."""
    from rmset.stages.fetch.arrive import place_layout

    if entry.layout is not None and place_layout(root, video_id, manifest.parent / entry.layout):
        say(f"layout  {video_id}  taken from {entry.layout}")


@contextmanager
def arriving(
    root: Root, manifest: Path, entries: list[Entry], config: FetchConfig, log: FetchLog, report: Progress
) -> Iterator[Iterator[str]]:
    """Ids of a manifest's videos as they arrive: local files first, then downloads while others go on."""
    from rmset.stages.fetch.background import Background
    from rmset.stages.fetch.run import Fetching

    def renamed(what: str, done: int, total: int) -> None:
        report("fetched" if what == "videos" else what, done, total)

    local = [e for e in entries if e.is_local]
    remote = [e for e in entries if not e.is_local]
    fetching: Fetching = Fetching(root, config, tell=tell_silence, progress=renamed)
    with Background(fetching, remote) as outcomes:

        def ids() -> Iterator[str]:
            for entry, video_id in take_local(root, manifest, local, config, log):
                place_layouts(root, manifest, entry, video_id)
                yield video_id
            for outcome in outcomes:
                log(outcome)
                if outcome.video is not None:
                    if outcome.entry is not None:
                        place_layouts(root, manifest, outcome.entry, outcome.record.video_id)
                    yield outcome.record.video_id

        yield ids()
