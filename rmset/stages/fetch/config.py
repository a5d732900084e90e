"""Settings of fetching: one frozen dataclass, so that a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rmset.errors import UsageError


@dataclass(frozen=True)
class FetchConfig:
    """Settings for choosing videos, and for the load on their hosts."""

    min_height: int = 1080
    """px; a manifest's own `min_height` counts more. 1080: the paper"""
    audio: bool = False
    """also the sound; needs the program ffmpeg where a host keeps sound and picture apart"""
    section: tuple[float, float | None] | None = None
    """take only `[from, to)` of each video, s"""
    jobs: int = 2
    """videos downloaded at once, and connections at most"""
    sleep: float = 10.0
    """pause between the beginnings of two videos of one host, s; from yt-dlp's preset `sleep`"""
    rate_limit: float | None = None
    """bytes per second, all jobs together"""
    max_bytes: int | None = None
    """most bytes of one video; if None, 64 MiB and 32 MiB for each second, and 16 GiB where the length is not known"""
    retries: int = 3
    """visits to a video, and repeats of one request, after trouble that may pass"""
    pause: float = 2.0
    """wait after the first trouble of that kind, s; doubles each time"""
    timeout: float = 20.0
    """silence after which a connection is given up, s"""
    backoff: float = 60.0
    """silence after a refusal (429, bot check) that names no time, s; doubles each time, up to an hour"""
    patience: float = 6 * 3600.0
    """time of continued refusals after which a host's videos are left to the next run, s"""
    cookies: Path | None = None
    """Netscape cookies file; read, never written"""
    cookies_from_browser: str | None = None
    """BROWSER[+KEYRING][:PROFILE][::CONTAINER], as yt-dlp takes it"""
    proxy: str | None = None
    allow_copies_of: tuple[str, ...] = ()
    """ids of removed videos of which a copy may arrive"""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.section is not None:
            start, end = self.section
            if start < 0 or (end is not None and end <= start):
                raise UsageError(f"section {start:g} to {end}: expected 0 <= from < to, in seconds; correct it")
        if self.jobs < 1 or self.min_height < 1:
            raise UsageError(f"jobs {self.jobs}, min_height {self.min_height}: expected at least 1; correct them")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise UsageError(f"max_bytes {self.max_bytes}: expected at least 1; correct it")
        if self.cookies is not None and not self.cookies.is_file():
            raise UsageError(f"cookies {self.cookies}: expected a file, found none; export it from your browser")
