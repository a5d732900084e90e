"""A release becomes the same crops again, from the same files or from other encodings of them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from rmset import removal
from rmset.files import sha256_of
from rmset.inspect.absence import absence
from rmset.inspect.verify import verify
from rmset.parts.shards import read_faces
from rmset.pipeline import run_stage
from rmset.release import publish, rebuild, summary
from rmset.release.rebuilt import released_rows
from rmset.root import Root
from rmset.stages.fetch.causes import Cause
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.track import TrackConfig
from rmset_cli.rmset.app import app
from tests.collect.host import Host

from .encode import encode
from .measure import crops_of, of_crops


@pytest.fixture(scope="module")
def released(finished_root, tmp_path_factory):
    return publish(finished_root, tmp_path_factory.mktemp("released") / "release").path


def test_the_same_file_gives_the_same_bytes(released, finished_root, mashup, tmp_path):
    (own,) = finished_root.video_ids()
    (tmp_path / "videos").mkdir()
    shutil.copy(mashup[0], tmp_path / "videos/any name.mp4")
    root = Root(tmp_path / "root")
    (outcome,) = rebuild(root, released, folder=tmp_path / "videos")
    assert (outcome.state, outcome.faces, outcome.released, outcome.cause) == ("identical", 144, 144, None)
    name = outcome.video_id
    assert list(crops_of(root, name).values()) == list(crops_of(finished_root, own).values())
    faces = read_faces(root.files.local(root.tracks_key(name)))
    before = read_faces(finished_root.files.local(finished_root.tracks_key(own)))
    assert faces.drop_columns("video_id").equals(before.drop_columns("video_id"))
    assert list(verify(root)) == []
    stamp = root.files.stamp(root.tracks_key(name))
    (again,) = rebuild(root, released, folder=tmp_path / "videos")
    assert again == outcome
    assert root.files.stamp(root.tracks_key(name)) == stamp, "nothing is done twice"


def test_another_encoding_is_aligned_exactly(released, finished_root, mashup, tmp_path):
    (own,) = finished_root.video_ids()
    encode(mashup[0], tmp_path / "videos/a.mp4", "-vf", "trim=start_frame=7,setpts=PTS-STARTPTS,fps=25,scale=426:240",
           "-crf", "26")  # fmt: skip
    root = Root(tmp_path / "root")
    (outcome,) = rebuild(root, released, folder=tmp_path / "videos")
    assert outcome.state == "equivalent", outcome
    assert outcome.offset_s == pytest.approx(7 / 30, abs=0.5 / 30)
    assert outcome.scale == pytest.approx(2 / 3, abs=0.002)
    rows = released_rows(root, outcome.video_id)
    faces = read_faces(root.files.local(root.tracks_key(outcome.video_id)))
    assert len(faces) == outcome.faces
    # frame k of 25 a second shows the released frame nearest to its time
    for row in rows.filter(pa.compute.greater_equal(rows["here"], 0)).to_pylist():
        assert abs((row["frame_idx"] - 7) / 30 - row["here"] / 25) <= 0.5 / 30 + 1e-9
    values = of_crops(finished_root, own, root, outcome.video_id)
    assert len(values) == outcome.faces > 80
    assert min(values) > 24
    assert np.mean(values) > 30
    assert [f.problem for f in verify(root)] == []
    assert run_stage(root, outcome.video_id, "track", TrackConfig()).status == "already done"


def test_another_video_is_rotted_and_so_is_one_that_is_missing(released, mashup, tmp_path):
    # The picture upside down is another video.
    encode(mashup[0], tmp_path / "videos/b.mp4", "-vf", "vflip,scale=320:180", "-frames:v", "30")
    root = Root(tmp_path / "root")
    (outcome,) = rebuild(root, released, folder=tmp_path / "videos")
    assert (outcome.state, outcome.cause) == ("rotted", "missing: no file of the folder shows it")
    name = outcome.video_id
    (tmp_path / "videos/b.mp4").rename(tmp_path / f"videos/{name}.mp4")
    (outcome,) = rebuild(root, released, folder=tmp_path / "videos")
    assert (outcome.state, outcome.cause) == ("rotted", "changed: its frames are others")
    found = summary([outcome])
    assert (found.videos, found.causes, found.whole) == ({"rotted": 1}, {"changed": 1}, 0.0)


def test_a_person_removed_before_the_release_stays_out(finished_root, mashup, tmp_path):
    shutil.copytree(finished_root.path, tmp_path / "own")
    own = Root(tmp_path / "own")
    removal.remove_person(own, own.video_ids()[0], 1, "asked")
    release = publish(own, tmp_path / "release").path
    (tmp_path / "videos").mkdir()
    shutil.copy(mashup[0], tmp_path / "videos")
    root = Root(tmp_path / "root")
    (outcome,) = rebuild(root, release, folder=tmp_path / "videos")
    assert (outcome.state, outcome.faces) == ("identical", 96)
    assert {p for p, _ in crops_of(root, outcome.video_id)} == {0, 2}
    refused = run_stage(root, outcome.video_id, "track", TrackConfig(), force=True)
    assert refused.status == "failed"
    assert "its publisher removed" in refused.error
    assert list(absence(root)) == []


def test_a_release_that_was_changed_is_refused(released, tmp_path):
    from rmset.errors import RootError

    shutil.copytree(released, tmp_path / "release")
    path = tmp_path / "release/videos.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="snappy")
    assert sha256_of(path) != sha256_of(released / "videos.parquet")
    with pytest.raises(RootError, match=r"expected the bytes in checksums\.sha256, found others"):
        list(rebuild(Root(tmp_path / "root"), tmp_path / "release", folder=tmp_path))
    with pytest.raises(RootError, match="expected the folder of a release"):
        list(rebuild(Root(tmp_path / "root"), tmp_path, folder=tmp_path))


@pytest.fixture
def host():
    served = Host()
    yield served
    served.close()


def test_videos_are_fetched_by_their_addresses_and_what_is_gone_is_told(finished_root, mashup, host, tmp_path):
    shutil.copytree(finished_root.path, tmp_path / "own")
    own = Root(tmp_path / "own")
    (video,) = own.video_ids()
    url = host.url + "/mashup.mp4"
    own.write_text(own.record_key(video), replace(own.record(video), source_url=url).to_json())
    release = publish(own, tmp_path / "release").path
    config = FetchConfig(min_height=1, sleep=0, pause=0.01, backoff=0.2, timeout=2.0)
    root = Root(tmp_path / "root")
    (outcome,) = rebuild(root, release, fetching=config)
    assert (outcome.video_id, outcome.state) == (video, "rotted")
    assert outcome.cause.startswith("removed: ")
    assert summary([outcome]).causes == {"removed": 1}
    host.put("/mashup.mp4", mashup[0].read_bytes())
    (outcome,) = rebuild(root, release, fetching=config, retry=frozenset({Cause.REMOVED}))
    assert (outcome.state, outcome.faces) == ("identical", 144)
    asked = len(host.log)
    (again,) = rebuild(root, release, fetching=config)
    assert (again, len(host.log)) == (outcome, asked), "no host is asked again"


def test_tracks_of_the_users_own_are_not_replaced(released, laid_out_root, finished_root, mashup, tmp_path):
    root = Root(tmp_path / "root")
    name = f"video-{finished_root.video_ids()[0][-8:]}"
    (tmp_path / "videos").mkdir()
    shutil.copy(mashup[0], tmp_path / "videos")
    list(rebuild(root, released, folder=tmp_path / "videos"))
    root.files.remove(root.state_key("rebuild", name))
    (outcome,) = rebuild(root, released, folder=tmp_path / "videos")
    assert outcome.state == "failed"
    assert "found layout or tracks of your own" in outcome.cause


def test_the_command_prints_the_table_and_the_share_that_is_whole(released, mashup, tmp_path):
    (tmp_path / "videos").mkdir()
    shutil.copy(mashup[0], tmp_path / "videos")
    words = ["rebuild", str(released), "--from", str(tmp_path / "videos"), "--root", str(tmp_path / "root")]
    done = CliRunner().invoke(app, [*words, "--format", "json"])
    assert done.exit_code == 0, done.output
    raw = json.loads(done.stdout)
    assert raw["summary"] == {
        "videos": {"identical": 1}, "causes": {}, "faces": 144, "released": 144, "whole": 1.0,
    }  # fmt: skip
    assert raw["videos"][0]["state"] == "identical"
    assert "144 of 144 faces are whole (100.0%)" in done.stderr
