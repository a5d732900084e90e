"""Grids on people never seen: worlds, rates from tuning people, runs, measures, claims."""

import csv
import json
import math
import subprocess
import sys
import tomllib

import fer_worlds
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy import stats

from fertrain.analysis.compare import people
from fertrain.analysis.compare.ablation import parse, read
from fertrain.analysis.compare.people import ablate_people
from fertrain.analysis.compare.people_cost import seconds_per_run
from fertrain.analysis.compare.people_measures import measured
from fertrain.analysis.compare.people_table import Found, compare, decisions, rows
from fertrain.analysis.compare.significance import holm, interval
from fertrain.config.run import ModelConfig, OptimConfig, RunConfig
from fertrain.config.serialization import changed
from fertrain.datasets.base import GIVEN
from fertrain.datasets.registry import open_labeled
from fertrain.errors import UnknownNameError
from fertrain.methods.base import Phase, Views
from fertrain.run_folder import RunFolder
from fertrain.training import experiment
from fertrain.training.batches import as_set
from rmset.errors import UsageError
from rmset.files import sha256_of
from rmset_cli.fertrain.app import main

GRID = """
about = "tiny"
seeds = [1]
[settings]
method = "rmfer"
augment = "none"
workers = 0
precision = "fp32"
[settings.data]
labeled = "{labeled}"
[settings.model]
name = "test_resnet"
image_size = 32
[settings.optim]
epochs = [0, 0, 2]
epoch_steps = 2
keep = "last"
batch_size = 8
[settings.rmfer]
anchors = 1
max_candidates = 3
d_far = 10
[variants.pre]
rmfer.lambda2 = 0.0
[variants."Shuffled!"]
rmfer.candidates = "shuffled-identities"
[people]
budgets = [12, 500]
begin = [1, 1, 0]
anchors = 4
claims = [["Shuffled!", "pre"]]
[people.world]
videos = 1
people = 3
seconds = 5.0
fps = 6.0
size = 32
[people.tune]
values = [0.1, 1.0]
seeds = [7]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    table = fer_worlds.subjects(tmp_path_factory.mktemp("subjects"))
    out = tmp_path_factory.mktemp("grid") / "claim"
    plan = parse(GRID.format(labeled=f"csv:{table}"), "grid.toml")
    said = []
    return plan, out, ablate_people(plan, out, say=said.append), said


@pytest.mark.slow
def test_one_call_makes_worlds_tunes_trains_measures_and_decides(finished):
    plan, out, outcome, said = finished
    assert [(r["budget"], r["variant"], r["runs"]) for r in outcome.rows] == [
        ("12 labels", "pre", 1), ("12 labels", "Shuffled!", 1)
    ]  # fmt: skip
    assert {p.name for p in (out / "worlds").iterdir()} == {"seed-1", "seed-7"}
    assert any(line.startswith("label budgets left out: 500;") for line in said)
    assert any(line.startswith("6 trainings (2 of each variant for tuning) and 2 beginnings: about ") for line in said)
    assert json.loads((out / "estimate.json").read_text())["runs_of_each"] == 3
    tuned = json.loads((out / "tuning.json").read_text())
    for name in plan.variants:
        assert tuned[name]["value"] == max((0.1, 1.0), key=lambda v, of=name: (tuned[of]["map"][f"{v:g}"], -v))
    assert said[-1] == "12 labels: Shuffled! is not shown better than pre"
    values = json.loads((out / "people.json").read_text())
    assert values["decisions"] == [said[-1]]
    assert [r["variant"] for r in values["runs"]] == ["pre", "Shuffled!"]
    assert 0 < values["runs"][0]["map_chance"] <= 1
    assert values["runs"][0]["purity"]["anchors"] == 4
    with (out / "people.csv").open() as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["pre", "Shuffled!"]
    text = (out / "people.md").read_text()
    assert "| Shuffled! better than pre |" in text
    assert "## Purity of the candidates, %" in text


@pytest.mark.slow
def test_tuning_runs_report_tuning_people_and_the_others_people_never_seen(finished):
    plan, out, _, _ = finished
    tuned = json.loads((out / "tuning.json").read_text())
    for path, split in (
        (out / "tuning" / "0.1" / "pre" / "seed-7", "valid"),
        (out / "labels-12" / "pre" / "seed-1", "test"),
    ):
        run = RunFolder.open(path)
        assert run.metrics()["split"] == f"labelled:{split}"
        assert run.metrics()["selected_on"] == "nothing: the last of 2 epochs"
        assert run.config().data.labels == 12
        # two epochs of two steps of eight images
        assert [(row["phase"], int(float(row["images"]))) for row in run.history()] == [("acl", 16)] * 2
    assert run.config().rmfer.acl_lr == tuned["pre"]["value"]
    dataset = open_labeled(run.config().data.labeled)
    sides = {s: set(dataset.load(s, GIVEN).groups["subject"]) for s in ("train", "valid", "test")}
    assert not sides["train"] & sides["test"]
    other = open_labeled(f"parquet:{out / 'worlds' / 'seed-7' / 'labelled'}")
    assert set(other.load("valid", GIVEN).groups["subject"]) == sides["valid"]
    found = measured(path, dataset.load("test", GIVEN), plan.people.faces)
    kept = json.loads((path / "people.json").read_text())
    assert {k: kept[k] for k in found} == found
    assert kept["accuracy"] == run.metrics()["overall_accuracy"]


@pytest.mark.slow
def test_all_variants_go_on_from_one_beginning(finished):
    _, out, _, _ = finished
    begun = RunFolder.open(out / "labels-12" / "begin" / "seed-1")
    assert [row["phase"] for row in begun.history()] == ["base", "ial"]
    weights = [sha256_of(path) for path in (begun.weights, begun.method_weights)]
    for name in ("pre", "shuffled"):
        run = RunFolder.open(out / "labels-12" / name / "seed-1")
        assert run.config().model.run == str(begun.path)
        assert tomllib.loads((run.path / "config.toml").read_text())["measured"]["run_sha256"] == weights


@pytest.mark.slow
def test_a_run_goes_on_with_all_weights_of_another(finished, tmp_path):
    _, out, _, _ = finished
    begun = RunFolder.open(out / "labels-12" / "begin" / "seed-1")
    config = begun.config()
    still = {"model": {"run": str(begun.path)}, "optim": {"epochs": [0, 0, 0]}, "out": str(tmp_path / "still")}
    experiment.run(changed(config, still, "x"))
    for name in ("model.safetensors", "method.safetensors"):
        before, after = load_file(begun.path / name), load_file(tmp_path / "still" / name)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[k], after[k]) for k in before)
    # at rate 0 the attention head is still the trained one, not a new copy of the other
    slow = still | {"optim": {"epochs": [0, 0, 1], "lr": 0.0, "weight_decay": 0.0}, "out": str(tmp_path / "slow")}
    experiment.run(changed(config, slow, "x"))
    found = load_file(tmp_path / "slow" / "method.safetensors")
    assert torch.equal(found["ial_head.weight"], load_file(begun.method_weights)["ial_head.weight"])
    other = still | {"model": {"run": str(begun.path), "image_size": 48}, "out": str(tmp_path / "other")}
    with pytest.raises(UsageError, match="a run of rmfer with test_resnet at 48 px"):
        experiment.run(changed(config, other, "x"))
    both = still | {"model": {"run": str(begun.path), "pretrained": True}, "out": str(tmp_path / "both")}
    with pytest.raises(UsageError, match=r"either a run to go on from \(`model.run`\) or weights"):
        experiment.run(changed(config, both, "x"))


@pytest.mark.slow
def test_the_same_command_goes_on_and_other_settings_are_refused(finished, monkeypatch):
    plan, out, outcome, _ = finished

    def never(*args):
        raise AssertionError("something finished was repeated")

    monkeypatch.setattr(people, "measured", never)
    monkeypatch.setattr(people, "write_identity_world", never)
    assert ablate_people(plan, out, ["Shuffled!"]).rows == outcome.rows
    with pytest.raises(UnknownNameError, match="did you mean Shuffled!"):
        ablate_people(plan, out, ["Shuffled"])
    text = GRID.format(labeled=plan.start.data.labeled)
    with pytest.raises(UsageError, match="a world of these settings"):
        ablate_people(parse(text.replace("seconds = 5.0", "seconds = 6.0"), "grid.toml"), out)
    with pytest.raises(UsageError, match=r"another `out`"):
        ablate_people(parse(text.replace("anchors = 1", "anchors = 2"), "grid.toml"), out)


@pytest.mark.slow
def test_generated_people_need_no_set(tmp_path, monkeypatch, capsys):
    (tmp_path / "tiny.toml").write_text(
        GRID.replace('labeled = "{labeled}"', "").replace("values = [0.1, 1.0]", "values = [1.0]")
    )
    words = ["ablate", str(tmp_path / "tiny.toml"), "--labeled", "generated:9", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["fertrain", *words, "--format", "json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    assert [row["variant"] for row in json.loads(capsys.readouterr().out)] == ["pre", "Shuffled!"]


@pytest.mark.slow
def test_two_processes_draw_the_generated_people_once(tmp_path):
    (tmp_path / "tiny.toml").write_text(
        GRID.replace('labeled = "{labeled}"', "").replace("budgets = [12, 500]", "budgets = [99999]")
    )
    words = ["ablate", str(tmp_path / "tiny.toml"), "--labeled", "generated:9", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "rmset_cli.fertrain", *words]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        # people and worlds are there; then no world has so many images
        assert "expected a label budget below" in process.communicate()[1]


def test_a_set_is_needed_that_names_its_subjects(faces, tmp_path):
    with pytest.raises(UsageError, match="or generated:60 for 60 generated people"):
        ablate_people(parse(GRID.format(labeled=""), "grid.toml"), tmp_path)
    with pytest.raises(UsageError, match="names its subjects"):
        ablate_people(parse(GRID.format(labeled=f"folder:{faces}"), "grid.toml"), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('["Shuffled!", "pre"]', '["Shuffled!", "pro"]', "did you mean pre"),
        ('["Shuffled!", "pre"]', '["Shuffled!"]', "one that it must beat"),
        ("seeds = [7]", "seeds = [1]", r"tuning seeds that are in no table, found \[1\]"),
        ("seeds = [7]", "", "values and seeds"), ("budgets = [12, 500]", "budgets = []", "expected budgets"),
        ("begin = [1, 1, 0]", "begin = [0]", "epochs in people.begin"),
        ("values = [0.1, 1.0]", 'values = [0.1]\nsetting = "rmfer.acl_rate"', "acl_lr"),
        ("videos = 1", "vidoes = 1", "people.world.videos"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_meant_is_refused(old, new, words):
    assert old in GRID
    with pytest.raises((UsageError, UnknownNameError), match=words):
        parse(GRID.format(labeled="x").replace(old, new), "grid.toml")


def test_the_plan_that_comes_along_gives_all_variants_the_same_steps_and_labels():
    plan = read("claim")
    assert plan.people is not None
    assert len(plan.seeds) >= 5
    configs = [changed(plan.start, changes, name) for name, changes in plan.variants.items()]
    assert len({(c.optim, c.data, c.model, c.augment) for c in configs}) == 1
    assert plan.start.optim.keep == "last"
    # as many images pass with and without refinement
    assert {math.ceil(c.rmfer.gamma * c.rmfer.max_candidates) for c in configs} == {5}
    assert {c.rmfer.candidates for c in configs} == {"mashup", "random", "random-positives", "shuffled-identities"}
    assert {name for family in plan.people.families for claim in family for name in claim} == set(plan.variants)


def test_the_confirmation_repeats_the_plan_on_new_seeds():
    first, second = read("claim"), read("claim-confirm")
    assert first.people is not None
    assert second.people is not None
    assert not set(first.seeds) & set(second.seeds)
    assert second.people.claims == first.people.claims
    assert second.people.budgets == first.people.budgets[:1]
    assert (second.people.begin, second.people.world) == (first.people.begin, first.people.world)
    for name, changes in second.variants.items():
        rated = changed(first.start, {"rmfer": {"acl_lr": 1.0}}, "the chosen rate")
        assert changed(second.start, changes, name) == changed(rated, first.variants[name], name)


def found(budget, variant, *maps):
    return Found(budget, variant, {}, {s: {"map": m, "accuracy": m / 2, "identity": 0.5} for s, m in enumerate(maps)})


def test_claims_by_hand():
    pre, total, control = (0.50, 0.52, 0.51, 0.55), (0.54, 0.57, 0.545, 0.60), (0.53, 0.58, 0.55, 0.59)
    runs = [found(70, "pre", *pre), found(70, "total", *total), found(70, "random", *control),
            found(0, "pre", 0.6), found(0, "total", 0.7), found(0, "random")]  # fmt: skip
    claims = [("total", "pre", "random")]
    first, second, *others = compare(runs, claims)
    assert (first.variant, first.against, first.pairs) == ("total", "pre", 4)
    # differences 4, 5, 3.5, 5 points: mean 4.375, s = 0.75, t = 4.375 / (0.75 / 2) = 11.667
    assert first.difference == pytest.approx(0.04375)
    assert first.p == pytest.approx(2 * stats.t.sf(0.04375 / (0.0075 / 2), 3))
    assert first.high - first.difference == pytest.approx(stats.t.ppf(0.975, 3) * 0.0075 / 2)
    assert (first.holm, second.holm) == (2 * first.p, second.p)
    assert (first.holds, second.holds) == (True, False)
    # one seed decides nothing, none is no row
    assert [(c.pairs, c.holds, math.isnan(c.p)) for c in others] == [(1, False, True), (0, False, True)]
    assert decisions(runs, [claims]) == ["70 labels: total is better than pre; not shown better than random"]
    # families are corrected by themselves
    assert compare(runs, [("total", "pre")])[0].holm == first.p
    assert decisions(runs, [[("total", "pre")], [("total", "random")]]) == [
        "70 labels: total is better than pre", "70 labels: total is not shown better than random"
    ]  # fmt: skip
    table = rows(runs)
    assert [row["runs"] for row in table] == [4, 4, 4, 1, 1, 0]
    assert table[1]["map_difference"] == pytest.approx(0.04375)
    assert (table[0]["map_difference"], table[4]["paired_p"], table[5]["map_mean"]) == (None, None, None)


def test_holm_by_hand():
    # sorted .01, .03, .04: 3 · .01, 2 · .03, 1 · .04, never less than the one before
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, math.nan])[0] == 1.0
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[i] * (len(p) - rank) >= level:
                break
            rejected.add(i)
        assert {i for i, adjusted in enumerate(holm(p)) if adjusted < level} == rejected


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_the_interval_is_scipys(pairs):
    a, b = np.array(pairs).T
    if np.std(b - a) > 1e-6:
        assert interval(a, b) == pytest.approx(tuple(stats.ttest_rel(b, a).confidence_interval()), abs=1e-9)


def test_epochs_have_the_steps_that_are_set_and_the_last_goes_on():
    phases = (Phase("base", 3, 1e-3, "adamw"), Phase("before", 2, 1e-3, "adamw", views=Views(1, weak=1), labeled=False))
    assert as_set(phases, OptimConfig()) == phases
    base, before = as_set(phases, OptimConfig(epoch_steps=7, keep="last"))
    assert (base.steps, base.judged, before.steps) == (7, False, None)
    with pytest.raises(UsageError, match=r"either `optim.epoch_steps` or a budget"):
        OptimConfig(epoch_steps=7, images=100)


def test_the_estimate_grows_with_the_steps():
    config = RunConfig(method="rmfer", model=ModelConfig("test_resnet", image_size=32), precision="fp32",
                       optim=OptimConfig(epochs=(1, 1, 1), epoch_steps=10, batch_size=8))  # fmt: skip
    few = seconds_per_run(config, 7)
    many = seconds_per_run(changed(config, {"optim": {"epoch_steps": 1000}}, "x"), 7)
    assert 0 < few < many
