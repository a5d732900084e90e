"""Worlds with ground truth: the crowd's noise is as configured, and their roots are complete."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import UsageError
from rmset.inspect.verify import verify
from rmset.read.crops import CropStore
from rmset.root import Root
from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.labeled import SplitSize
from rmset.synth.minds import gather
from rmset.synth.world import WorldConfig, write_world
from rmset.truth import Truth

SMALL = WorldConfig(videos=1, people=2, seconds=3, fps=10, size=32)


def labels(crowd, people, frames):
    """Labels (people, frames) as positions in EXPRESSIONS."""
    return np.array([[EXPRESSIONS.index(crowd.label_at(p, f)) for f in range(frames)] for p in range(people)])


def agreement(shown):
    """Agreement of two people at one moment, and at two random moments."""
    k = np.stack([(shown == c) for c in range(len(EXPRESSIONS))]).astype(float)
    here = k.sum(axis=1)
    n = len(shown)
    share = k.mean(axis=2)
    together = float(((here * (here - 1)).sum(axis=0) / (n * (n - 1))).mean())
    both = share.sum(axis=1)
    return together, float(((both**2 - (share**2).sum(axis=1)) / (n * (n - 1))).sum())


@given(st.integers(0, 1000), st.integers(0, 20))
def test_without_noise_all_people_follow_the_film_after_their_own_delay(seed, max_delay):
    crowd = gather(np.random.default_rng(seed), 3, 100, 10.0, max_delay=max_delay, noise=0.0)
    for p, reactor in enumerate(crowd.film.reactors):
        assert 0 <= reactor.delay <= max_delay
        for f in range(100):
            shown, intensity = crowd.expression_at(p, f + reactor.delay)
            happening = [e for e in crowd.film.events if e.level(f) > 0]
            assert shown == (happening[0].expression if happening else "neutral")
            assert intensity == min(1.0, sum(e.level(f) for e in happening) * reactor.gain)


@pytest.mark.slow
def test_if_no_person_follows_the_film_people_agree_as_often_as_by_chance():
    gaps = []
    for seed in range(20):
        crowd = gather(np.random.default_rng(seed), 6, 1500, 10.0, max_delay=5, noise=1.0)
        together, chance = agreement(labels(crowd, 6, 1500))
        gaps.append(together - chance)
    assert abs(np.mean(gaps)) < 3 * np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 0.01


def test_the_more_noise_the_less_people_agree():
    found = [
        np.mean([
            agreement(labels(gather(np.random.default_rng(s), 4, 600, 10.0, max_delay=3, noise=noise), 4, 600))[0]
            for s in range(3)
        ])
        for noise in (0.0, 0.25, 0.5, 1.0)
    ]  # fmt: skip
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.8


@given(st.integers(0, 200))
def test_expressions_of_ones_own_come_and_go_where_the_attention_changes(seed):
    crowd = gather(np.random.default_rng(seed), 2, 200, 30.0, max_delay=0, noise=0.5)
    for p in range(2):
        for f in range(199):
            (a, x), (b, y) = crowd.expression_at(p, f), crowd.expression_at(p, f + 1)
            # one frame is 1/6 of a fade; another expression begins where the one before has ended
            assert abs(x - y) < 0.5 if a == b else min(x, y) < 0.5


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "w"
    write_world(folder, SMALL, labeled={"train": SplitSize(2, 1), "test": SplitSize(1, 1)})
    return folder


def test_a_world_is_a_whole_root_whose_truth_names_every_face(small):
    root = Root(small / "root")
    assert list(verify(root, frames=5)) == []
    store = CropStore(root)
    (video,) = root.video_ids()
    truth = Truth.read(root.files.local(root.truth_key(video)))
    assert len(store) == 2 * SMALL.frames == len(truth.faces)
    known = {(f.person, f.frame): f for f in truth.faces}
    assert set(zip(store.keys.person.tolist(), store.keys.frame.tolist(), strict=True)) == set(known)
    assert {f.expression for f in truth.faces} <= set(EXPRESSIONS)
    assert all(0 <= d <= SMALL.max_delay * SMALL.fps for d in truth.delays.values())
    assert len(set(truth.identities.values())) == 2
    assert store.images([0])[0].shape == (32, 32, 3)
    layout = root.layout(video)
    assert layout.segments[0].reviewed
    assert len(layout.segments[0].people) == 2


def test_labeled_people_are_strangers_to_the_roots(small):
    names = {p.name.rsplit("-", 1)[0] for p in (small / "labelled").rglob("*.png")}
    root = Root(small / "root")
    truth = Truth.read(root.files.local(root.truth_key(root.video_ids()[0])))
    assert names
    assert not names & set(truth.identities.values())


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(small, tmp_path):
    def contents(root):
        keys = [k for pattern in ("videos/*", "truth/*", "tracks/*", "crops/*/*") for k in root.files.keys(pattern)]
        return {k: root.files.local(k).read_bytes() for k in keys}

    again = write_world(tmp_path / "again", SMALL, labeled=None)
    assert contents(again) == contents(Root(small / "root"))
    assert not (tmp_path / "again" / "labelled").exists()


@pytest.mark.parametrize("wrong", [{"noise": 1.5}, {"people": 0}, {"seconds": 1}, {"size": 8}, {"max_delay": -1}])
def test_worlds_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match=r"world: expected .* found"):
        WorldConfig(**wrong)


def test_nothing_is_overwritten(small):
    with pytest.raises(UsageError, match="expected a new or empty folder"):
        write_world(small, SMALL)
