"""The command that finds videos: search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, emit, say
from .fetching import Cookies, CookiesFromBrowser, MinHeight, Proxy, Sleep, parse_moment
from .options import QuietOption, RootOption, find_root

_COLUMNS = ["video", "title", "channel", "duration_s", "height", "views", "license", "score"]


def search(
    query: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]...", help="Search words.")] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="CSV with a column `query`, such as manifests/queries.csv.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write a manifest here.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Results per query.")] = 50,
    min_height: MinHeight = 1080,
    min_duration: Annotated[str, typer.Option("--min-duration", help="Seconds or h:m:s.")] = "2:00",
    max_duration: Annotated[str, typer.Option("--max-duration", help="Seconds or h:m:s.")] = "1:00:00",
    min_views: Annotated[int, typer.Option("--min-views", min=0, help="Views at least.")] = 0,
    language: Annotated[str | None, typer.Option("--language", help="Two letters, if the host states it.")] = None,
    license: Annotated[str | None, typer.Option("--license", help="Such as creative-commons.")] = None,
    min_score: Annotated[float, typer.Option("--min-score", help="Least mashup score; 0 keeps all.")] = 1.0,
    known: Annotated[
        list[Path] | None, typer.Option("--known", help="Manifests whose videos are left out; may be repeated.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="yt-dlp's search, such as ytsearch or ytsearchdate")
    ] = "ytsearch",
    visit: Annotated[bool, typer.Option("--visit/--no-visit", help="Read each video's page: height, license.")] = True,
    sleep: Sleep = 1.0,
    cookies: Cookies = None,
    cookies_from_browser: CookiesFromBrowser = None,
    proxy: Proxy = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Search for reaction mashups and write a manifest of matches, best first.

    Videos already in the root, the output file or a --known manifest are left out.

    Example: rmset search "try not to laugh reaction mashup" --license creative-commons -o manifests/laugh.csv
    """
    from rmset.errors import FetchError, UsageError
    from rmset.locks import change
    from rmset.manifest import Entry, read, read_queries, write
    from rmset.stages.fetch.causes import classify, own_words
    from rmset.stages.fetch.config import FetchConfig
    from rmset.stages.fetch.ledger import read_all
    from rmset.stages.fetch.search import Filters
    from rmset.stages.fetch.search import search as run

    rows: list[dict[str, str]] = [{"query": q} for q in query or []]
    rows += read_queries(queries) if queries is not None else []
    if not rows:
        raise UsageError('search: expected a query or --queries FILE, found none; try "reaction mashup"')
    place = find_root(root)
    before: list[Entry] = read(output) if output is not None and output.exists() else []
    others = [entry for path in known or [] for entry in read(path)]
    ids = {e.youtube_id or e.video.rstrip("/").rpartition("/")[2] for e in (*before, *others)}
    ids |= set(place.video_ids()) | {r.video_id for r in read_all(place)}
    filters = Filters(
        min_height=min_height,
        min_duration=parse_moment("--min-duration", min_duration) or 0.0,
        max_duration=parse_moment("--max-duration", max_duration) or 0.0,
        min_views=min_views,
        language=language,
        license=license,
        min_score=min_score,
    )
    config = FetchConfig(sleep=sleep, cookies=cookies, cookies_from_browser=cookies_from_browser, proxy=proxy)
    try:
        found = run(rows, filters, limit=limit, known=ids, engine=engine, visit=visit, config=config, tell=say)
    except FetchError:
        raise
    except Exception as error:
        # yt-dlp can raise anything; its message is shown.
        raise FetchError(f"search: {own_words(error)}; see `rmset doctor`", classify(error)) from error
    table: list[dict[str, Any]] = [
        {name: e.extra.get(name) if name in e.extra else getattr(e, name, None) for name in _COLUMNS}
        for e in found.entries
    ]
    emit(table, format, _COLUMNS)
    for reason, count in sorted(found.left_out.items(), key=lambda item: -item[1]):
        say(f"left out: {count} ({reason})")
    if output is not None:
        with change(output):
            # Another search may have added to it meanwhile.
            latest = read(output) if output.exists() else []
            known_now = {e.video for e in latest}
            added = [e for e in found.entries if e.video not in known_now]
            write(output, [*latest, *added])
        say(f"{len(added)} videos added to {output}, which now has {len(latest) + len(added)}")
    if not found.entries:
        say("nothing new was found; widen the filters, or search for something else")


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(search)
