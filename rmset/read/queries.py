"""SQL texts of the catalog: tables, views and macros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FACE_TYPES = {
    "person_id": "smallint", "part": "smallint", "segment": "smallint", "frame_idx": "integer", "time_ms": "double",
    "x0": "float", "y0": "float", "x1": "float", "y1": "float", "score": "float", "source": "varchar",
    "iou_ref": "float", "landmarks": "float[]",
}  # fmt: skip
CROP_TYPES = {
    "person_id": "smallint", "segment": "smallint", "frame_idx": "integer", "time_ms": "double", "width": "smallint",
    "height": "smallint", "image": "struct(bytes blob, path varchar)", "encoded_size": "integer", "sharpness": "float",
    "brightness": "float", "yaw": "float", "padding": "float",
}  # fmt: skip
# No guessing by DuckDB: a folder named `key=value` above the root is no partition, and columns are those of the schema.
_OPTIONS = (
    "filename = true, hive_partitioning = false, hive_types_autocast = false, union_by_name = false, "
    "binary_as_string = false"
)

VIDEOS = """
create table videos (
  video_id varchar, title varchar, uploader varchar, license varchar, source_url varchar, width integer,
  height integer, fps double, frame_count integer, duration_s double, codec varchar, sha256 varchar,
  confidence double)
"""
SEGMENTS = """
create table segments (
  video_id varchar, segment smallint, start_frame integer, end_frame integer, reference_frame integer,
  reviewed boolean, confidence double)
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
AUDIT = """
create table audit (
  video_id varchar, question varchar, answer varchar, good boolean, frame_idx integer, box double[],
  person_id smallint, detail varchar, confidence double)
"""
REMOVED = """
create table removed (
  what varchar, key varchar, reason varchar, time varchar, state varchar, faces integer, crops integer)
"""
PERSONS = """
create table persons (
  person_key varchar, video_id varchar, person_id smallint, similarity float, source varchar)
"""


def _empty(view: str, types: Mapping[str, str]) -> str:
    """Return an empty table in place of a view for which no video has data yet."""
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    return f"create table {view} (video_id varchar, {columns})"


# Ids of one person in one video, who may have several there. Parameters of a macro cannot be used inside a subquery.
_SAME = (
    "select own.video_id, own.person_id, other.person_id from persons own join persons other "
    "on other.person_key = own.person_key and other.video_id = own.video_id"
)
NO_FACES = _empty("faces", FACE_TYPES)
NO_CROPS = _empty("crops", CROP_TYPES)
DUPLICATE_TYPES = {
    "person_id": "smallint", "frame_idx": "integer", "of_video_id": "varchar", "of_person_id": "smallint",
    "of_frame_idx": "integer", "difference": "float", "edit": "varchar",
}  # fmt: skip
NO_DUPLICATES = _empty("duplicates", DUPLICATE_TYPES)
NO_PREDICTIONS = "create table predictions (run varchar, video_id varchar, person_id smallint, frame_idx integer)"
POSITIVES = f"""
create macro positives(video_id, person_id, frame_idx, d := 5) as table
  select f.* from faces f
  where f.video_id = video_id and f.person_id <> person_id
    and (f.video_id, person_id, f.person_id) not in ({_SAME})
    and f.frame_idx between frame_idx - d and frame_idx + d
  order by f.frame_idx, f.person_id
"""  # noqa: S608  (our own text)
NEGATIVES = f"""
create macro negatives(video_id, person_id, frame_idx, d_far := 30) as table
  select f.* from faces f
  where f.video_id = video_id
    and (f.person_id = person_id or (f.video_id, person_id, f.person_id) in ({_SAME}))
    and (f.frame_idx < frame_idx - d_far or f.frame_idx > frame_idx + d_far)
  order by f.frame_idx
"""  # noqa: S608
# Each anchor is repeated for every frame within reach, so that the join is an equality on the frame and can be hashed.
# A join on a range, or on the video alone, would compare every face with every other.
ALL_POSITIVES = """
create macro all_positives(video_id, d := 5) as table
  with k as (select p.person_key, min(p.person_id) as who, unnest(list(p.person_id)) as person_id from persons p
    where p.video_id = video_id group by p.person_key),
  f as materialized (select f.person_id, f.frame_idx, coalesce(k.who, f.person_id) as who
    from faces f left join k on k.person_id = f.person_id where f.video_id = video_id),
  a as (select person_id, frame_idx, who, unnest(range(-d, d + 1))::int as apart from f)
  select a.person_id, a.frame_idx, c.person_id as other_person_id, c.frame_idx as other_frame_idx
  from a join f c on c.frame_idx = a.frame_idx + a.apart and c.who <> a.who
"""
NAMES = (
    "videos", "segments", "regions", "people", "audit", "removed", "persons", "faces", "crops", "predictions",
    "duplicates",
)  # fmt: skip
TABLES = (VIDEOS, SEGMENTS, REGIONS, PEOPLE, AUDIT, REMOVED, PERSONS)
MACROS = (POSITIVES, NEGATIVES, ALL_POSITIVES)


def literal(text: str) -> str:
    """Return a text as an SQL literal.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _read(paths: Sequence[str], more: str = "") -> str:
    files = ", ".join(map(literal, paths))
    return f"read_parquet([{files}], {_OPTIONS}{more})"


def _columns(types: Mapping[str, str]) -> str:
    # Qualified, because DuckDB 2 mistakes a bare name inside a view for a parameter of the macro that uses the view.
    return ", ".join(f"t.{name}::{kind} as {name}" for name, kind in types.items())


def faces_view(paths: Sequence[str]) -> str:
    """Return a view over `tracks/<video_id>.parquet` files; see `crops_view`."""
    return (
        f"create view faces as select parse_filename(t.filename, true) as video_id, {_columns(FACE_TYPES)} "  # noqa: S608
        f"from {_read(paths)} t"
    )


def crops_view(paths: Sequence[str]) -> str:
    """Return a view over `crops/<video_id>/part-NNN.parquet` files.

    The video id comes from the file's name. So a condition on it excludes whole files before any is opened, which
    statistics inside the files cannot do: over 45 million rows this saves a second or two of reading footers.
    """
    return (
        f"create view crops as select split_part(t.filename, '/', -2) as video_id, {_columns(CROP_TYPES)} "  # noqa: S608
        f"from {_read(paths)} t"
    )


def predictions_view(paths: Sequence[str], classes: Sequence[str]) -> str:
    """Return a view over `predictions/<run>/<video_id>.parquet` files; runs of other classes have null in these.

    Args:
        paths: the files.
        classes: all class columns, in order.
    """
    columns = ", ".join(f"t.{quoted(name)}::float as {quoted(name)}" for name in classes)
    options = _OPTIONS.replace("union_by_name = false", "union_by_name = true")
    files = ", ".join(map(literal, paths))
    return (
        f"create view predictions as select split_part(t.filename, '/', -2) as run, "  # noqa: S608
        f"parse_filename(t.filename, true) as video_id, t.person_id::smallint as person_id, "
        f"t.frame_idx::integer as frame_idx, {columns} from read_parquet([{files}], {options}) t"
    )


def quoted(name: str) -> str:
    """Return a name as an SQL identifier, with its quotes doubled."""
    return '"' + name.replace('"', '""') + '"'


def duplicates_view(paths: Sequence[str]) -> str:
    """Return a view over `duplicates.parquet` and `duplicates/<video_id>.parquet`."""
    types = _columns({"video_id": "varchar"} | DUPLICATE_TYPES)
    return f"create view duplicates as select {types} from {_read(paths)} t"  # noqa: S608


def rows_where(paths: Sequence[str], conditions: Sequence[str]) -> str:
    """Write the query for file and row of the crops that meet all conditions, which refer to `c`."""
    return (
        f"with c as (select split_part(filename, '/', -2) as video_id, * exclude (video_id, image) "  # noqa: S608
        f"from {_read(paths, ', file_row_number = true')}) "
        f"select filename, file_row_number from c where {' and '.join(conditions) or 'true'}"
    )


def candidates(
    kind: str, near: float, far: float, *, clock: str, same_segment: bool = False, conditions: Sequence[str] = ()
) -> str:
    """Write the query for one anchor's candidates among `crops`, given $video_id, $person_id and $frame_idx.

    Args:
        kind: `positives` or `negatives`.
        near: positives lie within ± this, in units of `clock`.
        far: negatives lie beyond ± this, in units of `clock`.
        clock: `frame_idx` or `time_ms`.
        same_segment: whether positives must be in the anchor's segment.
        conditions: conditions on `crops c` for participating crops.
    """
    same = f"(c.video_id, $person_id, c.person_id) in ({_SAME})"
    if kind == "positives":
        rule = f"c.person_id <> a.person_id and not {same} "
        rule += f"and c.{clock} between a.{clock} - {near!r} and a.{clock} + {near!r}"
        rule += " and c.segment = a.segment" if same_segment else ""
    else:
        rule = f"(c.person_id = a.person_id or {same}) "
        rule += f"and (c.{clock} < a.{clock} - {far!r} or c.{clock} > a.{clock} + {far!r})"
    return (
        f"with a as (select * exclude (image) from crops where video_id = $video_id and person_id = $person_id "  # noqa: S608
        f"and frame_idx = $frame_idx) "
        f"select c.* exclude (image) from crops c join a on c.video_id = a.video_id "
        f"where c.video_id = $video_id and {' and '.join([rule, *conditions])} order by c.{clock}, c.person_id"
    )
