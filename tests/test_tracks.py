"""Track rows from sightings: gaps are bridged or kept, and every row states its source."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rmset.parts.detect import Detections
from rmset.parts.tracks import Sightings, bridge


def seen(frames, *, person=0, segment=0, into=None, speed=1.0):
    sightings = into or Sightings()
    for frame in frames:
        box = np.array([[frame * speed, 0, frame * speed + 10, 20]], np.float32)
        face = Detections(box, np.array([0.9], np.float32), np.zeros((1, 5, 2), np.float32))
        sightings.add(person, segment, frame, frame * 40.0, face, 0, 0.5)
    return sightings


def rows(sightings, stride=1, longest=3, part_gap=10):
    tables = bridge(sightings, "v", stride=stride, longest=longest, part_gap=part_gap)
    return [row for table in tables for row in table.to_pylist()]


def test_a_short_gap_is_filled_along_a_straight_line_and_says_so():
    table = rows(seen([0, 1, 4, 5]))
    assert [(r["frame_idx"], r["x0"], r["time_ms"], r["source"]) for r in table] == [
        (0, 0, 0, "detected"), (1, 1, 40, "detected"), (2, 2, 80, "interpolated"),
        (3, 3, 120, "interpolated"), (4, 4, 160, "detected"), (5, 5, 200, "detected"),
    ]  # fmt: skip


def test_a_long_gap_stays_a_gap_and_a_very_long_one_begins_a_new_part():
    table = rows(seen([0, 1, 8, 9, 40]))
    assert [(r["frame_idx"], r["part"]) for r in table] == [(0, 0), (1, 0), (8, 0), (9, 0), (40, 1)]


def test_nothing_is_bridged_from_one_segment_to_the_next():
    sightings = seen([0, 1], segment=0)
    assert len(rows(seen([3], segment=1, into=sightings))) == 3


def test_parts_are_counted_for_each_person_alone():
    sightings = seen([0, 50, 100], person=0)
    table = rows(seen([0, 1], person=1, into=sightings))
    assert [(r["person_id"], r["part"]) for r in table] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 0)]


def test_a_video_without_faces_gives_an_empty_table():
    assert rows(Sightings()) == []


@given(
    st.lists(st.integers(0, 200), unique=True, max_size=60).map(sorted),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 30),
)
def test_bridging_keeps_what_was_seen_fills_only_between_and_never_twice(steps, stride, longest, part_gap):
    frames = [s * stride for s in steps]
    table = rows(seen(frames), stride, longest, part_gap)
    made = [r["frame_idx"] for r in table]
    assert made == sorted(set(made))
    assert [r["frame_idx"] for r in table if r["source"] == "detected"] == frames
    for frame in set(made) - set(frames):
        before, after = max(f for f in frames if f < frame), min(f for f in frames if f > frame)
        assert frame % stride == 0
        assert (after - before) // stride - 1 <= longest
