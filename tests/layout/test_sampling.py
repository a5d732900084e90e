"""Sampled frames of a video are the same as in decoding it from the start."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import screens, write_video

from rmset.parts.detect import Detections
from rmset.parts.frames import VideoReader
from rmset.stages.layout import ProposeConfig, sampling
from rmset.stages.layout.kept import KeptFaces, KeptFrames
from rmset.stages.layout.panels import Panel

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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.sets(st.integers(0, COUNT - 1), max_size=12), min_size=2, max_size=4),
    frames_kept=st.sampled_from([0, 1, 5, COUNT]),
)
def test_kept_frames_are_those_that_are_decoded(video, asked, frames_kept):
    path, pictures = video
    with VideoReader(path) as reader:
        size = next(reader.sample([0])).nbytes
        kept = KeptFrames(reader, frames_kept * size)
        for wanted in map(sorted, asked):
            got = list(kept.sample(wanted))
            assert [f.frame_idx for f in got] == wanted
            for frame in got:
                np.testing.assert_array_equal(frame.rgb, pictures[frame.frame_idx])


def test_a_kept_frame_is_decoded_once(video, monkeypatch):
    path, _ = video
    with VideoReader(path) as reader:
        kept = KeptFrames(reader)
        assert [f.frame_idx for f in kept.sample([3, 20, 40])] == [3, 20, 40]
        asked = []
        monkeypatch.setattr(reader, "sample", lambda wanted: asked.append(list(wanted)) or iter(()))
        assert [f.frame_idx for f in kept.sample([3, 40])] == [3, 40]
        assert asked == [[]]


def test_faces_are_searched_once_on_each_panel_of_a_frame(video):
    class Counting:
        searched = 0

        def detect(self, image, min_face=40):
            self.searched += 1
            return Detections.none()

    path, _ = video
    detector = Counting()
    faces = KeptFaces([detector], ProposeConfig())
    left, inset = Panel((0, 0, 80, 96), True, False), Panel((10, 10, 40, 40), True, True)
    with VideoReader(path) as reader:
        one, two = reader.sample([0, 30])
    for frame in (one, two, one):
        faces.on_panel(frame, left, [left])
    assert detector.searched == 2
    # Another inset over the panel leaves other pixels.
    faces.on_panel(one, left, [left, inset])
    assert detector.searched == 3
    for _ in range(2):
        faces.on_screen(one)
    assert detector.searched == 4
