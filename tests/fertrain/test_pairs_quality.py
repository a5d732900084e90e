"""Quality of pairs: values by hand, and on a root with ground truth a run with true classes measures the truth."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from fertrain.analysis.pairs.purity import Chosen, by_distance, by_pair
from fertrain.analysis.pairs.quality import QualityConfig, _draw, _rows
from fertrain.config.methods import RmferConfig
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.evaluation.features import open_run
from fertrain.training.experiment import run
from fertrain.unlabeled.candidates import open_anchors
from fertrain.unlabeled.crops import open_crops
from fertrain.unlabeled.scripted_mashup import ScriptedConfig, write_scripted
from rmset.root import Root
from rmset_cli.fertrain.app import app

NONE = np.empty(0, np.int64)


def test_agreement_by_distance_by_hand():
    shown, step = np.array([0, 0, 1, 0, -1]), np.array([10.0, 11.0, 8.0, 10.0, 10.0])
    found = [Chosen(0, np.array([1, 2, 3, 4]), NONE, NONE, NONE), Chosen(4, np.array([1]), NONE, NONE, NONE)]
    near, far, none = by_distance(found, "positives", shown, step, [0, 1, 2, 3])
    # 1 and 3 are one step or less away and show the same; 2 is two away and does not; what is not known does not count
    assert (near.pairs, near.agree) == (2, 1.0)
    assert (far.pairs, far.agree) == (1, 0.0)
    assert none.pairs == 0
    assert math.isnan(none.agree)


def test_agreement_by_pair_of_people_by_hand():
    shown, video, person = np.array([0, 0, 1, 0]), np.zeros(4, int), np.array([2, 1, 1, 5])
    found = [Chosen(0, np.array([1, 2, 3]), NONE, NONE, NONE), Chosen(1, np.array([0]), NONE, NONE, NONE)]
    pairs = by_pair(found, shown, video, person)
    assert {k: (s.pairs, s.agree) for k, s in pairs.items()} == {(0, 1, 2): (3, 2 / 3), (0, 2, 5): (1, 1.0)}


@pytest.fixture(scope="module")
def root(faces, tmp_path_factory):
    config = ScriptedConfig(f"folder:{faces}", videos=2, people=3, seconds=10, noise=0.0, max_delay=0.8, size=32)
    return write_scripted(tmp_path_factory.mktemp("s") / "root", config)[0].path


@pytest.fixture(scope="module")
def finished(faces, root, tmp_path_factory):
    config = RunConfig(
        method="rmfer", data=DataConfig(f"folder:{faces}", unlabeled=f"rmset:{root}"), augment="none", precision="fp32",
        model=ModelConfig("test_resnet", image_size=32), rmfer=RmferConfig(max_candidates=5),
        optim=OptimConfig(epochs=(8, 1, 1), batch_size=14, lr=3e-3), out=str(tmp_path_factory.mktemp("runs") / "r"),
    )  # fmt: skip
    return run(config).folder


@pytest.fixture(scope="module")
def measured(finished, root, tmp_path_factory):
    out = tmp_path_factory.mktemp("quality")
    words = ["pairs-quality", str(finished), "--root", str(root), "-o", str(out), "--anchors", "40", "-f", "json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def test_agreement_is_seen_as_it_is(measured):
    _, kinds = measured
    rows = {r["candidates"]: r for r in kinds}
    assert list(rows) == ["P", "P_imp", "N", "N_imp", "P (own delay)", "P_imp (own delay)"]
    for row in kinds:
        assert row["anchors"] == 40
        assert row["agree"] == pytest.approx(row["true_agree"], abs=0.25)
    assert rows["P"]["agree"] > rows["P"]["chance"]
    assert rows["P (own delay)"]["true_agree"] > rows["P"]["true_agree"]
    assert rows["P_imp"]["agree"] >= rows["P"]["agree"]
    assert rows["N_imp"]["agree"] <= rows["N"]["agree"]


def test_delays_are_estimated_and_held_against_the_truth(measured, root):
    out, _ = measured
    values = json.loads((out / "pairs-quality.json").read_text())
    assert values["delays"]["pairs"] == 6
    assert values["delays"]["mean_error"] < 1
    assert values["delays"]["mean_error"] < values["delays"]["mean_without"]
    assert {(r["a"], r["b"]) for r in values["pairs"]} == {(0, 1), (0, 2), (1, 2)}
    assert all(abs(r["lag"] - r["true_lag"]) < 2 for r in values["pairs"])
    distances = [r for r in values["distances"] if r["who"] == "others"]
    assert [r["from"] for r in distances] == [r["to"] for r in distances] == list(range(31))
    crops = open_crops(Root(root))
    late = open_anchors(crops, RmferConfig(candidates="delay", delays=str(out / "delays.json")), 0)
    assert late.measured["people_without_delay"] == 0
    assert (out / "pairs-quality.png").stat().st_size > 10_000


def test_rules_are_compared_on_the_same_anchors(measured, root):
    crops = open_crops(Root(root))
    rules = RmferConfig(max_candidates=5)
    own = RmferConfig(max_candidates=5, candidates="delay", delays=str(measured[0] / "delays.json"))
    both = [open_anchors(crops, rule, seed=0) for rule in (rules, own)]
    # people who come late have no company at the video's ends
    assert len(both[0]) != len(both[1])
    config = QualityConfig(anchors=40)
    rows = _rows(both, config)
    drawn = [_draw(anchors, rows, config) for anchors in both]
    assert [found[0] for found, _ in drawn[0]] == [found[0] for found, _ in drawn[1]] == rows.tolist()
    assert len(set(rows.tolist())) == 40
    assert all(np.isin(rows, anchors.candidates.anchors).all() for anchors in both)


def test_what_the_features_find_is_measured_where_the_truth_is_known(measured):
    rows = {r["looked for"]: r for r in json.loads((measured[0] / "pairs-quality.json").read_text())["retrieval"]}
    found = rows["expression in other people, f"]
    assert found["chance"] < found["mean_ap"] <= 1
    assert found["recall_at_1"] > 0.5
    assert set(rows) == {
        "expression in other people, f", "expression in other people, z", "person in other expressions, f",
    }  # fmt: skip


def test_a_run_of_labels_alone_compares_its_features(finished, tmp_path):
    opened = open_run(finished)
    assert opened.projects
    supervised = tmp_path / "s"
    supervised.mkdir()
    for name in ("model.safetensors", "config.toml"):
        (supervised / name).write_bytes((finished / name).read_bytes())
    assert not open_run(supervised).projects


def test_a_root_without_truth_says_nothing_of_it(finished, mashup, tmp_path):
    words = ["pairs-quality", str(finished), "--root", str(mashup), "--judge", str(finished), "--anchors", "5",
             "--by", "pair", "-f", "csv", "-o", str(tmp_path / "q")]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    assert head == "video,a,b,pairs,agree,lag,correlation,true_lag"
    assert len(rows) == 3
    values = json.loads((tmp_path / "q" / "pairs-quality.json").read_text())
    assert (values["delays"], values["retrieval"]) == ({}, [])
