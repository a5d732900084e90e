"""Choice of a video's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rmset.errors import FetchError
from rmset.stages.fetch.causes import Cause

Selector = Callable[[Mapping[str, Any]], Iterator[Mapping[str, Any]]]
"""yt-dlp's: from a context with `formats` to the formats to download"""

_H264 = "[vcodec~='^(avc|h264)']"
_OPEN = "[vcodec~='^(vp0?9|av0?1)']"


def format_spec(min_height: int, audio: bool) -> str:
    """yt-dlp's format language for: H.264 first because everything decodes it, then VP9 and AV1, then what there is.

    Without audio a stream of pictures alone is taken where there is one: nothing is downloaded in vain, and nothing
    has to be merged. A height that the host does not tell is let through; the downloaded file tells it.

    >>> format_spec(1080, audio=True).split("/")[0]
    "bv[height>=1080][vcodec~='^(avc|h264)']+ba"
    """
    tall, perhaps = f"[height>={min_height}]", f"[height>=?{min_height}]"
    choices: list[str] = []
    for codec in (_H264, _OPEN):
        choices += [f"bv{tall}{codec}+ba", f"b{tall}{codec}"] if audio else [f"bv{tall}{codec}", f"bv*{tall}{codec}"]
    choices += [f"bv{perhaps}+ba", f"b{perhaps}"] if audio else [f"bv*{perhaps}"]
    return "/".join(choices)


def selector(build: Callable[[str], Selector], min_height: int, audio: bool) -> Selector:
    """Return a format selector whose error for a too small video gives the video's height.

    Args:
        build: yt-dlp's `build_format_selector`.
        min_height: px.
        audio: whether the sound is wanted too.
    """
    choose = build(format_spec(min_height, audio))

    def select(context: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        chosen = list(choose(context))
        heights = [f["height"] for f in context["formats"] if f.get("vcodec") != "none" and f.get("height")]
        if not chosen and heights and max(heights) < min_height:
            raise FetchError(f"the tallest format has {max(heights)} px, expected {min_height}", Cause.TOO_SMALL)
        yield from chosen

    return select
