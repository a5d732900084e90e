"""The SQL of the catalogue, as text: views, macros, and which statements a reader may run. Nothing here runs it."""

from __future__ import annotations

from collections.abc import Sequence

FACE_COLUMNS = (
    "video_id, person_id, part, segment, frame_idx, time_ms, x0, y0, x1, y1, score, source, iou_ref, landmarks"
)
CROP_COLUMNS = (
    "video_id, person_id, segment, frame_idx, time_ms, width, height, image, sharpness, brightness, yaw, padding"
)

VIDEOS = """
create table videos (
  video_id varchar, title varchar, uploader varchar, license varchar, source_url varchar, width integer,
  height integer, fps double, frame_count integer, duration_s double, codec varchar, sha256 varchar)
"""
REGIONS = """
create table regions (
  video_id varchar, segment smallint, x0 double, y0 double, x1 double, y1 double, start_frame integer,
  end_frame integer, source varchar, confidence double, reviewed boolean)
"""
PEOPLE = """
create table people (
  video_id varchar, segment smallint, person_id smallint, x0 double, y0 double, x1 double, y1 double,
  panel_x0 double, panel_y0 double, panel_x1 double, panel_y1 double, reference_frame integer, source varchar,
  confidence double)
"""
# What a view shows when no video has come so far: its columns, and no row.
NO_FACES = """
create table faces (
  video_id varchar, person_id smallint, part smallint, segment smallint, frame_idx integer, time_ms double,
  x0 float, y0 float, x1 float, y1 float, score float, source varchar, iou_ref float, landmarks float[])
"""
NO_CROPS = """
create table crops (
  video_id varchar, person_id smallint, segment smallint, frame_idx integer, time_ms double, width smallint,
  height smallint, image struct(bytes blob, path varchar), sharpness float, brightness float, yaw float,
  padding float)
"""
POSITIVES = """
create macro positives(video_id, person_id, frame_idx, d := 5) as table
  select f.* from faces f
  where f.video_id = video_id and f.person_id <> person_id
    and f.frame_idx between frame_idx - d and frame_idx + d
  order by f.frame_idx, f.person_id
"""
NEGATIVES = """
create macro negatives(video_id, person_id, frame_idx, d_far := 30) as table
  select f.* from faces f
  where f.video_id = video_id and f.person_id = person_id
    and (f.frame_idx < frame_idx - d_far or f.frame_idx > frame_idx + d_far)
  order by f.frame_idx
"""


def literal(text: str) -> str:
    """A text as an SQL literal.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def view(name: str, columns: str, paths: Sequence[str]) -> str:
    """A view over Parquet files."""
    files = ", ".join(literal(p) for p in paths)
    return f"create view {name} as select {columns} from read_parquet([{files}])"  # noqa: S608  (quoted above)
