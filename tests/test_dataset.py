"""Public interface of rmset: `rmset.open`, and the stages as functions."""

import io
import os
import pickle
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

import rmset
from rmset.parts.cropping import cut
from rmset.parts.frames import VideoReader
from rmset.progress import bars, in_notebook, silent
from rmset.read.crops import CropStore
from rmset.read.pairs import PairSampler
from rmset.root import Root


@pytest.fixture(scope="module")
def data(workplace):
    return rmset.open(workplace / "data" / "rmset")


@pytest.fixture
def own(finished_root, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(finished_root.path, tmp_path / "root")
    return rmset.open(tmp_path / "root")


def test_a_root_is_a_path_and_can_be_sent_to_another_process(data):
    assert os.fspath(data) == str(data.path) == str(pickle.loads(pickle.dumps(data)).path)
    assert Root.find(data).path == data.path
    assert rmset.open(data) is data
    assert "data/rmset" in repr(data)


def test_videos_and_people_are_those_of_records_and_layout(data):
    (video,) = data.videos
    segments = data.layout(video.video_id).segments
    assert [p.person_id for p in data.people] == sorted({p.person_id for s in segments for p in s.people})
    assert data.people[0].box == next(p.box for p in segments[0].people if p.person_id == 0)
    assert all(p.video_id == video.video_id and p.reviewed and p.segments == (0,) for p in data.people)


def test_a_crop_is_its_row_of_the_shards_with_its_face_in_the_video(data):
    rows = data.sql("select * from crops join faces using (video_id, person_id, frame_idx) order by frame_idx").rows()
    crops = data.crops()
    assert len(crops) == len(rows) > 100
    every = {(c.video_id, c.person_id, c.frame_idx): c for c in crops}
    for row in rows[::37]:
        crop = every[row["video_id"], row["person_id"], row["frame_idx"]]
        assert crop.time_ms == row["time_ms"]
        assert crop.box == (row["x0"], row["y0"], row["x1"], row["y1"])
        assert crop.encoded == row["image"]["bytes"]
        assert crop.image.shape == (row["height"], row["width"], 3)
        assert crop.image.dtype == np.uint8


def test_the_box_of_a_crop_is_where_its_pixels_come_from(data):
    crop = data.crops()[40]
    with VideoReader(data.root.video_path(crop.video_id)) as reader:
        frame = next(f for f in reader.frames() if f.frame_idx == crop.frame_idx)
    panel = next(p.panel for p in data.people if p.person_id == crop.person_id)
    again = cut(frame.rgb, crop.box, panel, crop.image.shape[0], 0.31).image
    assert np.abs(again.astype(int) - crop.image).mean() < 4, "the same picture but for JPEG"


def test_crops_are_a_sequence(data):
    crops = data.crops()
    assert crops[-1] == crops[len(crops) - 1]
    assert crops[np.int64(3)] == crops[3] == list(crops)[3]
    assert [c.row for c in crops[2:10:3]] == [2, 5, 8]
    assert [c.row for c in crops[[5, -1]]] == [5, len(crops) - 1]
    assert crops[crops.person == 2][1:].person.tolist() == [2] * (int((crops.person == 2).sum()) - 1)
    assert (crops.video == data.videos[0].video_id).all()
    assert crops[:0].images() == []
    for wrong in (len(crops), -len(crops) - 1, [len(crops)], np.ones(3, bool)):
        with pytest.raises(IndexError):
            crops[wrong]


def test_crops_of_one_person(data):
    video_id = data.videos[0].video_id
    mine = data.crops(video_id, person_id=1)
    assert set(mine.person.tolist()) == {1}
    assert len(mine) == int((data.crops().person == 1).sum())
    with pytest.raises(rmset.RootError, match="no crops"):
        data.crops("nothing")


def test_a_crop_without_tracks_says_so(own):
    crop = own.crops()[0]
    own.root.files.remove(own.root.tracks_key(crop.video_id))
    with pytest.raises(rmset.RootError, match="expected its tracks"):
        crop.box  # noqa: B018
    assert crop.image.shape == (64, 64, 3)


def test_a_damaged_picture_is_a_shard_error(own):
    at = own.store.index.arrays["location"][5]
    shard = own.root.files.local(own.store.index.shards[0].key)
    whole = bytearray(shard.read_bytes())
    begin = int(at["offset"])
    whole[begin : begin + 4] = bytes(4)
    stamp = shard.stat()
    with shard.open("r+b") as file:
        file.write(whole)
    os.utime(shard, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(rmset.ShardError, match=r"verify --repair"):
        own.reload().crops()[5].image  # noqa: B018


def test_tracks_are_the_faces_of_one_video(data):
    video_id = data.videos[0].video_id
    rows = data.tracks(video_id).rows()
    assert len(rows) == data.sql("select count(*) n from faces").rows()[0]["n"]
    assert [(r["person_id"], r["frame_idx"]) for r in rows] == sorted((r["person_id"], r["frame_idx"]) for r in rows)
    with pytest.raises(rmset.RootError, match="not in root"):
        data.tracks("nothing")


def test_pairs_are_those_of_the_paper_and_a_function_of_the_seed(data):
    pairs = data.pairs(d=2, d_far=10, seed=4, candidates=20)
    keys = data.store.keys
    reference = PairSampler(keys, d=2, d_far=10)
    first = list(pairs.take(8))
    assert len(first) == 8
    for anchor, positives, negatives in first:
        assert set(positives.rows.tolist()) <= set(reference.positives(anchor.row).tolist())
        assert set(negatives.rows.tolist()) <= set(reference.negatives(anchor.row).tolist())
        assert 0 < len(positives) <= 20
        assert 0 < len(negatives) <= 20
        every = pairs.of(anchor)
        assert every.positives.rows.tolist() == reference.positives(anchor.row).tolist()
    again = list(rmset.open(data.path).pairs(d=2, d_far=10, seed=4, candidates=20))
    assert sorted(pair.anchor.row for pair in again) == pairs.anchors.rows.tolist() == reference.anchors.tolist()
    assert len(again) == len(pairs)
    for one, other in zip(first, again, strict=False):
        assert one.anchor == other.anchor
        assert one.positives.rows.tolist() == other.positives.rows.tolist()
        assert one.negatives.rows.tolist() == other.negatives.rows.tolist()
    assert [p.anchor.row for p in data.pairs(d=2, d_far=10, seed=5).take(8)] != [p.anchor.row for p in first]


@pytest.mark.parametrize("wrong", [{"d": -1}, {"unit": "days"}, {"candidates": 0}, {"seed": -1}])
def test_pairs_that_cannot_be(data, wrong):
    with pytest.raises(rmset.UsageError):
        data.pairs(**wrong)


def test_stats_are_those_of_the_command(data):
    found = data.stats(pixels=True, progress=False)
    assert found.total["faces"] == sum(row["faces"] for row in found.videos)
    assert found.pixels.crops == len(data.crops())
    assert data.stats().pixels is None


def test_what_an_empty_data_set_says(tmp_path):
    empty = rmset.open(tmp_path / "new")
    assert empty.videos == empty.people == ()
    assert empty.sql("select * from videos").arrow().num_rows == 0
    for ask in (empty.crops, empty.pairs, empty.stats, lambda: empty.layout("a"), lambda: rmset.build(empty)):
        with pytest.raises(rmset.RootError):
            ask()


def test_an_opened_root_sees_what_it_has_built(laid_out_root, tmp_path):
    shutil.copytree(laid_out_root.path, tmp_path / "root")
    root = rmset.open(tmp_path / "root")
    assert root.sql("select count(*) n from faces").rows() == [{"n": 0}]
    told = []
    outcomes = rmset.build(
        root,
        track=rmset.TrackConfig(stride=6),
        export={"size": 32, "stride": 6},
        progress=lambda what, done, total: told.append(what),
    )
    assert [(o.stage, o.status) for o in outcomes] == [
        ("layout", "kept"),
        ("track", "done"),
        ("audit", "done"),
        ("export", "done"),
    ]
    assert root.crops()[0].image.shape == (32, 32, 3)
    assert root.sql("select count(*) n from faces").rows() != [{"n": 0}]
    assert {"videos"} < set(told)
    rmset.export(root, size=16, stride=6)
    assert root.crops()[0].image.shape == (16, 16, 3)


def test_a_script_without_a_guard_builds_in_several_processes(laid_out_root, tmp_path):
    shutil.copytree(laid_out_root.path, tmp_path / "root")
    script = tmp_path / "script.py"
    script.write_text(
        "import rmset\n"
        "print('once')\n"
        "outcomes = rmset.build('root', jobs=2, track={'stride': 12}, export={'size': 16})\n"
        "print([o.status for o in outcomes], len(rmset.open('root').crops()) > 0)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["once", "['kept', 'done', 'done', 'done'] True"], done.stderr


def test_other_files_are_taken_where_one_cannot_be(mashup, tmp_path):
    (tmp_path / "none.mp4").write_bytes(b"no video")
    root = rmset.open(tmp_path / "root")
    with pytest.raises(rmset.IncompleteError, match=r"none.mp4") as failure:
        rmset.add(root, [tmp_path / "none.mp4", mashup[0]])
    assert failure.value.done == list(root.videos)
    with pytest.raises(rmset.UsageError, match="found none"):
        rmset.add(root, [])


def test_a_failed_video_is_an_error_that_carries_all_outcomes(mashup, tmp_path):
    root = rmset.open(tmp_path / "root")
    (video,) = rmset.add(root, mashup[0])
    with pytest.raises(rmset.IncompleteError, match="layout") as failure:
        rmset.track(root)
    assert [o.status for o in failure.value.done] == ["failed"]
    assert failure.value.done[0].video_id == video.video_id


@pytest.mark.parametrize(
    "wrong",
    [
        lambda root: rmset.export(root, sise=64),
        lambda root: rmset.export(root, size="64"),
        lambda root: rmset.export(root, size=1),
        lambda root: rmset.track(root, stride=0),
        lambda root: rmset.track(root, assign="nearest"),
        lambda root: rmset.propose(root, samples=0),
        lambda root: rmset.build(root, jobs=0),
        lambda root: rmset.build(root, export=rmset.TrackConfig()),
    ],
)
def test_settings_that_cannot_be_are_usage_errors(data, wrong):
    with pytest.raises(rmset.UsageError):
        wrong(data)


def test_bars_stand_where_they_can_be_seen(monkeypatch):
    with bars(False) as report:
        assert report is silent
    with bars(print) as report:
        assert report is print
    for seen in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda seen=seen: seen
        monkeypatch.setattr(sys, "stderr", stream)
        with bars() as report:
            for done in range(3):
                report("work", done, 3)
        assert ("work" in stream.getvalue()) is seen


def test_a_notebook_has_bars_without_a_terminal(monkeypatch):
    kernel = types.ModuleType("IPython")
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    kernel.get_ipython = lambda: shell
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert in_notebook()
    with bars() as report:
        for video in range(2):
            for done in range(5):
                report(f"track {video}", done, 4)
    assert "track 1" in stream.getvalue()


def test_a_catalog_of_earlier_versions_is_asked_alike(data):
    assert isinstance(data.root, Root)
    assert data.run("select count(*) as n from crops").rows()[0]["n"] == len(CropStore(data.root))
    assert data.sql("select 1 as one").arrow().to_pydict() == {"one": [1]}
