"""Tombstones: the list of videos, people and crops removed from a data set, `removed.json`.

A tombstone stays after its data are gone, and stages and readers leave its data out of all later results. It is
`pending` from the request until every file is rewritten; until then its whole video is hidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from rmset.bounded import parse_json
from rmset.errors import RemovedError, RootError
from rmset.fields import fitting
from rmset.records import check_video_id

SCHEMA = 1
KEY = "removed.json"
BLANKED = "blanked"
"""Note of a video in which areas of removed people are gray."""
Kind = Literal["video", "person", "crops"]


@dataclass(frozen=True)
class Tombstone:
    """One removal."""

    what: Kind
    video_id: str
    person_id: int | None
    """id at the time of the removal; None unless one person was removed"""
    reason: str
    time: str
    """UTC time of the request, ISO 8601"""
    faces: int
    """face rows that were removed"""
    crops: int
    """crops that were removed"""
    sha256: str
    """of the source video"""
    export: str | None = None
    """hash of the shards before the removal, by which runs that learned from them are known; None if not exported"""
    source_url: str | None = None
    blank: tuple[tuple[float, ...], ...] | None = None
    """areas of the source video that are made gray (start frame, end frame, x0, y0, x1, y1), beside the removed faces;
    None: the source video stays as it is"""
    state: Literal["pending", "done"] = "pending"
    current: tuple[str, ...] = ()
    """stages whose results were up to date before the removal, and so are after it"""
    published: str | None = None
    """JSON of a publisher's removal (`rmset.release.removals.Removal`) that names what this root did not hold"""

    def __post_init__(self) -> None:
        """Check the values."""
        check_video_id(self.video_id)

    @property
    def key(self) -> str:
        """Removed video or person as on the command line: `ID` or `ID:PERSON`."""
        return self.video_id if self.person_id is None else f"{self.video_id}:{self.person_id}"


@dataclass(frozen=True)
class Tombstones:
    """All removals of a root, oldest first; their positions number the rows of `removed/<video_id>.parquet`."""

    entries: tuple[Tombstone, ...] = ()

    def __iter__(self) -> Iterator[Tombstone]:
        """Iterate over the removals."""
        return iter(self.entries)

    def of(self, video_id: str) -> list[tuple[int, Tombstone]]:
        """Return number and tombstone of each removal from a video."""
        return [(number, t) for number, t in enumerate(self.entries) if t.video_id == video_id]

    @property
    def hidden(self) -> frozenset[str]:
        """Ids of hidden videos: removed ones, and those with an unfinished removal."""
        return frozenset(t.video_id for t in self.entries if t.what == "video" or t.state == "pending")

    def video(self, video_id: str, sha256: str | None = None, url: str | None = None) -> Tombstone | None:
        """Return the tombstone of a removed video by its id, the hash of its bytes, or its address."""
        for stone in self.entries:
            if stone.what == "video":
                # Its bytes before it was blanked are known from earlier removals.
                bytes_of = {t.sha256 for t in self.entries if t.video_id == stone.video_id}
                if stone.video_id == video_id or sha256 in bytes_of or (url is not None and stone.source_url == url):
                    return stone
        return None

    def unplaced(self, video_id: str) -> Tombstone | None:
        """Return a publisher's removal of faces of a video that this root did not hold, and so cannot recognize."""
        return next(
            (t for _, t in self.of(video_id) if t.published is not None and t.what != "video" and not t.faces), None
        )

    def refuse_unplaced(self, video_id: str) -> None:
        """Refuse to look for people in a video from which a publisher has removed some that cannot be recognized.

        Raises:
            RootError: there is such a removal.
        """
        if (stone := self.unplaced(video_id)) is not None:
            raise RootError(
                f"video {video_id}: expected people who may be found, found that its publisher removed {stone.key}, "
                "and not where; take its tracks from a release by `rmset rebuild`, or remove the video"
            )

    def blanked(self, sha256: str) -> str | None:
        """Return the video whose bytes these were before removed people were made gray in it."""
        return next((t.video_id for t in self.entries if t.blank is not None and t.sha256 == sha256), None)

    def refuse(self, video_id: str, sha256: str | None = None, url: str | None = None) -> None:
        """Refuse a video that was removed.

        Raises:
            RemovedError: the video was removed.
        """
        stone = self.video(video_id, sha256, url)
        if stone is not None:
            raise RemovedError(
                f"video {video_id}: expected one that may be taken in, found that it was removed on {stone.time[:10]} "
                f"({stone.reason}); leave it out of the manifest"
            )

    def to_json(self) -> str:
        """Format as in the root."""
        return json.dumps({"schema": SCHEMA, "removed": [asdict(t) for t in self.entries]}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = KEY) -> Tombstones:
        """Read what `to_json` wrote.

        A file that cannot be read is refused rather than ignored: without it removed people would come back.

        Raises:
            RootError: not a list of removals, or written by a newer program.
        """
        try:
            raw = parse_json(text, name)
            if raw["schema"] > SCHEMA:
                raise RootError(f"{name}: expected schema {SCHEMA}, found {raw['schema']}; update rmset")
            return cls(tuple(Tombstone(**fitting(Tombstone, entry)) for entry in raw["removed"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RootError(f"{name}: not a list of removals ({error}); restore it from a backup") from error

    def with_entry(self, entry: Tombstone, number: int | None = None) -> Tombstones:
        """Return the list with one more removal, or with removal `number` replaced."""
        if number is None:
            return Tombstones((*self.entries, entry))
        return Tombstones(tuple(entry if i == number else t for i, t in enumerate(self.entries)))
