"""Search for reaction mashups: yt-dlp's search extractors, filters, ranking, manifest."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rmset.manifest import Entry
from rmset.records import VIDEO_ID
from rmset.stages.fetch.causes import Cause, classify, one_line, own_words
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.fetch.pace import Pace, Stopped, host_of

_WORDS: tuple[tuple[float, str], ...] = (
    # The genre by name: several people on one screen.
    (4.0, r"mash-?\s?up|мэшап|マッシュアップ|매쉬업|매시업|混剪"),
    (
        2.0,
        r"reactions|reactors|reacciones|réactions|reaktionen|reações|реакции|反応集|反应合集|리액션 모음",
    ),
    (1.0, r"reaction|react|reacci[oó]n|réaction|reaktion|reação|реакция|リアクション|反応|反应|리액션|tepki"),
    (1.0, r"compilation|everyone reacts|people react|recopilación|zusammenstellung|подборка|まとめ"),
    (0.5, r"trailer|official|try not to (laugh|cry)|scene|episode"),
    # One person, or none.
    (-2.0, r"\bmy reaction|first time (watching|hearing|reaction)|\bi react|i watched|reaction video\b"),
    (-2.0, r"podcast|tutorial|how to|explained|review|\bvlog|audio only|lyrics|game ?play|live ?stream"),
)
"""points -> words of a title; ours, from how uploaders of this genre name their videos"""
_CHANNEL_POINTS = 2.0
_SHORTEST_LIKELY_S = 120.0


@dataclass(frozen=True)
class Filters:
    """Filters of results."""

    min_height: int = 1080
    """px"""
    min_duration: float = 120.0
    """s"""
    max_duration: float = 3600.0
    min_views: int = 0
    language: str | None = None
    """two letters; a video that tells none is kept"""
    license: str | None = None
    """part of the license's name"""
    min_score: float = 1.0
    """of `score`"""

    def refuse(self, info: Mapping[str, Any]) -> str | None:
        """Return why a result is left out, or None. Unknown values pass, except for the license."""
        duration, views, height = info.get("duration"), info.get("view_count"), tallest(info)
        if duration is not None and not self.min_duration <= duration <= self.max_duration:
            return "duration"
        if views is not None and views < self.min_views:
            return "views"
        if height is not None and height < self.min_height:
            return "height"
        language = info.get("language")
        if self.language and language and not str(language).lower().startswith(self.language.lower()):
            return "language"
        if score(info) < self.min_score:
            return "unlikely a mashup"
        return None

    def refuse_visited(self, info: Mapping[str, Any]) -> str | None:
        """As `refuse`, after reading the video's own page, which states the license."""
        if self.license and _plain(self.license) not in _plain(str(info.get("license") or "")):
            return "license"
        return self.refuse(info)


@dataclass(frozen=True)
class Found:
    """Result of one search."""

    entries: list[Entry]
    left_out: dict[str, int]
    """reason -> number of results"""


def score(info: Mapping[str, Any]) -> float:
    """Score a result as a reaction mashup, by words of title and channel, length and views.

    >>> score({"title": "SAD TRAILER REACTION MASHUP"}) > score({"title": "My reaction to the sad trailer"})
    True
    """
    title, channel = str(info.get("title") or "").lower(), str(info.get("channel") or info.get("uploader") or "")
    points = sum(weight for weight, words in _WORDS if re.search(words, title))
    if re.search(r"mash-?\s?up|reactions|reactors", channel.lower()):
        points += _CHANNEL_POINTS
    duration = info.get("duration")
    if duration is not None and duration < _SHORTEST_LIKELY_S:
        points -= 1.0
    # Ties go to more views: popular videos are less likely to be removed.
    return points + math.log10(1 + (info.get("view_count") or 0)) / 20


def tallest(info: Mapping[str, Any]) -> int | None:
    """Height of the tallest format in px, if any is known."""
    heights = [f.get("height") for f in info.get("formats") or () if f.get("vcodec") != "none"]
    known = [int(h) for h in (*heights, info.get("height")) if h]
    return max(known, default=None)


def search(
    queries: Sequence[Mapping[str, str]],
    filters: Filters,
    *,
    limit: int = 50,
    known: Collection[str] = (),
    engine: str = "ytsearch",
    visit: bool = True,
    config: FetchConfig | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Found:
    """Run every query, leave out known and refused videos, and rank the rest.

    Args:
        queries: rows with `query`; their other columns (emotion, language) go into the entries.
        filters: which results are worth having.
        limit: results requested per query.
        known: video ids that are left out.
        engine: yt-dlp's search key (`ytsearch`, `ytsearchdate`, …).
        visit: read each likely video's own page, which tells height, license and language.
        config: proxy, cookies, sleep and patience.
        tell: hears one line a query.

    Raises:
        FetchError: the host of the search itself refuses.
    """
    from rmset.stages.fetch.visit import Visitor

    config = config or FetchConfig()

    def silent(host: str, until: float, why: str) -> None:
        tell(f"{host} is left alone until {time.strftime('%H:%M:%S', time.localtime(until))} ({why})")

    pace = Pace(sleep=config.sleep, backoff=config.backoff, patience=config.patience, tell=silent)
    visitor = Visitor(config, pace)
    seen, left_out = set(known), dict[str, int]()
    rows: list[tuple[float, Entry]] = []
    try:
        for query in queries:
            kept = 0
            for info in _results(visitor, f"{engine}{limit}:{query['query']}"):
                reason = _known_or_refused(info, seen, filters)
                if reason is None and visit:
                    info, reason = _visited(visitor, pace, info, filters, tell)
                if reason is not None:
                    left_out[reason] = left_out.get(reason, 0) + 1
                    continue
                kept += 1
                rows.append((score(info), _entry(info, query, filters)))
            tell(f"{query['query']}: {kept} kept")
    finally:
        visitor.close()
    return Found([entry for _, entry in sorted(rows, key=lambda row: -row[0])], left_out)


def _results(visitor: Any, url: str) -> Iterator[dict[str, Any]]:
    found = visitor.look(url)
    yield from visitor.children(found) if found.get("_type") == "playlist" else [found]


def _known_or_refused(info: Mapping[str, Any], seen: set[str], filters: Filters) -> str | None:
    name = str(info.get("id") or "")
    if not VIDEO_ID.fullmatch(name):
        return "no id"
    if name in seen:
        return "known"
    seen.add(name)
    return filters.refuse(info)


def _visited(
    visitor: Any, pace: Pace, info: dict[str, Any], filters: Filters, tell: Callable[[str], None]
) -> tuple[dict[str, Any], str | None]:
    """Return what the video's own page adds, and why it is left out, if so."""
    url = str(info.get("url"))
    host = host_of(url)
    try:
        pace.begin_visit(host)
        page = visitor.describe(visitor.look(url, info.get("ie_key")))
        pace.answered(host, visited=True)
    except Stopped:
        raise
    except Exception as error:
        # An unreadable video page costs one result, not the search.
        cause = classify(error)
        if cause is Cause.RATE_LIMITED:
            pace.refused(host, own_words(error), whole_visit=True)
        tell(f"{info.get('id')}: {own_words(error)}")
        return info, str(cause)
    finally:
        pace.left()
    merged = {**info, **{k: v for k, v in page.items() if v is not None}}
    return merged, filters.refuse_visited(merged)


def _entry(info: Mapping[str, Any], query: Mapping[str, str], filters: Filters) -> Entry:
    def text(*names: str) -> str | None:
        return next((one_line(str(info[n])) for n in names if info.get(n)), None)

    duration = info.get("duration")
    youtube = info.get("ie_key") == "Youtube" or info.get("extractor_key") == "Youtube"
    about = {
        "channel": text("channel", "uploader"),
        "views": info.get("view_count"),
        "height": tallest(info),
        "language": text("language"),
        "score": round(score(info), 2),
    }
    return Entry(
        video=str(info["id"]) if youtube else str(info.get("webpage_url") or info.get("url")),
        title=text("title"),
        query=query["query"],
        license=text("license"),
        min_height=filters.min_height,
        duration_s=float(duration) if duration else None,
        extra={k: "" if v is None else str(v) for k, v in about.items()}
        | {k: v for k, v in query.items() if k not in ("query", "language") and v},
    )


def _plain(text: str) -> str:
    return re.sub(r"[^a-z]+", " ", text.lower()).strip()
