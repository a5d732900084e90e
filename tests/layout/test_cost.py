"""Layouts at less cost: counts along lines, faces in several threads, evidence that is kept for the next use."""

import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, panels, propose, spans


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
        assert spans._kept.last is None, "the last evidence is dropped with the video"
    assert made[0] == made[1] == made[2]
