"""Sampled frames of a video are the same as in decoding it from the start."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import screens, write_video

from rmset.parts.frames import VideoReader
from rmset.stages.layout import sampling

COUNT = 70
KINDS = {
    "h264.mp4": {"options": {"g": "12", "bf": "3"}},
    "h264-open.mkv": {"options": {"g": "12", "bf": "3", "x264-params": "open-gop=1"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "all-key.mkv": {"codec": "ffv1"},
}


@pytest.fixture(scope="module", params=KINDS)
def video(request, tmp_path_factory):
    frames = screens([(0, 0, 80, 96), (80, 0, 160, 96)], (160, 96), COUNT)
    path = write_video(tmp_path_factory.mktemp("video") / request.param, frames, **KINDS[request.param])
    with VideoReader(path) as reader:
        return path, [frame.rgb for frame in reader.frames()]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=12))
def test_frames_named_are_those_of_the_whole(video, wanted):
    path, whole = video
    with VideoReader(path) as reader:
        found = list(reader.sample(sorted(wanted)))
    assert [f.frame_idx for f in found] == sorted(wanted)
    for frame in found:
        np.testing.assert_array_equal(frame.rgb, whole[frame.frame_idx])


def test_one_reader_may_be_asked_again_and_again(video):
    path, whole = video
    with VideoReader(path) as reader:
        for wanted in ([3], [24, 36, 48], [0, 1, 2], [69], [12, 13, 60]):
            for frame in reader.sample(wanted):
                np.testing.assert_array_equal(frame.rgb, whole[frame.frame_idx])
        assert sum(1 for _ in VideoReader(path).frames()) == COUNT


def test_key_frames_are_known_without_decoding(video):
    path, _ = video
    with VideoReader(path) as reader:
        keys = reader.index.keys
    assert keys[0] == 0
    assert reader.index.key_before(COUNT - 1) == keys[-1]
    assert [reader.index.key_before(k) for k in keys] == list(keys)


@given(frames=st.sets(st.integers(0, 10_000), min_size=1), most=st.integers(2, 30))
def test_spread_out_frames_are_some_of_them_with_both_ends(frames, most):
    given_frames = sorted(frames)
    chosen = sampling.spread_out(given_frames, most)
    assert set(chosen) <= frames
    assert len(chosen) <= max(most, 1)
    assert {chosen[0], chosen[-1]} == {given_frames[0], given_frames[-1]}


def test_where_key_frames_are_plenty_no_other_is_read():
    assert sampling.cheapest(range(0, 100, 5), range(0, 100, 10), 10) == list(range(0, 100, 10))
    assert sampling.cheapest(range(0, 100, 5), range(0, 100, 50), 10) == list(range(0, 100, 5))
