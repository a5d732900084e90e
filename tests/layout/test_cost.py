"""Layouts at less cost: counts along lines, faces in several threads, evidence that is kept for the next use."""

import sys
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import VideoError
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, panels, propose, spans
from rmset.stages.layout.edges import FrameSums
from rmset.stages.layout.median import median
from rmset.threads import at_once


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_counts_along_lines_are_sums_whichever_way_the_flags_lie(seed, turned):
    random = np.random.default_rng(seed)
    flags = random.random((7, 9)) < 0.4
    flags = flags.T if turned else flags
    counts = panels._Counts(flags)
    a, b = sorted(random.integers(0, flags.shape[0] + 1, 2).tolist())
    first, last = sorted(random.integers(0, flags.shape[1] + 1, 2).tolist())
    assert counts.of((a, b), first, last).tolist() == flags[a:b, first:last].sum(axis=0).tolist()


@pytest.mark.slow
def test_the_number_of_threads_and_earlier_videos_change_no_byte(mashup, tmp_path, monkeypatch):
    root = Root(tmp_path / "root")
    video_id = fetch.add(root, mashup[0]).video_id
    made = []
    for threads in (2, 1, 3):
        for name in ("threads", "stages.layout.propose"):
            monkeypatch.setattr(sys.modules[f"rmset.{name}"], "THREADS", threads)
        propose(root, video_id, ProposeConfig())
        made.append(root.files.local(root.layout_key(video_id)).read_bytes())
        assert spans._kept.last is None, "the last evidence is dropped with the video"
    assert made[0] == made[1] == made[2]


@given(st.integers(0, 2**31), st.integers(1, 9))
def test_the_median_of_pictures_is_that_of_numpy(seed, count):
    pictures = np.random.default_rng(seed).integers(0, 256, (count, 5, 7), dtype=np.uint8)
    assert (median(pictures) == np.median(pictures, axis=0)).all()


def test_sums_over_frames_are_exact_however_they_are_added():
    grays = [*np.random.default_rng(1).integers(0, 256, (11, 130, 50), dtype=np.uint8)]
    sums, one_by_one = FrameSums.of(iter(grays)), FrameSums(130, 50)
    for gray in grays:
        one_by_one.add([gray])
    whole = np.stack(grays).astype(np.int64)
    across, down = np.abs(np.diff(whole, axis=2)), np.abs(np.diff(whole, axis=1))
    for made in (sums, one_by_one):
        assert made.count == 11
        for values, total, squares in (
            (whole, made.value, made.square),
            (across, made.step_v, made.step_v2),
            (down, made.step_h, made.step_h2),
        ):
            assert (total == values.sum(axis=0)).all()
            assert (squares == (values**2).sum(axis=0)).all()


def test_tasks_done_at_once_keep_their_order_and_their_errors():
    done = Event()
    # The first waits for the second, so both run at the same time.
    assert at_once([lambda: done.wait(60) and "first", lambda: done.set() or "second"]) == ["first", "second"]

    def fails():
        raise VideoError("no")

    with pytest.raises(VideoError, match="no"):
        at_once([done.set, fails])
