"""Layouts read the planes of a frame: brightness as stored, counts along lines, faces in several threads."""

import sys

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.parts.frames import VideoReader
from rmset.parts.pixels import luma_of
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, panels, propose, spans


def written(path, pixels, color_range):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, pixels
        stream.codec_context.color_range = color_range
        ramp = np.broadcast_to(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], (96, 128, 3))
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(ramp), format="rgb24")
            out.mux(stream.encode(frame.reformat(format=pixels, dst_color_range=color_range)))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("pixels", "color_range"), [("yuv420p", 1), ("yuvj420p", 2), ("yuv444p", 1), ("yuv420p10le", 1)]
)
def test_brightness_is_that_of_gray_pictures_in_any_range(tmp_path, pixels, color_range):
    with VideoReader(written(tmp_path / "x.mkv", pixels, color_range)) as reader:
        frame = next(iter(reader.frames()))
        luma = luma_of(frame).astype(int)
        assert np.abs(luma - frame.gray).max() <= 4
        assert luma.min() <= 3
        assert luma.max() >= 252


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_counts_along_lines_are_sums_whichever_way_the_flags_lie(seed, turned):
    random = np.random.default_rng(seed)
    flags = random.random((7, 9)) < 0.4
    flags = flags.T if turned else flags
    counts = panels._Counts(flags)
    a, b = sorted(random.integers(0, flags.shape[0] + 1, 2).tolist())
    first, last = sorted(random.integers(0, flags.shape[1] + 1, 2).tolist())
    assert counts.of((a, b), first, last).tolist() == flags[a:b, first:last].sum(axis=0).tolist()


def test_the_number_of_threads_and_earlier_videos_change_no_byte(mashup, tmp_path, monkeypatch):
    root = Root(tmp_path / "root")
    video_id = fetch.add(root, mashup[0]).video_id
    made = []
    for threads in (2, 1, 3):
        monkeypatch.setattr(sys.modules["rmset.stages.layout.propose"], "_THREADS", threads)
        propose(root, video_id, ProposeConfig())
        made.append(root.files.local(root.layout_key(video_id)).read_bytes())
        assert spans._evidence.cache_info().currsize == 0, "the last evidence is dropped with the video"
    assert made[0] == made[1] == made[2]
