"""Two nouns: a video, and what a stage did with it. Frozen, and checked when made."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rmset.bounded import parse_json
from rmset.errors import RootError, UsageError
from rmset.fields import fitting

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What no video has: sides in px, frames.
_WIDEST, _LONGEST = 1 << 16, 1 << 31


def check_video_id(video_id: str) -> str:
    """Return the id if it may become a file name.

    Raises:
        UsageError: it is not `[A-Za-z0-9_-]{1,64}`.
    """
    if not VIDEO_ID.fullmatch(video_id):
        raise UsageError(f"video id {video_id[:80]!r}: expected 1 to 64 of A-Z a-z 0-9 _ -; rename the video")
    return video_id


def local_video_id(stem: str, sha256: str) -> str:
    """Return the id of a local file: slug of its stem, at most 40 characters, and 8 hex digits of its sha256.

    >>> local_video_id("My mashup (final)", "ab12cd34" + "0" * 56)
    'My-mashup-final-ab12cd34'
    """
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:40].rstrip("-")
    return check_video_id(f"{slug or 'video'}-{sha256[:8]}")


def url_video_id(url: str) -> str:
    """Return the video id for a URL, without a request to its host.

    The hash distinguishes videos, not the name: no two URLs collide by case, by length or by a reserved name.

    >>> url_video_id("https://example.org/films/../CON.mp4")
    'CON-70dc33a5'
    """
    name = url.split("#")[0].split("?")[0].rstrip("/").rpartition("/")[2]
    return local_video_id(name.rpartition(".")[0] or name, hashlib.sha256(url.encode()).hexdigest())


@dataclass(frozen=True)
class VideoRecord:
    """Record of a source video: `videos/<video_id>.json`."""

    video_id: str
    width: int
    """pixels, as shown (after rotation)"""
    height: int
    fps: float
    """average frames per second; times come from timestamps, never from this"""
    frame_count: int
    duration_s: float
    codec: str
    sha256: str
    bytes: int
    title: str | None = None
    uploader: str | None = None
    license: str | None = None
    source_url: str | None = None
    fault: str | None = None
    """fault of the file, although it is usable (truncated, for example)"""
    channel: str | None = None
    query: str | None = None
    """the search that found it"""
    split: str | None = None
    section: tuple[float, float | None] | None = None
    """the requested part of the source, seconds; None: all of it"""
    format_id: str | None = None
    """the host's name of the format that was downloaded"""
    yt_dlp: str | None = None
    """version of the downloader"""
    downloaded: str | None = None
    """UTC time, ISO 8601"""
    notes: dict[str, str] = field(default_factory=dict)
    """corrections that players apply, by kind: pixels made square, mirrored, frames hidden, …"""
    numbering: int = 0
    """version of the frame numbering (`rmset.parts.numbering.VERSION`); 0: before versions"""

    def __post_init__(self) -> None:
        """Check the values."""
        check_video_id(self.video_id)
        sizes = (self.width, self.height)
        if not (min(sizes) >= 1 and max(sizes) <= _WIDEST and 1 <= self.frame_count < _LONGEST):
            raise RootError(
                f"video {self.video_id}: expected a size and at least one frame, found "
                f"{self.width}x{self.height} with {self.frame_count}; add it again"
            )

    @property
    def frame_size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return (self.width, self.height)

    def to_json(self) -> str:
        """As written into the root."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> VideoRecord:
        """Read what `to_json` wrote; unknown keys, written by a newer program, are left out.

        Raises:
            RootError: not a video record.
        """
        try:
            return cls(**fitting(cls, parse_json(text, "video record")))
        except (ValueError, TypeError) as error:
            raise RootError(f"not a video record ({error}); add or fetch the video again") from error


@dataclass(frozen=True)
class StageRecord:
    """Ledger entry of one stage and video: `state/<stage>/<video_id>.json`."""

    stage: str
    video_id: str
    status: Literal["running", "done", "failed"]
    """`running` is written before the work begins; a killed stage leaves it behind"""
    config_hash: str
    input_hash: str
    outputs: dict[str, str] = field(default_factory=dict)
    """key of each file that the stage wrote -> its sha256"""
    counts: dict[str, Any] = field(default_factory=dict)
    """what the stage counted: faces, frames, …"""
    config: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """the true cause of a failure, one line"""
    finished: str = ""
    """UTC time, ISO 8601"""
    seconds: float = 0.0
    traceback: str | None = None
    """where in the program the failure arose"""
    last_done: StageRecord | None = None
    """of a stage that runs or has failed: its last finished run, whose files are still in place"""

    @property
    def standing(self) -> StageRecord | None:
        """The finished run that the files in place come from; None if no run has finished."""
        return self if self.status == "done" else self.last_done

    @property
    def was_run(self) -> bool:
        """Whether its config was ever run; entries of version 0.1 also tell of runs that were refused the lock."""
        return self.status == "done" or bool(self.input_hash)

    def to_json(self) -> str:
        """As written into the root."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> StageRecord:
        """Read what `to_json` wrote.

        Raises:
            ValueError: not a ledger entry.
        """
        raw = parse_json(text, "ledger entry")
        return cls(**fitting(cls, _with_nested(raw)))


def _with_nested(raw: Any) -> Any:
    """Return the raw entry, its last finished run made a record; no more than one is kept."""
    if isinstance(raw, dict) and isinstance(before := raw.get("last_done"), dict):
        return {**raw, "last_done": StageRecord(**fitting(StageRecord, {**before, "last_done": None}))}
    return raw
