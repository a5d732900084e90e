"""Persons across videos: their table, and the pairs that respect it."""

import numpy as np
import pytest

import rmset
from rmset.errors import RootError
from rmset.read import queries
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.pairindex import open_sampler
from rmset.read.pairs import PairRule
from rmset.read.persons import KEY, Persons, Row, read_persons, write_persons
from rmset.records import StageRecord

from .worlds import crop_root

RULE = PairRule(d=2, d_far=10, unit="frames")


def tracks(*found):
    return Persons.of(Row(key, video, person, 0.7, "linked") for key, video, person in found)


@pytest.fixture
def root(tmp_path):
    """Two videos of three people; in `a`, tracks 0 and 2 are one person, who is also track 1 of `b`."""
    root = crop_root(tmp_path / "root")
    write_persons(root, tracks(("p-x", "a", 0), ("p-x", "a", 2), ("p-x", "b", 1), ("p-y", "b", 2)))
    return root


def test_the_view_has_the_columns_of_the_design(root):
    rows = Catalog(root).sql("select * from persons order by all").rows()
    assert rows[0] == {
        "person_key": "p-x", "video_id": "a", "person_id": 0, "similarity": pytest.approx(0.7), "source": "linked"
    }  # fmt: skip
    assert len(rows) == 4


def test_reading_gives_what_was_written(root):
    assert read_persons(root).key_of("b", 1) == "p-x"
    assert read_persons(root).key_of("b", 0) == "b:0"
    assert read_persons(root).aliases == {"a": {2: 0}}
    row = Row("p-z", "a", 1, None, "manual", 7, (1.0, 2.0, 3.0, 4.5), None)
    write_persons(root, Persons.of([row]))
    assert read_persons(root).rows == (row,)


def test_no_file_means_that_each_track_is_a_person(tmp_path):
    root = crop_root(tmp_path / "root")
    assert len(read_persons(root)) == 0
    assert CropStore(root).keys.identity is None


def test_positives_never_show_the_anchor_s_person_and_negatives_show_all_of_their_tracks(root):
    store = CropStore(root)
    sampler = open_sampler(store, RULE)
    row = store.keys.row("a", 0, 20)
    assert set(store.keys.person[sampler.positives(row)].tolist()) == {1}
    assert set(store.keys.person[sampler.negatives(row)].tolist()) == {0, 2}
    drawn = sampler.draw_many(sampler.anchors, np.random.default_rng(0))
    for anchor, (positives, negatives) in zip(sampler.anchors.tolist(), drawn, strict=True):
        assert (store.keys.who[positives] != store.keys.who[anchor]).all()
        assert (store.keys.who[negatives] == store.keys.who[anchor]).all()


@pytest.mark.parametrize(("video", "person"), [("a", 0), ("a", 1), ("a", 2), ("b", 1)])
def test_sql_gives_the_same_candidates(root, video, person):
    store = CropStore(root)
    sampler, catalog = open_sampler(store, RULE), Catalog(root)
    row = store.keys.row(video, person, 20)
    values = {"video_id": video, "person_id": person, "frame_idx": 20}
    for kind, rows in (("positives", sampler.positives(row)), ("negatives", sampler.negatives(row))):
        expected = sorted(zip(store.keys.person[rows].tolist(), store.keys.frame[rows].tolist(), strict=True))
        reach = "d := 2" if kind == "positives" else "d_far := 10"
        for query in (
            queries.candidates(kind, 2, 10, clock="frame_idx"),
            f"select * from {kind}($video_id, $person_id, $frame_idx, {reach})",
        ):
            found = catalog.run(query, values).rows()
            assert sorted((r["person_id"], r["frame_idx"]) for r in found) == expected
    pairs = catalog.sql(f"select * from all_positives('{video}', d := 2) where frame_idx = 20").rows()
    mine = sorted((r["other_person_id"], r["other_frame_idx"]) for r in pairs if r["person_id"] == person)
    rows = sampler.positives(row)
    assert mine == sorted(zip(store.keys.person[rows].tolist(), store.keys.frame[rows].tolist(), strict=True))


def test_a_new_table_gives_new_pairs(root):
    assert set(rmset.open(root).store.keys.who.tolist()) == {0, 1, 2}
    before = len(open_sampler(CropStore(root), RULE).positives(CropStore(root).keys.row("a", 0, 20)))
    write_persons(root, tracks(("p-x", "a", 0)))
    store = CropStore(root)
    assert len(open_sampler(store, RULE).positives(store.keys.row("a", 0, 20))) == 2 * before


def test_rows_of_a_video_that_was_tracked_anew_do_not_count(root):
    ledger = StageRecord("track", "a", "done", "", "", outputs={root.tracks_key("a"): "1" * 64})
    root.write_stage_record(ledger)
    assert [row.video_id for row in read_persons(root)] == ["b", "b"]


def test_a_damaged_table_is_one_line(root):
    root.files.local(KEY).write_bytes(b"nothing")
    with pytest.raises(RootError, match="expected persons, found") as error:
        read_persons(root)
    assert "\n" not in str(error.value)
    catalog = Catalog(root)
    assert catalog.sql("select * from persons").rows() == []
    assert "persons are left out" in catalog.left_out[0]
