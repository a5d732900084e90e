"""Arrow schemas of the tables in a release, and how they are written: the same rows give the same bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.parts.likeness import BYTES
from rmset.release.motion import BYTES as MOTION_BYTES

VERSION = 1
VERSION_KEY = b"rmset.release"
ROW_GROUP = 1 << 17
SPLITS = ("train", "valid", "test")

_TITLES = [pa.field(name, pa.string()) for name in ("title", "uploader", "channel")]
"""columns of `--with-titles`"""
_LINKS = [pa.field("person_key", pa.string()), pa.field("similarity", pa.float32()), pa.field("link", pa.string())]
"""columns of `--persons`"""


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_VIDEOS = [
    _required("video_id", pa.string()),
    pa.field("source_url", pa.string()),
    pa.field("license", pa.string()),
    _required("width", pa.int32()),
    _required("height", pa.int32()),
    _required("fps", pa.float64()),
    _required("frame_count", pa.int32()),
    _required("duration_s", pa.float64()),
    _required("codec", pa.string()),
    _required("sha256", pa.string()),
    _required("bytes", pa.int64()),
    pa.field("section_start_s", pa.float64()),
    pa.field("section_end_s", pa.float64()),
    _required("numbering", pa.int32()),
    # part of the frame inside black bars, px
    *(_required(f"picture_{side}", pa.int32()) for side in ("x0", "y0", "x1", "y1")),
    _required("people", pa.int32()),
    _required("faces", pa.int64()),
    _required("crops", pa.int64()),
    _required("reviewed", pa.bool_()),
    # settings of the stages, JSON
    _required("layout_config", pa.string()),
    _required("track_config", pa.string()),
    _required("export_config", pa.string()),
]
_PEOPLE = [
    _required("video_id", pa.string()),
    _required("person_id", pa.int16()),
    _required("split", pa.string()),
    _required("faces", pa.int64()),
    _required("first_frame", pa.int32()),
    _required("last_frame", pa.int32()),
]
_FACES = [pa.field("source", pa.string(), nullable=False) if f.name == "source" else f for f in schema.FACE_FIELDS]
_FRAMES = [
    _required("time_us", pa.int64()),
    _required("likeness", pa.binary(BYTES)),
    _required("motion", pa.binary(MOTION_BYTES)),
]


def _schema(fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={VERSION_KEY: str(VERSION).encode()})


def videos(titles: bool = False) -> pa.Schema:
    """Return the schema of `videos.parquet`: one row per video."""
    return _schema([*_VIDEOS, *(_TITLES if titles else [])])


def people(links: bool = False) -> pa.Schema:
    """Return the schema of `people.parquet`: one row per person of a video."""
    return _schema([*_PEOPLE, *(_LINKS if links else [])])


def faces() -> pa.Schema:
    """Return the schema of `tracks/<split>/<video_id>.parquet`: face rows of a root, `source` as plain text."""
    return _schema(_FACES)


def frames() -> pa.Schema:
    """Return the schema of `frames/<video_id>.parquet`: time of each frame, hashes of its picture and its motion."""
    return _schema(_FRAMES)


def write(path: Path, table: pa.Table) -> None:
    """Write a table of one of these schemas."""
    names = [n for n in ("video_id", "person_id", "part", "segment", "source", "split") if n in table.column_names]
    # Bytes of successive hashes hardly change: each byte apart, they compress to a fraction.
    apart = ["likeness"] if "likeness" in table.column_names else []
    encoding = {"time_us": "DELTA_BINARY_PACKED"} if apart else {}
    pq.write_table(
        table, path, row_group_size=ROW_GROUP, compression="zstd", version="2.6", use_dictionary=names,
        use_byte_stream_split=apart, column_encoding=encoding or None,
    )  # fmt: skip
