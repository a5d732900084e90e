"""RMset in training: candidates, draws, times."""

import math
from dataclasses import replace

import fer_worlds
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.config.methods import RmferConfig
from fertrain.datasets.registry import Entry
from fertrain.errors import DatasetError, UnknownNameError
from fertrain.transforms.input_spec import InputSpec
from fertrain.unlabeled.candidates import RandomCandidates, ShuffledIdentities, open_anchors
from fertrain.unlabeled.crops import CropDataset, Crops, open_crops, stride_of
from fertrain.unlabeled.sources import resolve_origin
from rmset.errors import RmsetError, UsageError
from rmset.read.crops import CropKeys
from rmset.read.persons import Persons, write_persons
from rmset.read.persons import Row as PersonRow
from rmset.read.splits import split_of, splits
from rmset.records import StageRecord
from rmset.root import Root

SETTINGS = RmferConfig(d=5, d_far=30, max_candidates=7)


def anchors_of(path, seed=0, **settings):
    crops = open_crops(Root(path))
    return open_anchors(crops, replace(SETTINGS, **settings), seed), crops.keys


def test_candidates_are_other_people_now_and_the_same_person_far_away(mashup):
    anchors, keys = anchors_of(mashup)
    for step in range(40):
        for rows, p in anchors.draw(epoch=0, step=step, n=2):
            anchor, positives, negatives = rows[0], np.array(rows[1 : 1 + p]), np.array(rows[1 + p :])
            assert 0 < len(positives) <= 7
            assert 0 < len(negatives) <= 7
            assert (keys.person[positives] != keys.person[anchor]).all()
            assert (abs(keys.frame[positives] - keys.frame[anchor]) <= 5).all()
            assert (keys.person[negatives] == keys.person[anchor]).all()
            assert (abs(keys.frame[negatives] - keys.frame[anchor]) > 30).all()
            assert (keys.video[rows] == keys.video[anchor]).all()


def test_a_draw_depends_on_seed_epoch_and_step_alone(mashup):
    a, b, c = (anchors_of(mashup, seed=seed)[0] for seed in (0, 0, 1))
    b.draw(0, 0, 3)
    assert a.draw(2, 5, 2) == b.draw(2, 5, 2) != c.draw(2, 5, 2)


def test_distances_count_exported_steps(tmp_path):
    anchors, keys = anchors_of(fer_worlds.rmset_root(tmp_path, stride=3))
    assert stride_of(keys.frame) == 3
    rows, p = anchors.draw(0, 0, 1)[0]
    assert (abs(keys.frame[rows[1 : 1 + p]] - keys.frame[rows[0]]) <= 15).all()
    assert (abs(keys.frame[rows[1 + p :]] - keys.frame[rows[0]]) > 90).all()


def recorded(root, video_id, tracked, exported, every=1):
    """Add a video tracked and exported with these strides, with faces in some of these frames."""
    fer_worlds.rmset_root(root, frames=6, stride=every * math.lcm(tracked, exported), video_id=video_id)
    place = Root(root)
    place.write_text(f"videos/{video_id}.json", "{}")
    for stage, stride in (("track", tracked), ("export", exported)):
        place.write_stage_record(StageRecord(stage, video_id, "done", "", "", config={"stride": stride}))
    return place


def test_a_step_is_what_was_exported_whatever_the_gaps(tmp_path):
    root = recorded(tmp_path, "m-00000000", tracked=1, exported=3, every=4)
    recorded(tmp_path, "m-00000001", tracked=1, exported=3, every=8)
    assert stride_of(open_crops(root).keys.frame) == 12
    assert {open_crops(root, share).stride for share in (0.1, 0.5, 1.0)} == {3}


def test_frames_that_were_not_tracked_are_no_steps(tmp_path):
    assert open_crops(recorded(tmp_path, "m-00000000", tracked=6, exported=4)).stride == 12


def test_videos_of_different_strides_are_refused(tmp_path):
    recorded(tmp_path, "m-00000000", tracked=1, exported=6)
    with pytest.raises(UsageError, match=r"one export stride, found \[6, 10\]"):
        open_crops(recorded(tmp_path, "m-00000001", tracked=1, exported=10))


def beside(paired, control):
    """Yield draws of the control with their number of positives; check equal anchors and numbers, and no repeats."""
    assert (control.candidates.anchors == paired.candidates.anchors).all()
    for step in range(40):
        for (a, p), (b, q) in zip(paired.draw(0, step, 2), control.draw(0, step, 2), strict=True):
            assert (a[0], p, len(a)) == (b[0], q, len(b))
            assert len(set(b)) == len(b)
            yield b, q


def test_random_candidates_have_the_mashups_anchors_and_numbers_and_come_from_anywhere(mashup):
    paired, keys = anchors_of(mashup)
    control, _ = anchors_of(mashup, candidates="random")
    same_person = at_once = 0
    for b, q in beside(paired, control):
        same_person += int((keys.person[b[1 : 1 + q]] == keys.person[b[0]]).sum())
        at_once += int((abs(keys.frame[b[1 : 1 + q]] - keys.frame[b[0]]) <= 5).sum())
    # of 40 · 2 · 7 positives a third shows the anchor's own face, and few the same moment
    assert 120 < same_person < 250
    assert at_once < 200


def test_random_positives_keep_the_mashups_negatives(mashup):
    paired, keys = anchors_of(mashup)
    control, _ = anchors_of(mashup, candidates="random-positives")
    at_once = others = 0
    for b, q in beside(paired, control):
        negatives = np.array(b[1 + q :])
        assert (keys.person[negatives] == keys.person[b[0]]).all()
        assert (abs(keys.frame[negatives] - keys.frame[b[0]]) > 30).all()
        at_once += int((abs(keys.frame[b[1 : 1 + q]] - keys.frame[b[0]]) <= 5).sum())
        others += q
    assert at_once < others / 2


def test_shuffled_identities_keep_the_moments_and_show_other_people(mashup):
    paired, keys = anchors_of(mashup)
    control, _ = anchors_of(mashup, candidates="shuffled-identities")
    for step in range(40):
        for (a, p), (b, q) in zip(paired.draw(0, step, 2), control.draw(0, step, 2), strict=True):
            assert (a[: 1 + p], p) == (b[: 1 + q], q)
            own, shuffled = np.array(a[1 + p :]), np.array(b[1 + q :])
            assert keys.frame[own].tolist() == keys.frame[shuffled].tolist()
            assert (keys.person[shuffled] != keys.person[b[0]]).all()
            assert len(set(b)) == len(b)


def test_every_other_person_of_a_moment_is_drawn_and_a_lonely_face_stays():
    class Like:
        anchors = np.array([0])

        def draw_many(self, rows, rng):
            return [(np.array([1]), np.array([5, 8])) for _ in rows]

    # one video: frames 0 and 1 show persons 0 to 3, frame 2 person 0 alone
    frame, person = np.array([0] * 4 + [1] * 4 + [2]), np.array([0, 1, 2, 3] * 2 + [0])
    keys = CropKeys(["v"], np.zeros(9, np.int32), person, frame, np.zeros(9))
    drawn = [ShuffledIdentities(keys, Like()).draw_many([0], np.random.default_rng(k))[0][1] for k in range(300)]
    assert {int(n[1]) for n in drawn} == {8}
    counts = np.bincount([int(n[0]) for n in drawn], minlength=8)
    assert counts[[0, 1, 2, 3, 5]].sum() == 0
    assert counts[[4, 6, 7]].min() > 70


def test_random_candidates_need_no_mashup(tmp_path):
    anchors, keys = anchors_of(fer_worlds.rmset_root(tmp_path, people=1, frames=9), candidates="random")
    assert len(anchors) == len(keys) == 9
    ((rows, p),) = anchors.draw(0, 0, 1)
    # 7 of each are wanted, 8 are there
    assert (p, sorted(rows)) == (4, list(range(9)))
    with pytest.raises(DatasetError, match="three unlabeled images"):
        RandomCandidates(2, 7)


def test_an_unknown_kind_of_candidates_is_refused(mashup):
    with pytest.raises(UnknownNameError, match=r"known: .*mashup.*random"):
        anchors_of(mashup, candidates="luck")


def test_a_share_of_a_root_is_whole_videos_or_people_and_grows(tmp_path):
    for k in range(4):
        fer_worlds.rmset_root(tmp_path, people=2, frames=8, video_id=f"m-0000000{k}")
    root = Root(tmp_path)
    whole = open_crops(root)
    shares = [open_crops(root, share, seed=3) for share in (0.1, 0.5, 0.75)]
    assert [len(crops) / len(whole) for crops in shares] == [0.25, 0.5, 0.75]
    assert set(shares[0].rows) < set(shares[1].rows) < set(shares[2].rows)
    spec = InputSpec(32, 3, (0.0,) * 3, (1.0,) * 3)
    row = int(shares[1].rows[5])
    assert torch.equal(CropDataset.for_spec(shares[1], spec).read([5]), CropDataset.for_spec(whole, spec).read([row]))
    assert any((open_crops(root, 0.5, seed=seed).rows != shares[1].rows).any() for seed in range(4, 9))


def test_splits_are_by_person_over_all_videos_and_as_published(tmp_path):
    for k in range(6):
        fer_worlds.rmset_root(tmp_path, people=3, frames=4, video_id=f"m-0000000{k}")
    root = Root(tmp_path)

    def people(split, seed=0):
        keys = open_crops(root, split=split, split_seed=seed).keys
        return {(keys.video_ids[v], int(p)) for v, p in zip(keys.video, keys.person, strict=True)}

    found = {split: people(split, 1) for split in ("train", "valid", "test")}
    published, _ = splits([track for some in found.values() for track in some], {}, 1)
    assert len(published) == 18
    assert all(published[track] == split for split, tracks in found.items() for track in tracks)
    assert people("train", 5) != found["train"]
    # tracks of one person are in one split, wherever each would have been alone
    one, other = min(found["train"]), min(found["valid"])
    rows = [PersonRow("p-1", video, person, None, "manual") for video, person in (one, other)]
    write_persons(root, Persons.of(rows))
    assert {one, other} <= people(split_of("p-1", 1), 1)
    crops = open_crops(root, split="train", split_seed=1)
    assert np.array_equal(crops.keys.frame, open_crops(root).keys.frame[crops.rows])
    half = open_crops(root, 0.5, split="train", split_seed=1)
    assert set(half.rows) < set(crops.rows)
    with pytest.raises(DatasetError, match="expected people of the split"):
        for seed in range(50):
            people("valid", seed)


def test_a_share_of_one_video_keeps_two_people_at_least(mashup):
    half = open_crops(Root(mashup), 0.5)
    assert len(np.unique(half.keys.person)) == 2
    keys = half.keys
    for rows, p in open_anchors(half, SETTINGS, seed=0).draw(0, 0, 5):
        assert (keys.person[rows[1 : 1 + p]] != keys.person[rows[0]]).all()


def test_crops_are_made_gray_for_a_gray_set_and_resized(mashup):
    store = open_crops(Root(mashup))
    color = InputSpec(32, 3, (0.0,) * 3, (1.0,) * 3)
    gray = InputSpec(32, 3, (0.0,) * 3, (1.0,) * 3, gray=True)
    a, b = CropDataset.for_spec(store, color).read([4, 2]), CropDataset.for_spec(store, gray).read([4, 2])
    assert (tuple(a.shape), tuple(b.shape)) == ((2, 3, 32, 32), (2, 1, 32, 32))
    # JPEG keeps brightness, so both ways to gray agree but for rounding
    assert (gray.to_float(a)[:, :1] - b.float() / 255).abs().max() < 0.03
    assert torch.equal(CropDataset.for_spec(store, gray).read([2, 4]), b.flip(0))


def test_a_damaged_crop_is_named_in_one_line(tmp_path):
    root = fer_worlds.rmset_root(tmp_path, people=2, frames=4)
    crops = open_crops(Root(root))
    (picture,) = crops.store.read(np.array([3]))
    (shard,) = root.glob("crops/**/*.parquet")
    shard.write_bytes(shard.read_bytes().replace(picture, picture[:-400] + bytes(400)))
    spec = InputSpec(16, 3, (0.0,) * 3, (1.0,) * 3)
    images = CropDataset.for_spec(open_crops(Root(root)), spec)
    assert len(images.read([2])) == 1
    with pytest.raises(DatasetError, match=r"cannot be decoded .* as crop 3 of .*; `rmset verify --repair`"):
        images.read([2, 3])


@pytest.mark.parametrize(
    ("people", "frames", "says"),
    [
        (1, 60, "60 crops of 1 people in 1 videos, 1 of them with one person alone, the longest track spans 59 steps"),
        (3, 20, "60 crops of 3 people in 1 videos, 0 of them with one person alone, the longest track spans 19 steps"),
    ],
)
def test_a_root_without_anchors_says_what_is_missing(tmp_path, people, frames, says):
    root = fer_worlds.rmset_root(tmp_path, people=people, frames=frames)
    with pytest.raises(DatasetError, match=f"expected anchors .* found none among {says}; .* take `rmfer.cand"):
        anchors_of(root)


@given(st.lists(st.tuples(*(st.integers(0, n) for n in (3, 3, 900))), min_size=1, max_size=30), st.integers(1, 3))
def test_crops_are_described_by_person_and_time(found, stride):
    video, person, frame = np.array(sorted(found)).T
    keys = CropKeys(list("abcd"), video.astype(np.int32), person.astype(np.int16), frame.astype(np.int32), frame / 30)
    people = {(v, p): [f for a, b, f in found if (a, b) == (v, p)] for v, p, _ in found}
    videos = [v for v, _ in people]
    lonely = sum(videos.count(v) == 1 for v in set(videos))
    longest = max(max(frames) - min(frames) for frames in people.values()) // stride
    assert Crops(None, keys, None, stride).described() == (
        f"{len(found)} crops of {len(people)} people in {len(set(videos))} videos, {lonely} of them with one person "
        f"alone, the longest track spans {longest} steps"
    )


def test_a_person_without_a_number_is_refused():
    keys = CropKeys(["a"], np.zeros(2, np.int32), np.array([3, -1], np.int16), np.zeros(2, np.int32), np.zeros(2))
    with pytest.raises(DatasetError, match="from 0 to 65,535, found -1 to 3"):
        Crops(None, keys, None, 1).described()


def test_a_root_without_crops_is_one_line(tmp_path):
    with pytest.raises(RmsetError, match="rmset export"):
        open_crops(Root(tmp_path))


def test_rmset_is_the_current_root_unless_named(tmp_path, faces, monkeypatch):
    monkeypatch.setenv("RMSET_ROOT", str(tmp_path / "env"))
    labeled = Entry("faces", "folder", faces)
    assert resolve_origin("rmset", None, labeled).root.path == tmp_path / "env"
    assert resolve_origin("rmset", str(tmp_path / "given"), labeled).root.path == tmp_path / "given"
    assert resolve_origin(f"rmset:{tmp_path}", None, labeled).root.path == tmp_path
    assert resolve_origin("rest", None, labeled).root is None
