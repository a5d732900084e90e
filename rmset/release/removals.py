"""Removals as a release shows them, `removed.json`: which ids are gone, and a hash by which others know the same faces.

No reason, time, box, look or address: only who has the faces already can find the removed by it.

The hash of a removal is that of its face rows (frame and box). Ids of people are those of one run of the tracker; two
data sets mean the same person by one id only if the hash of their rows is the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rmset.bounded import parse_json
from rmset.errors import RootError
from rmset.fields import fitting
from rmset.parts.shards import keys_of
from rmset.read.absent import read_removed
from rmset.records import check_video_id
from rmset.root import Root
from rmset.tombstones import Tombstone

SCHEMA = 1
NAME = "removed.json"
MOST = 256 << 20
"""largest file of removals, bytes"""
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Removal:
    """One removal, as published."""

    what: Literal["video", "person", "crops"]
    video_id: str
    """id in the release"""
    person_id: int | None = None
    sha256: str = ""
    """of the source video, before anything was made gray in it"""
    faces: tuple[str, ...] = ()
    """hashes of its face rows: of all of them, and of those that earlier removals had left"""
    frames: tuple[tuple[int, int, int], ...] = ()
    """of `crops`: (person, first frame, last frame)"""

    def __post_init__(self) -> None:
        """Check the values, which come from elsewhere."""
        check_video_id(self.video_id)
        if not all(_HASH.fullmatch(h) for h in (*self.faces, *([self.sha256] if self.sha256 else []))):
            raise ValueError("expected hashes of 64 hexadecimal digits")
        if not all(0 <= p < 1 << 15 and 0 <= a <= b < 1 << 31 for p, a, b in self.frames):
            raise ValueError("expected runs of frames (person, first, last)")
        if self.what == "person" and not (self.person_id is not None and 0 <= self.person_id < 1 << 15):
            raise ValueError("expected the id of a person")

    @property
    def key(self) -> str:
        """Removed video or person: `ID` or `ID:PERSON`."""
        return self.video_id if self.person_id is None else f"{self.video_id}:{self.person_id}"

    def has(self, rows: pa.Table) -> pa.Array:
        """Return which face rows (person_id, frame_idx) it names: (N,) bool."""
        if self.what == "video":
            return pa.array(np.ones(len(rows), np.bool_))
        if self.what == "person":
            return pc.equal(rows["person_id"], self.person_id)
        people, frames = rows["person_id"].to_numpy(), rows["frame_idx"].to_numpy()
        found = np.zeros(len(rows), np.bool_)
        for person, first, last in self.frames:
            found |= (people == person) & (first <= frames) & (frames <= last)
        return pa.array(found)

    def means(self, rows: pa.Table) -> bool:
        """Whether the faces that it names in these rows (person_id, frame_idx, x0 … y1) are those that were removed."""
        return hash_of_faces(rows.filter(self.has(rows))) in self.faces


def hash_of_faces(rows: pa.Table) -> str:
    """Hash the frames and boxes of face rows, in any order: hex sha256."""
    order = np.argsort(keys_of(rows), kind="stable")
    digest = hashlib.sha256(keys_of(rows)[order].astype("<i8").tobytes())
    for name in ("x0", "y0", "x1", "y1"):
        digest.update(rows[name].to_numpy()[order].astype("<f4").tobytes())
    return digest.hexdigest()


def removals_of(root: Root, ids: Mapping[str, str]) -> list[Removal]:
    """Return the removals of a root as published.

    Args:
        root: the data set.
        ids: its video ids -> those of the release.
    """
    found = []
    for number, stone in enumerate(root.removed()):
        if stone.published is not None:
            # It follows that of another publisher, whose hash it keeps.
            found.append(Removal(**fitting(Removal, json.loads(stone.published))))
        elif stone.what == "video":
            found.append(Removal("video", ids[stone.video_id], sha256=stone.sha256))
        else:
            found.append(_of_faces(root, number, stone, ids[stone.video_id]))
    return found


def _of_faces(root: Root, number: int, stone: Tombstone, video_id: str) -> Removal:
    rows = read_removed(root, stone.video_id)
    own = pc.equal(rows["tombstone"], number)
    if stone.what == "person":
        # Other people's faces over theirs have another id.
        rows = rows.filter(pc.equal(rows["person_id"], stone.person_id))
        own = pc.equal(rows["tombstone"], number)
        hashes = [hash_of_faces(rows.filter(own))]
        for earlier in sorted({n for n in rows["tombstone"].to_pylist() if n < number}, reverse=True):
            since = pc.and_(pc.greater_equal(rows["tombstone"], earlier), pc.less_equal(rows["tombstone"], number))
            hashes.append(hash_of_faces(rows.filter(since)))
        return Removal("person", video_id, stone.person_id, stone.sha256, tuple(hashes))
    rows = rows.filter(own)
    return Removal("crops", video_id, None, stone.sha256, (hash_of_faces(rows),), _runs(rows))


def _runs(rows: pa.Table) -> tuple[tuple[int, int, int], ...]:
    """Return the runs of frames (person, first, last) of face rows."""
    keys = np.unique(keys_of(rows))
    starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 2) != 1)
    ends = np.append(starts[1:], len(keys)) - 1
    low = (1 << 32) - 1
    return tuple(
        (int(keys[a]) >> 32, int(keys[a]) & low, int(keys[b]) & low) for a, b in zip(starts, ends, strict=True)
    )


def to_json(removals: list[Removal]) -> str:
    """Format as in a release."""
    rows = [{k: v for k, v in asdict(r).items() if v not in (None, "", ())} for r in removals]
    return json.dumps({"schema": SCHEMA, "removed": rows}, indent=1) + "\n"


def from_json(text: str, name: str) -> list[Removal]:
    """Read what `to_json` wrote, from anybody.

    Raises:
        RootError: not a list of published removals, or written by a newer program.
    """
    try:
        raw = parse_json(text, name)
        if raw["schema"] > SCHEMA:
            raise RootError(f"{name}: expected schema {SCHEMA}, found {raw['schema']}; update rmset")
        return [Removal(**fitting(Removal, entry)) for entry in raw["removed"]]
    except RootError:
        raise
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise RootError(f"{name}: expected the removals of a release, found none ({what}); get it again") from error
