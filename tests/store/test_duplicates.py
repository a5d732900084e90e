"""Duplicates: copies of videos and crops that show the same are listed, and left out of pairs on request."""

import json

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import rmset
from rmset import removal
from rmset.duplicates import find_crops, find_videos
from rmset.errors import UsageError
from rmset.parts.hashsearch import near_pairs
from rmset.read.catalog import Catalog
from rmset.records import StageRecord, VideoRecord
from rmset.root import Root
from rmset.stages import fetch
from rmset_cli.rmset.app import app

from .test_copies import films  # noqa: F401  (a fixture)
from .worlds import crop_row, write_crops


def face(seed, shift=0, quality=90):
    """A picture of large soft blobs, moved by `shift` px."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    image = cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC)
    return simplejpeg.encode_jpeg(np.ascontiguousarray(np.roll(image, shift, axis=1)), quality=quality)


@pytest.fixture
def root(tmp_path):
    """Three people in two videos: 0 sits still, 1 changes all the time, 2 of `b` is the recording of 0 of `a`."""
    rows = [crop_row("a", 0, f, data=face(1, quality=95 - f)) for f in range(12)]
    rows += [crop_row("a", 1, f, data=face(100 + f)) for f in range(12)]
    rows += [crop_row("b", 1, f, data=face(200 + f)) for f in range(12)]
    rows += [crop_row("b", 2, f, data=face(1 if f < 6 else 300 + f, quality=60)) for f in range(12)]
    root = Root(tmp_path / "root")
    for video_id in ("a", "b"):
        record = VideoRecord(video_id, 64, 64, 25.0, 12, 0.5, "h264", "0" * 64, 1)
        root.write_text(root.record_key(video_id), record.to_json())
    return write_crops(root, rows, rows_per_part=10)


def listed(root):
    query = (
        "select video_id, person_id, frame_idx, of_video_id, of_person_id, of_frame_idx from duplicates order by all"
    )
    return [tuple(row.values()) for row in Catalog(root).sql(query).rows()]


def test_one_crop_of_each_moment_of_rest_is_kept(root):
    counts = {c.video_id: (c.crops, c.still, c.elsewhere) for c in find_crops(root)}
    assert counts == {"a": (24, 11, 0), "b": (24, 5, 1)}
    rows = listed(root)
    assert [row for row in rows if row[0] == "a"] == [("a", 0, f, "a", 0, 0) for f in range(1, 12)]
    assert ("b", 2, 0, "a", 0, 0) in rows
    before = {key: root.files.sha256(key) for key in root.files.keys("duplicates/*")}
    find_crops(root)
    assert {key: root.files.sha256(key) for key in root.files.keys("duplicates/*")} == before


def test_pairs_leave_duplicates_out_on_request_only(root):
    shards = {key: root.files.sha256(key) for key in root.files.keys("crops/*/*")}
    with pytest.raises(UsageError, match="run `rmset duplicates --crops` first"):
        rmset.open(root).pairs(d=2, d_far=3, distinct=True)
    find_crops(root)
    data = rmset.open(root)
    every, distinct = data.pairs(d=2, d_far=3), data.pairs(d=2, d_far=3, distinct=True)
    keys = data.store.keys
    drawn = {row for anchor in distinct.sampler.anchors.tolist() for row in distinct.sampler.positives(anchor).tolist()}
    dropped = {row[:3] for row in listed(root)}
    assert drawn
    assert not {(keys.video_ids[keys.video[r]], keys.person[r], keys.frame[r]) for r in drawn} & dropped
    assert len(every.sampler.anchors) > len(distinct.sampler.anchors) > 0
    assert {key: root.files.sha256(key) for key in root.files.keys("crops/*/*")} == shards


def test_a_removal_deletes_the_table_and_new_shards_outdate_it(root):
    find_crops(root)
    root.write_stage_record(StageRecord("export", "a", "done", "", "", outputs={"crops/a/part-000.parquet": "0" * 64}))
    assert {row[0] for row in listed(root)} == {"b"}
    root.files.remove(root.state_key("export", "a"))
    assert {row[0] for row in listed(root)} == {"a", "b"}
    removal.remove_video(root, "b", "taken down")
    assert listed(root) == []


def test_copies_of_videos_are_listed_and_forgotten_with_a_removal(films, tmp_path):  # noqa: F811
    root = Root(tmp_path / "root")
    ids = {name: fetch.add(root, films[name]).video_id for name in ("original", "all", "same film", "black")}
    told = CliRunner().invoke(app, ["duplicates", "--videos", "--root", str(root.path), "--format", "json"])
    assert told.exit_code == 0, told.output
    (row,) = json.loads(told.stdout)
    assert (row["video_id"], row["of_video_id"]) == (ids["all"], ids["original"])
    assert row["edit"].startswith("mirrored, cropped, at 1.06")
    (listed_row,) = Catalog(root).sql("select * from duplicates").rows()
    assert (listed_row["video_id"], listed_row["person_id"]) == (ids["all"], None)
    before = root.files.sha256("duplicates.parquet")
    find_videos(root)
    assert root.files.sha256("duplicates.parquet") == before
    removal.remove_video(root, ids["all"], "a copy")
    assert Catalog(root).sql("select * from duplicates").rows() == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_near_pairs_are_those_of_comparing_all(seed, most):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (60, 256)).astype(np.uint8)
    for row in range(20, 60):
        bits[row] = bits[rng.integers(0, row)]
        bits[row, rng.choice(256, int(rng.integers(0, 24)), replace=False)] ^= 1
    hashes = np.packbits(bits, axis=1)
    found = {}
    for pairs, apart in near_pairs(hashes, most):
        for (one, two), n in zip(pairs.tolist(), apart.tolist(), strict=True):
            assert (one, two) not in found
            found[one, two] = n
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    assert found == {(i, k): apart[i, k] for i in range(60) for k in range(i + 1, 60) if apart[i, k] <= most}
