"""Shares of a root for several machines."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import UsageError
from rmset.root import Root
from rmset.share import Share
from tests.store.worlds import video_root


@given(items=st.lists(st.integers()), count=st.integers(1, 40))
def test_the_shares_are_the_whole_each_item_once_and_of_equal_size(items, count):
    shares = [Share(number, count).take(range(len(items))) for number in range(1, count + 1)]
    assert sorted(place for share in shares for place in share) == list(range(len(items)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_share_that_there_is_not_is_refused():
    assert Share.parse("3/16") == Share(3, 16)
    for wrong in ("0/4", "5/4", "1", "1/0", "-1/2", "a/b", "1/2/3", "", "٣/٤"):
        with pytest.raises(UsageError, match="expected a share such as 3/16"):
            Share.parse(wrong)


def build(root, part):
    command = [
        str(Path(sys.executable).with_name("rmset")),
        "build",
        "--root",
        str(root),
        "--size",
        "32",
        "--part",
        part,
        "--embedder",
        "none",
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_machines_with_their_shares_build_the_whole_root_and_may_overlap(tmp_path):
    ids = [f"v-{number:08d}" for number in range(5)]
    for video_id in ids:
        video_root(tmp_path / "root", frames=8, video_id=video_id)
    root = Root(tmp_path / "root")
    running = [build(root.path, part) for part in ("1/2", "2/2", "1/2")]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running[:2]].count(0) >= 1, said
    assert build(root.path, "1/1").wait() == 0
    assert [root.stage_record("export", v).status for v in ids] == ["done"] * 5
    # What one share refused, as another process worked on it, was no failure of the video.
    assert all("Traceback" not in text for text in said)
    assert build(root.path, "7/9").wait() == 0
