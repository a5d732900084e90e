"""Manifests: which videos a data set is made of. CSV, one video a line; unknown columns are kept.

video,title,query,license,min_height,duration_s,split,layout
dQw4w9WgXcQ,Sad reaction mashup,sad reaction mashup,youtube,1080,612.0,train,
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from rmset.errors import ManifestError

COLUMNS = ("video", "title", "query", "license", "min_height", "duration_s", "split", "layout")
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_URL = re.compile(r"https?://[^\s]+")


@dataclass(frozen=True)
class Entry:
    """One video that is wanted."""

    video: str
    """YouTube id, URL, or path of a local file"""
    title: str | None = None
    query: str | None = None
    license: str | None = None
    min_height: int | None = None
    """px"""
    duration_s: float | None = None
    split: str | None = None
    layout: str | None = None
    """path of a layout file that belongs to the video"""
    extra: dict[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def is_local(self) -> bool:
        """Whether the video is a file of this machine."""
        return not (_URL.fullmatch(self.video) or _YOUTUBE_ID.fullmatch(self.video))


def read(path: Path) -> list[Entry]:
    """Read a manifest.

    Raises:
        ManifestError: it is missing or wrong; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"manifest {path}: cannot be read ({error}); give a CSV file in UTF-8") from error
    reader = csv.DictReader(text.splitlines())
    if not reader.fieldnames or "video" not in reader.fieldnames:
        raise ManifestError(
            f"manifest {path}, line 1: expected a column `video`, found {reader.fieldnames or 'nothing'}"
        )
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for row in reader:
        line = reader.line_num
        entry = _entry(path, line, row)
        if entry.video in seen:
            raise ManifestError(f"manifest {path}, line {line}: {entry.video} is on line {seen[entry.video]} already")
        seen[entry.video] = line
        entries.append(entry)
    if not entries:
        raise ManifestError(f"manifest {path}: expected at least one video, found none below the header")
    return entries


def _entry(path: Path, line: int, row: dict[str, str | None]) -> Entry:
    def number(name: str) -> float | None:
        text = (row.get(name) or "").strip()
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if value <= 0:
            raise ManifestError(f"manifest {path}, line {line}: expected a number above 0 as {name}, found {text!r}")
        return value

    video = (row.get("video") or "").strip()
    if not video:
        raise ManifestError(f"manifest {path}, line {line}: expected a video id, URL or file, found nothing")
    height = number("min_height")
    texts = {name: (row.get(name) or "").strip() or None for name in ("title", "query", "license", "split", "layout")}
    extra = {k: v or "" for k, v in row.items() if k is not None and k not in COLUMNS}
    return Entry(
        video=video,
        min_height=None if height is None else round(height),
        duration_s=number("duration_s"),
        extra=extra,
        line=line,
        **texts,
    )
