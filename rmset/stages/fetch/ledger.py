"""The ledger of fetching: `state/fetch/<video_id>.json`, one entry for every video ever requested."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rmset.bounded import parse_json
from rmset.errors import UsageError
from rmset.fields import fitting
from rmset.manifest import Entry
from rmset.root import Root
from rmset.stages.fetch.causes import RULES, Cause
from rmset.stages.fetch.config import FetchConfig

NAME = "fetch"
_SILENCES = "state/hosts.json"


@dataclass(frozen=True)
class FetchRecord:
    """Outcome of one requested video."""

    video_id: str
    url: str
    status: Literal["done", "waiting", "failed"]
    cause: Cause | None = None
    error: str | None = None
    """the downloader's or host's own words, one line"""
    tries: int = 0
    """visits so far"""
    min_height: int = 0
    """requested minimum height at the last try, px"""
    children: tuple[str, ...] = field(default=())
    """ids of the videos of a page, feed or playlist; empty for a video"""
    updated: str = ""
    """UTC time, ISO 8601"""

    def to_json(self) -> str:
        """As written into the root."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> FetchRecord:
        """Read what `to_json` wrote; a cause of a newer program is read as unknown."""
        raw = parse_json(text, "fetch ledger entry")
        if isinstance(raw, dict):
            known = raw.get("cause") in (None, *Cause)
            cause = None if raw.get("cause") is None else Cause(raw["cause"]) if known else Cause.UNKNOWN
            raw = {**raw, "cause": cause}
        return cls(**fitting(cls, raw))


def read(root: Root, video_id: str) -> FetchRecord | None:
    """Return the entry of a video; None if it is missing or unreadable."""
    try:
        return FetchRecord.from_json(root.files.read_text(root.state_key(NAME, video_id)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(root: Root, record: FetchRecord) -> None:
    """Write an entry."""
    root.write_text(root.state_key(NAME, record.video_id), record.to_json())


def read_all(root: Root) -> list[FetchRecord]:
    """Return the whole ledger, by id."""
    keys = root.files.keys(f"state/{NAME}/*.json")
    found = (read(root, key.rpartition("/")[2].removesuffix(".json")) for key in keys)
    return [record for record in found if record is not None]


def commonest_causes(records: Collection[FetchRecord]) -> list[dict[str, Any]]:
    """Rows of a table: state, cause, number of videos, one of them in its own words, remedy. Most first."""
    videos = [r for r in records if not r.children]
    counts = Counter((r.status, r.cause) for r in videos)
    rows = []
    for (status, cause), count in sorted(counts.items(), key=lambda item: (item[0][0] != "done", -item[1])):
        example = next((r.error for r in videos if (r.status, r.cause) == (status, cause) and r.error), None)
        remedy = RULES[cause].remedy if cause else None
        rows.append({"state": status, "cause": cause, "videos": count, "in its own words": example, "remedy": remedy})
    return rows


def parse_retry(text: str | None) -> frozenset[Cause]:
    """`failed` or names of causes, separated by commas: which failures are to be tried again.

    Raises:
        UsageError: a name is unknown.
    """
    if text is None:
        return frozenset()
    if text.strip() == "failed":
        return frozenset(Cause)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in list(Cause):
            raise UsageError(f"--retry {name}: unknown; expected failed, or some of: {', '.join(Cause)}")
    return frozenset(Cause(name) for name in names)


def is_due(root: Root, video_id: str, entry: Entry, config: FetchConfig, retry: Collection[Cause]) -> bool:
    """Whether a video must be visited: not in the root as requested, and not finally failed."""
    before = read(root, video_id)
    if root.files.exists(root.record_key(video_id)):
        # A file that was removed since is fetched again.
        has_file = any(not key.endswith(".json") for key in root.files.keys(f"videos/{video_id}.*"))
        return not has_file or root.record(video_id).section != config.section
    if before is None or before.status == "waiting" or before.children or before.cause is None:
        return True
    if before.cause is Cause.TOO_SMALL and (entry.min_height or config.min_height) < before.min_height:
        return True
    return before.cause in retry or RULES[before.cause].next_run


def read_silences(root: Root) -> dict[str, tuple[float, float, str]]:
    """Read pauses requested by hosts in an earlier run: `until`, `since` (seconds since 1970), why."""
    try:
        raw = parse_json(root.files.read_text(_SILENCES), _SILENCES)
        return {str(host): (float(until), float(since), str(why)) for host, (until, since, why) in raw.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def write_silences(root: Root, silences: dict[str, tuple[float, float, str]]) -> None:
    """Save pauses requested by hosts, so that the next run respects them even after a kill."""
    root.write_text(_SILENCES, json.dumps(silences, indent=1) + "\n")
