"""Worlds whose panels keep their person: people split first, moments that all share, truth of who shows what."""

import csv
import json
import sys
from itertools import pairwise

import cv2
import fer_worlds
import layouts
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.analysis.pairs.retrieval import same_person
from fertrain.datasets.base import GIVEN
from fertrain.datasets.images import decode
from fertrain.datasets.people import SIDES, TUNING, UNLABELED, Shares, deal
from fertrain.datasets.registry import Entry, add, open_labeled
from fertrain.errors import DatasetError
from fertrain.unlabeled.ground_truth import read_ground_truth
from fertrain.unlabeled.identity_mashup import IdentityConfig, cast_alike, shared_by, write_identity_world
from fertrain.unlabeled.moments import Actor, Take, play, write_moments
from rmset.errors import UsageError
from rmset.inspect.verify import verify
from rmset.read.crops import CropStore
from rmset.synth.posed import write_posed_set
from rmset_cli.fertrain.app import main

SMALL = {"videos": 2, "people": 3, "seconds": 7.0, "fps": 5.0, "size": 48}
CLASSES = fer_worlds.SUBJECT_CLASSES


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return fer_worlds.subjects(tmp_path_factory.mktemp("subjects"))


@pytest.fixture(scope="module")
def world(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("identity") / "world"
    return out, write_identity_world(out, IdentityConfig(f"csv:{table}", **SMALL))


def test_panels_show_their_person_and_the_expression_that_the_truth_names(world):
    _, made = world
    assert list(verify(made.root)) == []
    store = CropStore(made.root)
    known = read_ground_truth(made.root, store.keys)
    assert len(store) == 2 * 3 * 35
    people = {}
    for row in range(len(store)):
        image = store.images([row])[0].astype(float)
        person, expression = round((image[:, :20].mean() - 20) / 20), round((image[:, 28:].mean() - 20) / 30)
        assert known.classes[known.expression[row]] == CLASSES[expression]
        people.setdefault(int(known.person[row]), set()).add(person)
    assert all(len(shown) == 1 for shown in people.values())
    assert {f"P{next(iter(shown))}" for shown in people.values()} <= {
        who for who, side in made.sides.items() if side == UNLABELED
    }


def test_no_person_is_on_two_sides_and_all_images_of_the_others_have_labels(world):
    out, made = world
    labeled = open_labeled(f"parquet:{made.labeled}")
    assert labeled.splits() == ["train", "valid", "test"]
    assert labeled.order.classes == CLASSES
    people = {split: set(labeled.load(split, GIVEN).groups["subject"]) for split in labeled.splits()}
    people["root"] = {who for who, side in made.sides.items() if side == UNLABELED}
    assert sum(map(len, people.values())) == len(set().union(*people.values())) == 10
    # 18 images of each person; the one without a subject is in no part
    assert sum(len(labeled.load(split, GIVEN)) for split in labeled.splits()) == 18 * (10 - len(people["root"]))
    with (out / "people.csv").open() as file:
        listed = {row["subject"]: row for row in csv.DictReader(file)}
    assert {who: row["side"] for who, row in listed.items()} == made.sides
    assert all((row["images"], row["expressions"]) == ("18", "6") for row in listed.values())
    train = labeled.load("train", GIVEN)
    image = decode(train.source.get(train.names[0]), train.names[0], gray=False)
    assert f"P{(int(image[0, 0, 0]) - 20) // 20}" == train.groups["subject"][0]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_other_people(table, world, tmp_path):
    out, made = world
    again = write_identity_world(tmp_path / "again", IdentityConfig(f"csv:{table}", **SMALL))
    files = sorted(
        p.relative_to(out) for p in out.rglob("*") if p.is_file() and "state" not in p.parts and p.suffix != ".json"
    )
    assert any(p.suffix == ".mp4" for p in files)
    assert any("crops" in p.parts for p in files)
    for path in files:
        assert (out / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path
    other = write_identity_world(tmp_path / "other", IdentityConfig(f"csv:{table}", **SMALL, seed=1))
    assert again.sides == made.sides != other.sides
    tuning = [{who for who, side in one.sides.items() if side == TUNING} for one in (made, other)]
    assert tuning[0] == tuning[1]


@pytest.mark.parametrize(
    ("kind", "make", "options"),
    [
        ("ckplus", layouts.ck48, {}), ("ckplus", layouts.ckplus, {"neutral": True, "frames": 3}),
        ("jaffe", layouts.jaffe, {}), ("ferg", layouts.ferg, {}),
    ],
)  # fmt: skip
def test_sets_that_know_their_subjects_become_worlds(kind, make, options, tmp_path):
    path = tmp_path / "set"
    path.mkdir()
    add(Entry("posed", kind, make(path), options), here=True)
    made = write_identity_world(tmp_path / "world", IdentityConfig("posed", **SMALL | {"videos": 1}))
    known = read_ground_truth(made.root, CropStore(made.root).keys)
    assert len(np.unique(known.person)) == made.panels
    assert (known.expression >= 0).all()
    assert set(made.sides.values()) == set(SIDES)
    assert "valid" in open_labeled(f"parquet:{made.labeled}").splits()


def test_a_sequence_plays_there_and_back_and_images_without_order_are_drawn():
    take = Take(("a", "b", "c"), in_order=True)
    assert "".join(take.name_at(k, 12, np.random.default_rng(0)) for k in range(12)) == "aabbccccbbaa"
    loose = Take(("a", "b", "c"), in_order=False)
    drawn = [loose.name_at(k, 12, np.random.default_rng(k)) for k in range(40)]
    assert set(drawn) == {"a", "b", "c"}


@given(st.integers(0, 10_000), st.integers(20, 400), st.floats(0, 1))
def test_moments_fill_the_film_and_everybody_who_has_an_expression_shows_it(seed, frames, noise):
    rng = np.random.default_rng(seed)
    film = write_moments(rng, frames, 10.0, CLASSES[:5])
    assert film[0].start == 0
    assert film[-1].end == frames
    assert all(a.end == b.start for a, b in pairwise(film))
    assert all(20 <= m.end - m.start < 50 for m in film)
    first = [m.expression for m in film[:5]]
    assert len(set(first)) == len(first)
    actor = Actor("x", {e: (Take((e,), in_order=False),) for e in CLASSES[2:5]})
    course = play(rng, actor, film, delay=0, noise=0.0)
    for asked, shown in zip(film, course.moments, strict=True):
        assert shown.expression in actor.takes
        assert shown.expression == asked.expression or asked.expression not in actor.takes
    late = play(np.random.default_rng(seed), actor, film, delay=7, noise=noise)
    on_time = play(np.random.default_rng(seed), actor, film, delay=0, noise=noise)
    for frame in range(frames):
        assert late.at(frame) == on_time.at(max(0, frame - 7))
    assert on_time.at(frames + 50)[0] == len(film) - 1


def test_at_noise_one_people_agree_as_often_as_by_chance():
    film = write_moments(np.random.default_rng(0), 40_000, 10.0, CLASSES)
    actor = Actor("x", {e: (Take((e,), in_order=False),) for e in CLASSES})
    for noise, share in ((0.0, 1.0), (1.0, 1 / 7), (0.5, 0.5 + 0.5 / 7)):
        course = play(np.random.default_rng(1), actor, film, delay=0, noise=noise)
        agrees = np.mean([a.expression == b.expression for a, b in zip(film, course.moments, strict=True)])
        assert agrees == pytest.approx(share, abs=0.04)


def actors(*shown):
    return [Actor(str(i), {e: (Take((e,), in_order=False),) for e in some}) for i, some in enumerate(shown)]


def test_people_who_share_expressions_are_in_one_mashup_and_all_are_in_one_before_any_is_in_two():
    crowd = actors("ab", "cd", "ab", "cd", "ab", "cd", "abc", "cde")
    for seed in range(5):
        casts = cast_alike(np.random.default_rng(seed), crowd, 3, 4)
        assert {frozenset(cast) for cast in casts[:2]} == {frozenset({0, 2, 4, 6}), frozenset({1, 3, 5, 7})}
        assert sorted(casts[0] + casts[1]) == list(range(8))
        assert all(len(set(cast)) == 4 for cast in casts)
    # more panels than a whole deck has people left
    assert all(len(set(cast)) == 3 for cast in cast_alike(np.random.default_rng(0), crowd[:4], 5, 3))


def test_moments_ask_for_what_half_of_the_people_have():
    assert shared_by(actors("abx", "aby", "abz", "az")) == ["a", "b", "z"]
    assert shared_by(actors("a", "a", "b", "b", "c", "d", "e")) == ["a", "b"]
    with pytest.raises(DatasetError, match="that two people of a mashup have"):
        shared_by(actors("a", "b"))


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 5), min_size=3, max_size=60), st.integers(0, 99))
def test_every_person_is_dealt_to_one_side(people, seed):
    try:
        sides = deal(people, Shares(), seed)
    except DatasetError:
        assert len(people) < 6 or sum(n > 1 for n in people.values()) < len(people)
        return
    assert sides.keys() == people.keys()
    assert set(sides.values()) == set(SIDES)
    assert all(people[who] > 1 for who, side in sides.items() if side == UNLABELED)
    others = deal(people, Shares(), seed + 1)
    assert {w for w, s in sides.items() if s == TUNING} == {w for w, s in others.items() if s == TUNING}


@pytest.mark.slow
def test_generated_people_look_like_themselves(tmp_path):
    write_posed_set(tmp_path / "posed", 8, frames=2)
    with (tmp_path / "posed" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    pixels = np.stack([cv2.imread(str(tmp_path / "posed" / r["name"])).ravel() for r in rows]).astype(np.float32)
    who = np.unique([r["subject"] for r in rows], return_inverse=True)[1]
    what = np.unique([r["label"] for r in rows], return_inverse=True)[1]
    assert (np.bincount(np.unique(np.stack([who, what]), axis=1)[0]) >= 3).all()
    found = same_person(torch.from_numpy(pixels - pixels.mean(axis=0)), what, who)
    assert found.recall_at_1 > 0.9 > 3 * found.chance


def test_what_makes_no_world_is_refused_and_nothing_is_left(table, faces, tmp_path):
    out = tmp_path / "world"
    for labeled, words in (
        (f"folder:{faces}", "a set that names its subjects for a world with identity"),
        ("generated:many", "a number of people as in generated:40"), ("generated:4", "expected 5 people or more"),
    ):  # fmt: skip
        with pytest.raises((UsageError, DatasetError), match=words):
            write_identity_world(out, IdentityConfig(labeled, **SMALL))
        assert list(tmp_path.iterdir()) == []
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(UsageError, match="a new or empty folder"):
        write_identity_world(out, IdentityConfig(f"csv:{table}", **SMALL))
    with pytest.raises(UsageError, match="shares of people"):
        Shares(0.6, 0.2, 0.2)


def test_the_command_writes_a_world_and_names_the_training(table, tmp_path, monkeypatch, capsys):
    out = tmp_path / "world"
    words = ["--videos", "1", "--people", "3", "--seconds", "4", "--fps", "5", "--format", "json"]
    monkeypatch.setattr(
        sys, "argv", ["fertrain", "world", "--identity", "--labeled", f"csv:{table}", "-o", str(out), *words]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    said = capsys.readouterr()
    assert [row["expression"] for row in json.loads(said.out)] == list(CLASSES)
    assert f"fertrain semi --labeled parquet:{out}/labelled --unlabeled rmset:{out}/root" in said.err
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], "json", "--rule", "argmax"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "neither --rule nor --without with --identity" in capsys.readouterr().err
