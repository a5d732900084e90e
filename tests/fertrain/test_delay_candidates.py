"""Candidates around each person's own delay: laws that hold for every anchor and all delays."""

import fer_worlds
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fertrain.config.methods import RmferConfig
from fertrain.errors import DatasetError
from fertrain.unlabeled.candidates import Delays, open_anchors, read_delays, write_delays
from fertrain.unlabeled.crops import open_crops
from rmset.errors import UsageError
from rmset.root import Root

D, FAR, STRIDE = 4, 20, 2


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for k in range(2):
        fer_worlds.rmset_root(folder, people=3, frames=60, stride=STRIDE, video_id=f"m-0000000{k}")
    return open_crops(Root(folder))


def file_of(folder, delays):
    path = folder / "delays.json"
    videos = {f"m-0000000{v}": {} for v in range(2)}
    for (v, p), delay in delays.items():
        videos[f"m-0000000{v}"][p] = (delay, 0.9)
    write_delays(path, videos, root="r", run="x")
    return path


people = st.tuples(st.integers(0, 1), st.integers(0, 2))
frames = st.one_of(st.none(), st.floats(-15, 15).map(lambda v: round(v, 2)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(people, frames, min_size=1).filter(lambda d: any(v is not None for v in d.values())),
       st.integers(0, 5))  # fmt: skip
def test_positives_are_other_people_of_the_video_around_their_own_delay(two_videos, tmp_path, delays, step):
    chosen = RmferConfig(d=D, d_far=FAR, max_candidates=9, candidates="delay", delays=str(file_of(tmp_path, delays)))
    anchors, keys = open_anchors(two_videos, chosen, seed=1), two_videos.keys
    late = {k: 0 if v is None else int(np.round(v)) for k, v in delays.items()}
    frame = keys.frame.astype(int)
    for rows, p in anchors.draw(0, step, 3):
        anchor, video = rows[0], int(keys.video[rows[0]])
        own = late.get((video, int(keys.person[anchor])), 0)
        assert len(rows) > 1 + p >= 2
        assert (keys.video[rows] == video).all()
        for row in rows[1 : 1 + p]:
            assert keys.person[row] != keys.person[anchor]
            moment = frame[anchor] + late.get((video, int(keys.person[row])), 0) - own
            assert abs(frame[row] - moment) <= D * STRIDE
        assert (keys.person[rows[1 + p :]] == keys.person[anchor]).all()
        assert (abs(frame[rows[1 + p :]] - frame[anchor]) > FAR * STRIDE).all()


def test_without_delays_they_are_the_mashups_own(two_videos, tmp_path):
    path = file_of(tmp_path, {(v, p): 3.0 for v in range(2) for p in range(3)})
    own = open_anchors(two_videos, RmferConfig(d=D, d_far=FAR, candidates="delay", delays=str(path)), 0)
    plain = open_anchors(two_videos, RmferConfig(d=D, d_far=FAR), 0)
    assert own.candidates.anchors.tolist() == plain.candidates.anchors.tolist()
    for row in (0, 50, 200):
        assert sorted(own.candidates.positives(row)) == sorted(plain.candidates.positives(row))
        assert sorted(own.candidates.negatives(row)) == sorted(plain.candidates.negatives(row))


def test_people_without_a_known_delay_are_counted(two_videos, tmp_path):
    path = file_of(tmp_path, {(0, 0): 2.0, (0, 1): None})
    anchors = open_anchors(two_videos, RmferConfig(d_far=FAR, candidates="delay", delays=str(path)), 0)
    assert anchors.measured["people_without_delay"] == 5
    assert len(anchors.measured["delays_sha256"]) == 64


def test_a_file_of_delays_is_read_as_it_was_written(two_videos, tmp_path):
    path = file_of(tmp_path, {(0, 0): 2.25, (1, 2): None})
    assert read_delays(path) == Delays({("m-00000000", 0): 2.25, ("m-00000001", 2): None})
    late = read_delays(path).of(two_videos.keys)
    mine = (two_videos.keys.video == 0) & (two_videos.keys.person == 0)
    assert (late[mine] == 2.25).all()
    assert np.isnan(late[~mine]).all()


def test_what_is_no_file_of_delays_is_one_line(two_videos, tmp_path):
    delayed = {"candidates": "delay"}
    with pytest.raises(UsageError, match=r"give it with `rmfer.delays`"):
        open_anchors(two_videos, RmferConfig(**delayed), 0)
    with pytest.raises(DatasetError, match="found none; `fertrain pairs-quality"):
        open_anchors(two_videos, RmferConfig(**delayed, delays=str(tmp_path / "no.json")), 0)
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(DatasetError, match="found something else"):
        open_anchors(two_videos, RmferConfig(**delayed, delays=str(tmp_path / "other.json")), 0)
    write_delays(tmp_path / "strange.json", {"x": {0: (1.0, 0.5)}}, root="r", run="x")
    with pytest.raises(DatasetError, match="found those of others"):
        open_anchors(two_videos, RmferConfig(**delayed, delays=str(tmp_path / "strange.json")), 0)
