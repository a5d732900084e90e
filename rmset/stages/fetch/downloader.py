"""Setup of yt-dlp: its parameters and its log."""

from __future__ import annotations

import io
from typing import Any

from rmset.bounded import read_text
from rmset.stages.fetch.config import FetchConfig


class Log:
    """Takes what yt-dlp would print, and keeps the last warning, which may explain an error that follows."""

    def __init__(self) -> None:
        self.warning_text = ""

    def debug(self, message: str) -> None:
        """Ignore debug messages."""

    def warning(self, message: str) -> None:
        """Kept."""
        self.warning_text = message

    def error(self, message: str) -> None:
        """Raise what yt-dlp raises."""


def params(config: FetchConfig, log: Log) -> dict[str, Any]:
    """Return yt-dlp's parameters: quiet, persistent, and never past the pace."""

    def longer(n: int) -> float:
        return min(60.0, config.pause * 2.0**n)

    chosen: dict[str, Any] = {
        "quiet": True,
        "noprogress": True,
        "logger": log,
        "color": "never",
        "outtmpl": {"default": "%(id)s"},
        "noplaylist": True,
        "retries": config.retries,
        "fragment_retries": config.retries,
        "extractor_retries": config.retries,
        "retry_sleep_functions": {"http": longer, "fragment": longer, "extractor": longer},
        # A piece that is left out leaves a video that looks whole.
        "skip_unavailable_fragments": False,
        "keep_fragments": True,
        "socket_timeout": config.timeout,
        "buffersize": 1 << 14,
        # Files are repaired and cut here, without the program ffmpeg, and always by yt-dlp's own downloaders:
        # external ones would go past the pace.
        "fixup": "never",
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "enable_file_urls": False,
        "updatetime": False,
        "proxy": config.proxy,
    }
    if config.rate_limit is not None:
        chosen["ratelimit"] = config.rate_limit / config.jobs
    if config.cookies is not None:
        # As a stream: yt-dlp would write the user's file back, from every worker.
        chosen["cookiefile"] = io.StringIO(read_text(config.cookies))
    if config.cookies_from_browser is not None:
        chosen["cookiesfrombrowser"] = _browser(config.cookies_from_browser)
    return chosen


def _browser(text: str) -> tuple[str, str | None, str | None, str | None]:
    """Take `BROWSER[+KEYRING][:PROFILE][::CONTAINER]` apart.

    >>> _browser("firefox:default::Work"), _browser("chrome+gnomekeyring")
    (('firefox', 'default', None, 'Work'), ('chrome', None, 'GNOMEKEYRING', None))
    """
    rest, _, container = text.partition("::")
    rest, _, profile = rest.partition(":")
    name, _, keyring = rest.partition("+")
    return name.lower(), profile or None, keyring.upper() or None, container or None
