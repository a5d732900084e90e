"""What a root keeps of a rebuilt video: the outcome, and which released face each of its faces is; counts of outcomes.

`rebuilt/<video_id>.parquet` has one row per released face: its person, frame and box in the release, and its frame here
(-1 if that is gone). Later removals of the publisher name faces as released.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset.bounded import parse_json
from rmset.errors import RmsetError, RootError
from rmset.fields import fitting
from rmset.parts.shards import opened, read, read_faces
from rmset.records import check_video_id
from rmset.root import Root

State = Literal["identical", "equivalent", "rotted", "removed", "failed"]
WHOLE = ("identical", "equivalent")
_COLUMNS = (
    "video_id", "state", "offset_s", "tempo", "scale", "frames", "bits", "margin", "faces", "released", "cause",
)  # fmt: skip
"""of the table of outcomes"""
_FIELDS = [
    pa.field("person_id", pa.int16(), nullable=False),
    pa.field("frame_idx", pa.int32(), nullable=False),
    *(pa.field(name, pa.float32(), nullable=False) for name in ("x0", "y0", "x1", "y1")),
    pa.field("here", pa.int32(), nullable=False),
]


@dataclass(frozen=True)
class Rebuilt:
    """How one released video was rebuilt."""

    video_id: str
    state: State
    """`identical`: the same bytes; `equivalent`: another encoding; `rotted`: gone or changed at its source; `removed`:
    by its publisher or here; `failed`: may succeed in another run"""
    faces: int = 0
    """faces rebuilt"""
    released: int = 0
    """faces of the release"""
    crops: int = 0
    offset_s: float | None = None
    """released time at which the file begins"""
    tempo: float | None = None
    scale: float | None = None
    """px of the file by px of the released video"""
    bits: float | None = None
    """mean difference of the frames' hashes, of 256 bits"""
    margin: float | None = None
    """bits that a shift by one frame would add"""
    frames: float | None = None
    """share of the released frames that the file shows"""
    cause: str | None = None
    """why it is not whole"""
    release: str = ""
    """hash of the release"""
    sha256: str = ""
    """of the file"""

    def to_json(self) -> str:
        """Format as `state/rebuild/<video_id>.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class Summary:
    """How much of a release is whole."""

    videos: dict[str, int]
    """state -> videos"""
    causes: dict[str, int]
    """why videos are rotted -> videos"""
    faces: int
    """faces rebuilt"""
    released: int
    """faces of the release, without those removed since"""

    @property
    def whole(self) -> float:
        """Share of the released faces that are rebuilt."""
        return self.faces / self.released if self.released else 1.0


def summary(outcomes: list[Rebuilt]) -> Summary:
    """Count outcomes."""
    videos: dict[str, int] = {}
    causes: dict[str, int] = {}
    for each in outcomes:
        videos[each.state] = videos.get(each.state, 0) + 1
        if each.state == "rotted" and each.cause is not None:
            kind = each.cause.partition(":")[0]
            causes[kind] = causes.get(kind, 0) + 1
    kept = [each for each in outcomes if each.state != "removed"]
    return Summary(videos, causes, sum(e.faces for e in kept), sum(e.released for e in kept))


def as_row(outcome: Rebuilt) -> dict[str, object]:
    """Return an outcome as a row of a table."""
    return {name: getattr(outcome, name) for name in _COLUMNS}


def key_of(video_id: str) -> str:
    """Key of the rows of a rebuilt video."""
    return f"rebuilt/{check_video_id(video_id)}.parquet"


def read_outcome(root: Root, video_id: str) -> Rebuilt | None:
    """Return how a video was rebuilt; None if it was not, or that is unreadable."""
    try:
        text = root.files.read_text(root.state_key("rebuild", video_id))
        return Rebuilt(**fitting(Rebuilt, parse_json(text, "rebuild")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_outcome(root: Root, outcome: Rebuilt) -> None:
    """Record how a video was rebuilt."""
    root.write_text(root.state_key("rebuild", outcome.video_id), outcome.to_json())


def write_rows(root: Root, video_id: str, faces: pa.Table, here: npt.NDArray[np.int32]) -> None:
    """Write the released face rows of a rebuilt video, and their frames here (N,)."""
    columns = {name: faces[name] for name in ("person_id", "frame_idx", "x0", "y0", "x1", "y1")}
    with root.files.publish(key_of(video_id)) as path:
        pq.write_table(pa.table({**columns, "here": here}, pa.schema(_FIELDS)), path, compression="zstd", version="2.6")


def released_rows(root: Root, video_id: str) -> pa.Table:
    """Return face rows as they were released (person_id, frame_idx, x0 … y1), and their frames here.

    Of a video that was not rebuilt these are its own tracks: a root may be a copy of the publisher's.

    Raises:
        RootError: they are damaged.
    """
    key = key_of(video_id)
    if not root.files.exists(key):
        tracks = root.tracks_key(video_id)
        if not root.files.exists(tracks):
            return pa.schema(_FIELDS).empty_table()
        own = read_faces(root.files.local(tracks), [f.name for f in _FIELDS[:-1]])
        return own.append_column(_FIELDS[-1], own["frame_idx"])
    try:
        return read(opened(root.files.local(key))).cast(pa.schema(_FIELDS))
    except (RmsetError, pa.ArrowException, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise RootError(
            f"{root.files.place(key)}: expected released faces, found none ({what}); rebuild {video_id} again"
        ) from error
