"""Records refuse invalid values, and are equal after writing and reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import LayoutError, UsageError
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.records import VIDEO_ID, StageRecord, VideoRecord, check_video_id, local_video_id


def record(**changes):
    values = {"width": 640, "height": 360, "fps": 30.0, "frame_count": 48, "duration_s": 1.6, "codec": "h264"}
    return VideoRecord(**({"video_id": "v", "sha256": "0" * 64, "bytes": 9} | values | changes))


def test_a_video_record_survives_json():
    before = record(title="Grüße “quoted”", fps=30000 / 1001)
    assert VideoRecord.from_json(before.to_json()) == before


def test_a_record_of_a_newer_program_can_still_be_read():
    text = record().to_json().replace('"video_id"', '"from_the_future": 1, "video_id"', 1)
    assert VideoRecord.from_json(text) == record()


@given(st.text(max_size=80), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_whatever_a_file_is_called_its_video_id_is_safe(stem, sha256):
    video_id = local_video_id(stem, sha256)
    assert VIDEO_ID.fullmatch(video_id)
    assert video_id.endswith(sha256[:8])


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 65, "a b", "é", "a\0b"])
def test_an_id_that_could_leave_the_root_is_refused(name):
    with pytest.raises(UsageError, match="expected"):
        check_video_id(name)


def layout(**changes):
    person = Person(0, (10, 10, 60, 70), (0, 0, 320, 180), "detected", 0.9)
    segment = {"start_frame": 0, "end_frame": 48, "reference_frame": 3, "people": (person,)}
    region = TriggerRegion((320, 0, 640, 180))
    return Layout("v", (640, 360), (Segment(**(segment | {"trigger_regions": (region,)} | changes)),))


def test_a_layout_survives_json():
    assert Layout.from_json(layout().to_json()) == layout()


@pytest.mark.parametrize(
    "changes",
    [
        {"trigger_regions": (TriggerRegion((320, 0, 641, 180)),)},
        {"people": (Person(0, (-1, 10, 60, 70)),)},
        {"people": (Person(0, (10, 10, 10, 70)),)},
        {"people": (Person(0, (1, 1, 9, 9)), Person(0, (20, 1, 29, 9)))},
        {"people": (Person(0, (1, 1, 9, 9), (0, 0, 900, 9)),)},
        {"reference_frame": 48},
        {"start_frame": 48},
    ],
    ids=["region outside", "person outside", "empty box", "same id twice", "panel outside", "reference", "empty"],
)
def test_a_layout_that_cannot_be_is_refused(changes):
    with pytest.raises(LayoutError, match="expected"):
        layout(**changes)


def test_segments_that_overlap_are_refused():
    with pytest.raises(LayoutError, match="none overlapping"):
        Layout("v", (640, 360), (Segment(0, 10, 0), Segment(9, 20, 9)))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1}', '{"schema": 99}'])
def test_a_file_that_is_no_layout_is_refused_in_one_line(text):
    with pytest.raises(LayoutError) as refusal:
        Layout.from_json(text)
    assert "\n" not in str(refusal.value)


def test_a_stage_record_survives_json():
    before = StageRecord("track", "v", "done", "c", "i", {"tracks/v.parquet": "ab"}, {"faces": 12, "fault": "cut"})
    assert StageRecord.from_json(before.to_json()) == before
