"""A release becomes the same crops again, from the same files or from other encodings of them."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmset import removal
from rmset.files import sha256_of
from rmset.inspect.absence import absence
from rmset.inspect.verify import verify
from rmset.parts.pictures import decode
from rmset.parts.shards import read_faces
from rmset.pipeline import run_stage
from rmset.read.catalog import Catalog
from rmset.release import publish, rebuild, summary
from rmset.release.rebuilt import released_rows
from rmset.root import Root
from rmset.stages.track import TrackConfig

from .encode import encode

CROPS = "select person_id, frame_idx, image.bytes as data from crops where video_id = '{}' order by all"


@pytest.fixture(scope="module")
def released(finished_root, tmp_path_factory):
    return publish(finished_root, tmp_path_factory.mktemp("released") / "release").path


def crops_of(root, video_id):
    return {
        (row["person_id"], row["frame_idx"]): row["data"] for row in Catalog(root).run(CROPS.format(video_id)).rows()
    }


def psnr(a, b):
    error = np.mean((decode(a).astype(float) - decode(b).astype(float)) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


def compare(original, own, rebuilt, name):
    """PSNR of each rebuilt crop with the original one."""
    before, after = crops_of(original, own), crops_of(rebuilt, name)
    rows = released_rows(rebuilt, name).to_pylist()
    return [
        psnr(before[row["person_id"], row["frame_idx"]], after[row["person_id"], row["here"]])
        for row in rows
        if row["here"] >= 0
    ]


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
    values = compare(finished_root, own, root, outcome.video_id)
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
    assert json
