"""Stable ids of requested videos, computed before contacting the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rmset.errors import ManifestError
from rmset.manifest import Entry
from rmset.records import VIDEO_ID, url_video_id


@dataclass(frozen=True)
class Target:
    """One address to visit: a video, or a page, feed or playlist with several."""

    video_id: str
    url: str
    entry: Entry
    """the manifest entry that requests it"""
    extractor: str | None = None
    """yt-dlp's name of the extractor, where a playlist named it"""
    info: Mapping[str, Any] | None = None
    """metadata that yt-dlp has already, for videos without a URL of their own inside a page"""
    depth: int = 0
    """how many pages, feeds and playlists it was found in, one inside the other"""


def of_entry(entry: Entry) -> Target:
    """Return the target that a line of a manifest names.

    Raises:
        ManifestError: it names a local file.
    """
    if entry.is_local:
        raise ManifestError(
            f"line {entry.line}: expected an id or URL, found the local file {entry.video!r}; "
            "pass --allow-local-files if you trust this manifest, or use `rmset add`"
        )
    return Target(entry.youtube_id or url_video_id(entry.url), entry.url, entry)


def of_child(parent: Target, number: int, child: Mapping[str, Any]) -> Target:
    """Return the target of one entry of a playlist or page; `number` counts from 0."""
    url, extractor = child.get("url"), child.get("ie_key") or child.get("extractor_key")
    host_id = str(child.get("id") or number)
    inside = child.get("_type", "video") == "video"
    if inside or not isinstance(url, str):
        # A video inside a page has no address; its position in the page replaces it.
        url = f"{parent.url}#{host_id}"
    if extractor == "Youtube" and len(host_id) == 11 and VIDEO_ID.fullmatch(host_id):
        video_id = host_id
    else:
        video_id = Entry(url).youtube_id or url_video_id(url.replace("#", "/") if inside else url)
    known = dict(child) if inside else None
    return Target(video_id, url, parent.entry, str(extractor) if extractor else None, known, parent.depth + 1)


def unique(targets: Iterable[Target], seen: set[str]) -> list[Target]:
    """Return the targets whose ids were not seen before; `seen` is added to."""
    fresh = []
    for target in targets:
        if target.video_id not in seen:
            seen.add(target.video_id)
            fresh.append(target)
    return fresh
