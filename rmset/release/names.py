"""Ids and addresses as a release shows them.

The id of a local file holds a part of its file name, which may be a person's name; a release has the hash in it only.
Addresses are needed to fetch a video again; a user name or password in one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from rmset.errors import RootError

_LOCAL = re.compile(r".*-(?P<hash>[0-9a-f]{8})")


def published_id(video_id: str, source_url: str | None, *, with_names: bool = False) -> str:
    """Return the id of a video in a release.

    >>> published_id("Anna-and-Ben-react-ab12cd34", None), published_id("dQw4w9WgXcQ", "https://youtu.be/dQw4w9WgXcQ")
    ('video-ab12cd34', 'dQw4w9WgXcQ')
    """
    found = _LOCAL.fullmatch(video_id)
    return video_id if with_names or source_url is not None or found is None else f"video-{found['hash']}"


def published_ids(videos: Iterable[tuple[str, str | None]], *, with_names: bool = False) -> dict[str, str]:
    """Return the id in a release of each (video id, address).

    Raises:
        RootError: two videos would have the same.
    """
    ids: dict[str, str] = {}
    owner: dict[str, str] = {}
    for video_id, url in videos:
        name = ids[video_id] = published_id(video_id, url, with_names=with_names)
        if owner.setdefault(name, video_id) != video_id:
            raise RootError(
                f"expected different ids without file names, found {name} for {owner[name]} and {video_id}; "
                "publish --with-names, or remove one of them"
            )
    return ids


def published_url(url: str | None) -> str | None:
    """Return an address without user name and password; None if it is none of the web.

    >>> published_url("https://anna:secret@example.org/a.mp4?t=1")
    'https://example.org/a.mp4?t=1'
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
