"""Manifests: lists of videos. CSV with one video per line, or TOML with one `[[video]]` each.

    video,title,query,license,min_height,duration_s,split,layout
    dQw4w9WgXcQ,Sad reaction mashup,sad reaction mashup,youtube,1080,612.0,train,

Only `video` is needed. Unknown columns are kept.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rmset.bounded import read_text
from rmset.errors import ManifestError, UnreadableError
from rmset.outputs import written

MOST_BYTES = 256 << 20
COLUMNS = ("video", "title", "query", "license", "min_height", "duration_s", "split", "layout")
_TEXTS = ("title", "query", "license", "split", "layout")
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_YOUTUBE_URL = re.compile(
    r"https?://(?:(?:www|m|music)\.)?(?:youtube(?:-nocookie)?\.com/(?:watch\?(?:[^#]*&)?v=|(?:shorts|embed|live|v)/)|youtu\.be/)"
    r"(?P<id>[A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s\x00-\x1f]+", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Entry:
    """One entry of a manifest."""

    video: str
    """YouTube id, URL, or path of a local file"""
    title: str | None = None
    query: str | None = None
    license: str | None = None
    min_height: int | None = None
    """px"""
    duration_s: float | None = None
    """expected length, s"""
    split: str | None = None
    layout: str | None = None
    """path of a layout file that belongs to the video"""
    extra: dict[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def youtube_id(self) -> str | None:
        """YouTube's id, if it is a YouTube video."""
        if _YOUTUBE_ID.fullmatch(self.video):
            return self.video
        found = _YOUTUBE_URL.match(self.video)
        return found["id"] if found else None

    @property
    def is_local(self) -> bool:
        """Whether the video is a local file."""
        return not (_URL.fullmatch(self.video) or _YOUTUBE_ID.fullmatch(self.video))

    @property
    def url(self) -> str:
        """URL or path of the video."""
        return f"https://www.youtube.com/watch?v={self.youtube_id}" if self.youtube_id else self.video


def read(path: Path) -> list[Entry]:
    """Read a manifest: TOML by its suffix, else CSV.

    Raises:
        ManifestError: it is missing or invalid; the message names the line.
    """
    try:
        text = read_text(path, MOST_BYTES)
    except (OSError, UnreadableError) as error:
        raise ManifestError(f"manifest {path}: cannot be read ({error}); give a CSV or TOML file in UTF-8") from error
    rows = _toml_rows(path, text) if path.suffix.lower() == ".toml" else _csv_rows(path, text)
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for line, row in rows:
        entry = _entry(path, line, row)
        name = entry.youtube_id or entry.video
        if name in seen:
            raise ManifestError(
                f"manifest {path}, line {line}: expected each video once, found {name}, which is on line {seen[name]} "
                "already; remove one of them"
            )
        seen[name] = line
        entries.append(entry)
    if not entries:
        raise ManifestError(f"manifest {path}: expected at least one video, found none; add one with its id or URL")
    return entries


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # A quoted cell may span lines; messages name the first line of a record.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    line = 1
    try:
        for row in reader:
            begins, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if names is None:
                names = _header(path, begins, [cell.strip() for cell in row])
            elif len(row) > len(names):
                raise ManifestError(
                    f"manifest {path}, line {begins}: expected {len(names)} columns, found {len(row)}; "
                    "put cells that hold a comma in double quotes"
                )
            else:
                yield begins, dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise ManifestError(f"manifest {path}, line {line}: no CSV ({error}); close every double quote") from error
    if names is None:
        raise ManifestError(f"manifest {path}, line 1: expected a column `video`, found nothing; write the header")


def _header(path: Path, line: int, names: list[str]) -> list[str]:
    doubled = next((n for n in names if names.count(n) > 1), None)
    if "video" not in names or doubled is not None:
        wanted = "a column `video`" if doubled is None else "each column once"
        found = ", ".join(names)[:80] if doubled is None else f"{doubled} twice"
        raise ManifestError(f"manifest {path}, line {line}: expected {wanted}, found {found}; correct the header")
    return names


def _toml_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # tomllib ends its message with the line and column.
        raise ManifestError(f"manifest {path}: no TOML ({error}); correct it there") from error
    tables = raw.get("video")
    if not (isinstance(tables, list) and all(isinstance(t, dict) for t in tables)):
        raise ManifestError(f"manifest {path}, line 1: expected tables [[video]], found {', '.join(raw) or 'nothing'}")
    heads = [n for n, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*video\s*\]\]", line)]
    for number, table in enumerate(tables):
        yield heads[number] if number < len(heads) else 0, table


def _entry(path: Path, line: int, row: Mapping[str, Any]) -> Entry:
    def fail(expected: str, found: object, remedy: str) -> ManifestError:
        return ManifestError(f"manifest {path}, line {line}: expected {expected}, found {found}; {remedy}")

    def text(name: str) -> str | None:
        value = row.get(name)
        if isinstance(value, (dict, list)):
            raise fail(f"text as {name}", type(value).__name__, "write it in quotes")
        return None if value is None else str(value).strip() or None

    def number(name: str) -> float | None:
        value = text(name)
        if value is None:
            return None
        try:
            result = float(value)
        except ValueError:
            result = -1.0
        if not 0 < result < 1e9:
            raise fail(f"a number above 0 as {name}", repr(value[:40]), "correct it or leave it empty")
        return result

    video = text("video")
    if video is None:
        raise fail("a video id, URL or file", "nothing", "fill in the column `video`")
    if "\x00" in video or len(video) > 4096:
        raise fail("a video id, URL or file", "a NUL or more than 4,096 characters", "correct it")
    if _SCHEME.match(video) and not _URL.fullmatch(video):
        raise fail("http:// or https://", repr(video[:60]), "give a URL without blanks, an id, or the path of a file")
    height = number("min_height")
    return Entry(
        video=video,
        min_height=None if height is None else round(height),
        duration_s=number("duration_s"),
        extra={k: "" if v is None else str(v) for k, v in row.items() if k not in COLUMNS},
        line=line,
        **{name: text(name) for name in _TEXTS},
    )


def write(path: Path, entries: Sequence[Entry]) -> None:
    """Write a manifest as CSV, unknown columns last."""
    extra = list(dict.fromkeys(name for entry in entries for name in entry.extra))
    out = io.StringIO()
    writer = csv.DictWriter(out, [*COLUMNS, *extra], restval="", lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        known = {name: getattr(entry, name) for name in COLUMNS}
        writer.writerow({k: "" if v is None else v for k, v in (known | entry.extra).items()})
    with written(path, mode=None) as partial:
        partial.write_text(out.getvalue(), encoding="utf-8")


def content_hash(entries: Iterable[Entry]) -> str:
    """Hex sha256 of the entries, independent of format and order of lines and columns."""
    # Empty cells are ignored, in known and unknown columns.
    filled = (replace(e, extra={k: v for k, v in e.extra.items() if v}) for e in entries)
    wanted = sorted(
        json.dumps({k: v for k, v in asdict(e).items() if k != "line" and v}, sort_keys=True) for e in filled
    )
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()


def read_queries(path: Path) -> list[dict[str, str]]:
    """Search queries: CSV with a column `query`; the other columns (emotion, language) are kept.

    Raises:
        ManifestError: it cannot be read, or has no such column.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, MOST_BYTES), newline="")))
    except (OSError, UnreadableError, csv.Error) as error:
        raise ManifestError(f"queries {path}: cannot be read ({error}); give a CSV file in UTF-8") from error
    if not rows or "query" not in rows[0]:
        raise ManifestError(f"queries {path}, line 1: expected a column `query` and a query, found none; add them")
    return [{k: v or "" for k, v in row.items() if k is not None} for row in rows if (row["query"] or "").strip()]
