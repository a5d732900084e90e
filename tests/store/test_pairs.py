"""Candidates: arrays and SQL give the same sets, draws are uniform and repeatable, indexes are cached."""

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmset.errors import UsageError
from rmset.layout_record import Layout, Segment
from rmset.read import queries
from rmset.read.arrange import PairRule
from rmset.read.catalog import Catalog
from rmset.read.crops import CropKeys, CropStore
from rmset.read.index import FOLDER
from rmset.read.pairindex import Quality, open_sampler, where
from rmset.read.pairs import PairSampler
from rmset.records import VideoRecord
from rmset.root import Root

from .worlds import crop_root, crop_row, write_crops

QUALITIES = st.sampled_from(
    [Quality(), Quality(5.0), Quality(max_yaw=0.4, max_padding=0.3), Quality(reviewed=True), Quality(0.1, 0.2)]
)  # fmt: skip
RULES = st.builds(
    PairRule,
    d=st.sampled_from([0, 1, 2, 3.5]),
    d_far=st.sampled_from([0, 1, 4, 6.5]),
    unit=st.sampled_from(["frames", "steps", "seconds"]),
    stride=st.sampled_from([1, 3]),
    same_segment=st.booleans(),
)


@st.composite
def crowds(draw):
    """Crops of some people in some frames of some videos, with uneven times and qualities."""
    rows = []
    for video_id in draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=2, unique=True)):
        # Half a second to two seconds between frames, so that seconds and frames are not the same.
        steps = draw(st.lists(st.sampled_from([500.0, 1000.0, 2000.0]), min_size=1, max_size=7))
        times = np.cumsum(steps).tolist()
        cut = draw(st.integers(0, len(steps)))
        for frame, time in enumerate(times):
            for person in draw(st.sets(st.integers(0, 3))):
                level = draw(st.integers(0, 9))
                quality = {
                    "sharpness": float(level),
                    "brightness": level / 10,
                    "yaw": level / 10 - 0.5,
                    "padding": level / 20,
                }
                rows.append(
                    crop_row(video_id, person, frame, segment=int(frame >= cut), time_ms=time, data=b"", **quality)
                )
    return rows


def laid_out(root, rows):
    """Layouts with two segments of which the second is reviewed, so that `reviewed` means something."""
    for video_id in {r["video_id"] for r in rows}:
        root.write_text(
            root.record_key(video_id), VideoRecord(video_id, 9, 9, 1.0, 99, 99.0, "h264", "0" * 64, 1).to_json()
        )
        segments = (Segment(0, 1, 0, reviewed=False), Segment(1, 99, 1, reviewed=True))
        root.write_layout(Layout(video_id, (9, 9), segments))


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(crowds(), RULES, QUALITIES)
def test_arrays_and_sql_give_the_same_sets(tmp_path_factory, rows, rule, quality):
    if not rows:
        return
    root = Root(tmp_path_factory.mktemp("pairs") / "root")
    laid_out(root, rows)
    write_crops(root, rows)
    store, catalog = CropStore(root), Catalog(root)
    sampler = open_sampler(store, rule, quality, max_candidates=3)
    near, far = rule.reach
    conditions = where(quality)
    rng = np.random.default_rng(0)
    kept, anchors = set(), set()
    for row in catalog.run(
        f"select c.video_id, c.person_id, c.frame_idx from crops c where {' and '.join(conditions) or 'true'}"
    ).rows():
        kept.add(store.keys.row(*row.values()))
    for row in range(len(store)):
        video_id, person, frame = store.keys.name(row).split(":")
        anchor = {"video_id": video_id, "person_id": int(person), "frame_idx": int(frame)}
        asked = {}
        for kind, ours in (("positives", sampler.positives), ("negatives", sampler.negatives)):
            query = queries.candidates(
                kind, near, far, clock=rule.clock, same_segment=rule.same_segment, conditions=conditions
            )
            found = catalog.run(query, anchor).rows()
            asked[kind] = [store.keys.row(r["video_id"], r["person_id"], r["frame_idx"]) for r in found]
            assert sorted(ours(row).tolist()) == sorted(asked[kind])
        drawn = sampler.draw(row, rng)
        for got, every in zip(drawn, asked.values(), strict=True):
            assert len(got) == len(set(got.tolist())) == min(3, len(every))
            assert set(got.tolist()) <= set(every)
        if row in kept and all(asked.values()):
            anchors.add(row)
    assert set(sampler.anchors.tolist()) == anchors


def keys(people=4, frames=200, videos=2):
    video, frame, person = (
        a.ravel() for a in np.meshgrid(np.arange(videos), np.arange(frames), np.arange(people), indexing="ij")
    )
    return CropKeys([f"v{i}" for i in range(videos)], video, person, frame, frame * 40.0)


def test_a_case_by_hand():
    sampler = PairSampler(keys(people=3, frames=20, videos=1), d=1, d_far=8)
    anchor = 10 * 3 + 1
    assert sampler.positives(anchor).tolist() == [9 * 3, 9 * 3 + 2, 10 * 3, 10 * 3 + 2, 11 * 3, 11 * 3 + 2]
    assert sampler.negatives(anchor).tolist() == [0 * 3 + 1, 1 * 3 + 1, 19 * 3 + 1]


def test_a_step_is_a_stride_of_frames():
    k = keys()
    frames = PairSampler(k, rule=PairRule(6, 60, "frames"))
    steps = PairSampler(k, d=2, d_far=20, stride=3)
    assert frames.positives(500).tolist() == steps.positives(500).tolist()
    assert frames.negatives(500).tolist() == steps.negatives(500).tolist()


def test_the_same_generator_draws_the_same():
    sampler = PairSampler(keys(), max_candidates=7)
    rows = sampler.anchors[::17]
    first, again = (sampler.draw_many(rows, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize(
    ("frames", "rule", "most", "known"),
    [
        (200, PairRule(5, 30), 7, "d0f2c1ad7a2c8e73"),
        (700, PairRule(5, 30), 7, "18006645c4521e9f"),
        (200, PairRule(1, 2, "seconds"), 50, "c36ef43ee78dfbff"),
    ],
)
def test_the_draws_of_a_seed_are_those_of_earlier_versions(frames, rule, most, known):
    """Hashes were made by the version whose index was one file; runs that were started with it go on alike."""
    sampler = PairSampler(keys(frames=frames), rule=rule, max_candidates=most)
    drawn = sampler.draw_many(sampler.anchors[::17], np.random.default_rng(3))
    found = b"".join(np.asarray(rows, np.int64).tobytes() for pair in drawn for rows in pair)
    assert hashlib.sha256(found).hexdigest()[:16] == known


def test_many_candidates_of_very_many_are_drawn_without_trying_for_ever():
    sampler = PairSampler(keys(people=2, frames=110_000, videos=1), d=2, d_far=30, max_candidates=2000)
    ((_, negatives),) = sampler.draw_many(np.array([110_000]), np.random.default_rng(0))
    assert len(set(negatives.tolist())) == 2000


@pytest.mark.parametrize("most", [1, 7])
def test_every_candidate_is_drawn_equally_often(most):
    sampler = PairSampler(keys(people=3, frames=700, videos=1), d=2, d_far=30, max_candidates=most)
    rng, anchor, times = np.random.default_rng(0), 900, 4000
    draws = sampler.draw_many(np.full(times, anchor), rng)
    for kind, every in ((0, sampler.positives(anchor)), (1, sampler.negatives(anchor))):
        count = np.bincount(np.concatenate([d[kind] for d in draws]), minlength=2100)[every]
        expected = times * most / len(every)
        chi = ((count - expected) ** 2 / expected).sum() / len(every)
        assert 0.5 < chi < 1.5
        assert count.sum() == times * most


def test_kept_arrays_are_found_again_and_follow_the_rule(tmp_path):
    root = crop_root(tmp_path / "root")
    store = CropStore(root)
    rule = PairRule(d=2, d_far=5)
    first = open_sampler(store, rule)
    assert open_sampler(store, rule).anchors.tolist() == first.anchors.tolist()
    assert len(root.files.keys(f"{FOLDER}/pairs-*")) == 1
    open_sampler(store, PairRule(d=2, d_far=5, unit="frames"))
    assert len(root.files.keys(f"{FOLDER}/pairs-*")) == 1
    open_sampler(store, PairRule(d=3, d_far=5))
    assert len(root.files.keys(f"{FOLDER}/pairs-*")) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"d": -1}, {"d_far": -1}, {"stride": 0}, {"unit": "weeks"}, {"d": float("nan")}],
)
def test_rules_that_cannot_be(wrong):
    with pytest.raises(UsageError, match="expected"):
        PairRule(**wrong)


def test_no_candidates_at_all_is_no_error():
    assert PairSampler(keys()).draw_many(np.array([]), np.random.default_rng(0)) == []
    lonely = PairSampler(keys(people=1, frames=3, videos=1))
    assert lonely.anchors.tolist() == []
    assert [len(c) for c in lonely.draw(1, np.random.default_rng(0))] == [0, 0]
