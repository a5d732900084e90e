"""Attention and feature maps: values by hand, laws of the map, and figures of several runs side by side."""

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from fertrain.analysis.explain.attention import between_classes, over_candidates
from fertrain.analysis.explain.feature_map import distances, mds, on_plane, spread, turned_onto, unit
from fertrain.config.methods import RmferConfig
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.losses.rmfer import acl
from fertrain.run_folder import told_apart
from fertrain.training.experiment import run
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app


def test_attention_over_candidates_by_hand():
    # cosines to the anchor: positives 1 and 0, negatives 0 and -1; τ = 1/2; half of each is kept
    z = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    found = over_candidates(z, positives=2, gamma=0.5, tau=0.5)
    e = np.exp([2.0, 0.0, 0.0, -2.0])
    assert found.similarity == pytest.approx([1, 0, 0, -1])
    assert found.before == pytest.approx(e / e.sum())
    assert found.after == pytest.approx(np.array([e[0], 0, 0, e[3]]) / (e[0] + e[3]))
    assert found.on_positives == (pytest.approx((e[0] + e[1]) / e.sum()), pytest.approx(e[0] / (e[0] + e[3])))


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_attention_on_positives_is_what_the_loss_says(seed, p, q):
    z = torch.from_numpy(np.random.default_rng(seed).normal(size=(1 + p + q, 5)))
    found = over_candidates(z, p, gamma=1.0, tau=0.7)
    s = torch.from_numpy(found.similarity)
    assert found.on_positives[0] == pytest.approx(math.exp(-acl(s[:p], s[p:], 0.7).item()), rel=1e-5)
    assert found.after == pytest.approx(found.before)


def test_attention_between_classes_by_hand():
    # two of class 0 that are alike, one of class 1 at right angles; τ = 1, no image attends to itself
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    own = math.e / (math.e + 1)
    found = between_classes(z, np.array([0, 0, 1]), 2, tau=1.0, self_mask="exclude")
    assert found.tolist() == [pytest.approx([own, 1 - own]), pytest.approx([1.0, 0.0])]


def test_distance_to_the_class_center_by_hand():
    points = np.array([[0.0, 0.0], [2.0, 0.0], [5.0, 3.0], [5.0, 5.0], [5.0, 7.0]])
    found = spread(points, np.array([3, 3, 7, 7, 7]))
    assert found.by_class == {3: 1.0, 7: pytest.approx(4 / 3)}
    assert found.to_centre == pytest.approx(6 / 5)
    assert found.between == pytest.approx(math.hypot(4, 5))


plane = arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(-5, 5))


@given(plane)
def test_points_of_a_plane_are_mapped_without_stress(points):
    wanted = distances(points)
    found, stress = mds(wanted)
    if wanted.max() > 1e-3:
        assert stress < 1e-4
        assert distances(found) == pytest.approx(wanted, abs=1e-3 * wanted.max())


@given(arrays(np.float64, (8, 5), elements=st.floats(-5, 5)))
def test_more_rounds_never_make_a_map_worse(points):
    wanted = distances(points)
    if wanted.max() > 1e-3:
        stresses = [mds(wanted, rounds=n, tolerance=-1)[1] for n in (0, 1, 5, 30)]
        # small distances are differences of squares: exact to 1e-8
        assert all(b <= a + 1e-6 for a, b in pairwise(stresses))


def test_a_map_is_turned_onto_another_but_not_stretched():
    rng = np.random.default_rng(0)
    points, labels = (
        rng.normal(size=(30, 2)) + np.repeat([[4, 0], [0, 3], [-4, -1]], 10, axis=0),
        np.repeat([0, 1, 2], 10),
    )
    mirrored = points @ np.array([[0.0, 1.0], [1.0, 0.0]]) @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 9
    assert turned_onto(mirrored, labels, points) == pytest.approx(points)
    assert distances(turned_onto(2 * points, labels, points)) == pytest.approx(2 * distances(points), abs=1e-6)


def test_a_map_by_neighbors_and_an_unknown_map():
    rng = np.random.default_rng(0)
    points = unit(rng.normal(size=(24, 6)))
    assert np.linalg.norm(points, axis=1) == pytest.approx(1)
    found, stress = on_plane(points, "tsne", seed=1)
    assert found.shape == (24, 2)
    assert stress is None
    with pytest.raises(UsageError, match="expected a map out of mds, tsne"):
        on_plane(points, "luck", 0)


@pytest.fixture(scope="module")
def runs(faces, mashup, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, epochs in (("base", (4, 0, 0)), ("acl", (4, 1, 1))):
        config = RunConfig(
            method="rmfer", data=DataConfig(f"folder:{faces}", unlabeled=f"rmset:{mashup}"), augment="none",
            model=ModelConfig("test_resnet", image_size=32), rmfer=RmferConfig(max_candidates=5), precision="fp32",
            optim=OptimConfig(epochs=epochs, batch_size=14, lr=3e-3), out=str(folder / name),
        )  # fmt: skip
        run(config)
    return folder


def explain(*words):
    result = CliRunner().invoke(app, ["explain", *map(str, words), "-f", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
def test_attention_of_two_runs_side_by_side(runs, mashup, tmp_path):
    rows = explain(runs / "base", runs / "acl", "--attention", "--root", mashup, "--candidates", "4", "-o", tmp_path,
                   "--anchor", "m-00000000:1:12", "--anchor", "m-00000000:2:40")  # fmt: skip
    assert [r["run"] for r in rows] == ["base", "acl"]
    values = json.loads((tmp_path / "attention.json").read_text())
    assert [(a["anchor"], a["run"]) for a in values["anchors"]] == [
        (f"m-00000000:{p}", run) for p in ("1:12", "2:40") for run in ("base", "acl")
    ]
    for anchor in values["anchors"]:
        kinds = [c["kind"] for c in anchor["candidates"]]
        assert kinds == ["positive"] * 4 + ["negative"] * 4
        for when in ("before", "after"):
            assert sum(c[when] for c in anchor["candidates"]) == pytest.approx(1)
        assert sum(c["after"] > 0 for c in anchor["candidates"]) == 2
    faces_of = {run: [c["face"] for a in values["anchors"] if a["run"] == run for c in a["candidates"]]
                for run in ("base", "acl")}  # fmt: skip
    assert faces_of["base"] == faces_of["acl"]
    for matrix in values["between_classes"].values():
        assert np.sum(matrix, axis=1) == pytest.approx(np.ones(7))
    for name in ("attention-candidates.png", "attention-classes.png"):
        assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.slow
def test_anchors_are_chosen_where_none_is_named(runs, mashup, tmp_path):
    explain(runs / "base", "--attention", "--root", mashup, "-o", tmp_path)
    values = json.loads((tmp_path / "attention.json").read_text())
    assert 1 <= len(values["anchors"]) <= 3


def test_a_face_without_candidates_is_no_anchor(runs, mashup, tmp_path):
    words = ["explain", str(runs / "base"), "--attention", "--root", str(mashup), "-o", str(tmp_path), "--anchor"]
    # of 60 frames the middle ones have nothing beyond ± 30
    for name, said in (("m-00000000:1:30", "it lacks one"), ("m-00000000:1", "VIDEO:PERSON:FRAME")):
        result = CliRunner().invoke(app, [*words, name])
        assert isinstance(result.exception, UsageError)
        assert said in str(result.exception)


def test_features_of_two_runs_side_by_side(runs, tmp_path):
    rows = explain(runs / "base", runs / "acl", "--embedding", "--per-class", "3", "-o", tmp_path)
    values = json.loads((tmp_path / "embedding.json").read_text())
    assert [r["run"] for r in rows] == list(values["by_run"]) == ["base", "acl"]
    assert len(values["images"]) == len(values["labels"]) == 21
    for row in rows:
        assert 0 < row["to_centre"] < 2
        assert row["ratio"] == pytest.approx(row["to_centre"] / row["between_centres"])
        assert len(values["by_run"][row["run"]]["points"]) == 21
    assert (tmp_path / "embedding-mds.png").stat().st_size > 10_000


def test_runs_of_an_ablation_are_named_by_as_many_folders_as_tell_them_apart(runs, tmp_path):
    assert told_apart([Path("a/mashup/seed-0"), Path("a/delay/seed-0")]) == ["mashup/seed-0", "delay/seed-0"]
    assert told_apart([Path("a/x/seed-0"), Path("b/x/seed-0")]) == ["a/x/seed-0", "b/x/seed-0"]
    assert told_apart([Path("a/x/seed-0")]) == ["seed-0"]
    for name in ("base", "acl"):
        shutil.copytree(runs / name, tmp_path / name / "seed-0")
    of = [tmp_path / name / "seed-0" for name in ("base", "acl")]
    rows = explain(*of, "--embedding", "--per-class", "3", "-o", tmp_path / "out")
    assert [r["run"] for r in rows] == ["base/seed-0", "acl/seed-0"]


def test_a_run_is_not_compared_with_itself(runs, tmp_path):
    result = CliRunner().invoke(app, ["explain", str(runs / "acl"), str(runs / "acl"), "--embedding"])
    assert isinstance(result.exception, UsageError)
    assert "twice" in str(result.exception)
