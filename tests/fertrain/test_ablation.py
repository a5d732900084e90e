"""Grids: valid files, runs, skipped runs, and the table."""

import csv
import json
import math

import pytest

from fertrain.analysis.compare import ablation
from fertrain.analysis.compare import table as ablation_table
from fertrain.analysis.compare.ablation import ablate, names, parse, read, slug
from fertrain.analysis.compare.significance import Group
from fertrain.config.run import RunConfig
from fertrain.errors import UnknownNameError
from fertrain.methods import METHODS, StepOutput
from fertrain.methods.supervised import Supervised
from fertrain.run_folder import RunFolder
from rmset.errors import UsageError

GRID = """
about = "two rates"
seeds = 2
[settings]
augment = "none"
precision = "fp32"
[settings.data]
labeled = "folder:{faces}"
[settings.model]
name = "test_resnet"
image_size = 32
[settings.optim]
epochs = [1]
batch_size = 14
[variants.slow]
[variants."Fast!"]
optim.lr = 0.01
"""


def test_runs_are_ordinary_folders_and_finished_ones_are_not_repeated(faces, tmp_path, monkeypatch):
    plan = parse(GRID.format(faces=faces), "grid.toml")
    outcome = ablate(plan, tmp_path)
    assert {p.parent.name + "/" + p.name for p in tmp_path.glob("*/seed-*")} == {
        "slow/seed-0", "slow/seed-1", "fast/seed-0", "fast/seed-1"
    }  # fmt: skip
    assert RunFolder.open(tmp_path / "fast" / "seed-1").config().optim.lr == 0.01
    assert [(row["variant"], row["runs"], row["pairs"]) for row in outcome.rows] == [("slow", 2, 0), ("Fast!", 2, 2)]
    values = json.loads((tmp_path / "table.json").read_text())
    accuracy = [RunFolder(tmp_path / "fast" / f"seed-{k}").metrics()["overall_accuracy"] for k in (0, 1)]
    assert values["overall_accuracy"]["Fast!"] == {"0": accuracy[0], "1": accuracy[1]}
    with (tmp_path / "table.csv").open() as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["slow", "Fast!"]
    assert "| Fast! | 2 |" in (tmp_path / "table.md").read_text()

    def never(*args):
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(ablation, "run", never)
    assert ablate(plan, tmp_path).rows == outcome.rows
    # one seed more would be run; the two that are there are still not
    with pytest.raises(AssertionError):
        ablate(parse(GRID.format(faces=faces).replace("seeds = 2", "seeds = 3"), "grid.toml"), tmp_path)
    with pytest.raises(UsageError, match=r"another `out`"):
        ablate(parse(GRID.format(faces=faces).replace("0.01", "0.02"), "grid.toml"), tmp_path)


def test_seeds_go_round_all_variants_and_a_failed_run_is_noted(faces, tmp_path, monkeypatch):
    class NoNumber(Supervised):
        def loss(self, batch):
            return StepOutput(super().loss(batch).loss * math.nan)

    monkeypatch.setitem(METHODS, "nan", NoNumber)
    text = GRID.format(faces=faces) + '[variants.broken]\nmethod = "nan"\n'
    plan = parse(text.replace("seeds = 2", "seeds = [5]"), "grid.toml")
    said = []
    outcome = ablate(plan, tmp_path, say=said.append)
    assert [line for line in said if " of 3: " in line] == ["1 of 3: slow", "2 of 3: Fast!", "3 of 3: broken"]
    assert list(outcome.failed) == ["broken/seed-5"]
    assert [row["runs"] for row in outcome.rows] == [1, 1, 0]
    assert "Failed: broken/seed-5" in (tmp_path / "table.md").read_text()


def test_the_table_by_hand():
    a, b = Group("a", {0: 0.80, 1: 0.82}, "x"), Group("b", {0: 0.83, 1: 0.85, 2: 0.99}, "x")
    first, second, none = ablation_table.rows({"a": a, "b": b, "c": None}, {"a": a, "b": b, "c": None})
    assert first["overall_mean"] == pytest.approx(0.81)
    assert first["overall_std"] == pytest.approx(0.02 / math.sqrt(2))
    assert (first["difference"], first["pairs"], first["paired_p"]) == (None, 0, None)
    assert second["difference"] == pytest.approx(0.89 - 0.81)
    assert second["pairs"] == 2
    assert none["runs"] == 0
    text = ablation_table.markdown("t", [first, second, none], ["x"], {})
    assert "| a | 2 | 81.00 ± 1.41 | 81.00 ± 1.41 |  |  |  |" in text
    assert "| c | 0 |  |  |  |  |  |" in text


def test_the_tables_tests_are_corrected_for_their_number():
    values = {"a": (0.5, 0.6, 0.7), "b": (0.61, 0.72, 0.8), "c": (0.55, 0.66, 0.71)}
    groups = {name: Group(name, dict(enumerate(found)), "x") for name, found in values.items()} | {"none": None}
    first, b, c, none = ablation_table.rows(groups, groups)
    assert first["paired_p_holm"] is none["paired_p_holm"] is None
    assert b["paired_p_holm"] == pytest.approx(2 * b["paired_p"])
    assert c["paired_p_holm"] == pytest.approx(max(c["paired_p"], b["paired_p_holm"]))
    text = ablation_table.markdown("t", [first, b, c, none], ["x"], {})
    assert f"| +11.00 | {b['paired_p']:.3f} | {2 * b['paired_p']:.3f} |" in text


@pytest.mark.parametrize("name", names())
def test_every_grid_that_comes_along_names_settings_that_exist(name, tmp_path):
    plan = read(name)
    assert plan.seeds == {"claim": tuple(range(1, 6)), "claim-confirm": tuple(range(11, 21))}.get(name, (0, 1, 2))
    with pytest.raises(UsageError, match=r"`data.labeled`"):
        plan.configs(tmp_path)
    from dataclasses import replace

    ready = replace(plan, start=replace(plan.start, data=replace(plan.start.data, labeled="ferplus")))
    configs = ready.configs(tmp_path)
    assert len({str(c.out) for c in configs.values()}) == len(plan.variants) >= 2
    assert all(isinstance(c, RunConfig) for c in configs.values())


def test_the_papers_ablations_are_all_there():
    changes = [v.get("rmfer", {}) | v.get("data", {}) for v in read("rmfer").variants.values()]
    for wanted in (
        {"lambda1": 0.0, "lambda2": 0.0}, {"lambda1": 0.0}, {"lambda2": 0.0}, {}, {"self_mask": "off"},
        {"unlabeled_fraction": 0.5}, {"candidates": "random"},
    ):  # fmt: skip
        assert wanted in changes


@pytest.mark.slow
def test_some_variants_are_run_and_the_table_shows_them_all(faces, tmp_path):
    plan = parse(GRID.format(faces=faces).replace("seeds = 2", "seeds = 1"), "grid.toml")
    ablate(plan, tmp_path, ["slow"])
    assert [row["runs"] for row in ablate(plan, tmp_path, ["slow"]).rows] == [1, 0]
    assert [row["runs"] for row in ablate(plan, tmp_path, ["Fast!"]).rows] == [1, 1]
    with pytest.raises(UnknownNameError, match="did you mean Fast!"):
        ablate(plan, tmp_path, ["Fasst!"])


def test_a_variants_folder_is_its_name_in_plain_letters():
    assert slug("IAL alone (RMset 0 %)") == "ial-alone-rmset-0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds = 2", "one variant or more"),
        ("seeds = 0\n[variants.a]", "one seed or more"),
        ("seeds = [1, 1]\n[variants.a]", "each once"),
        ("seeds = 'many'\n[variants.a]", "a number of seeds"),
        ("[variants.a]\n[variants.'A!']", "folders differ"),
        ("[variants]\na = 1", "table of settings for the variant 'a'"),
        ("[variants.a]\n[stettings]", "unknown key .*settings"),
        ("[settings.rmfer]\ntaw = 1\n[variants.a]", "did you mean rmfer.tau"),
        ("[settings]\nrmfer = 1\n[variants.a]", "a group of settings for rmfer"),
        ("seeds =", "a grid in TOML"),
        ("variants = 3", "tables for variants"),
        ("settings = []\n[variants.a]", "tables for settings"),
        ("recipe = 3\n[variants.a]", "a name for recipe"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused(text, says):
    with pytest.raises(UsageError, match=says):
        parse(text, "grid.toml")


def test_a_variant_with_an_unknown_setting_is_found_before_anything_runs(faces, tmp_path):
    plan = parse(GRID.format(faces=faces) + "[variants.typo]\noptim.lrr = 1.0\n", "grid.toml")
    with pytest.raises(UnknownNameError, match=r"variant 'typo': 'optim.lrr': did you mean .*optim.lr"):
        ablate(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('augment = "foo"', "variant 'odd': unknown augmentation 'foo'"),
        ('data.unlabeled = "nope"', "variant 'odd': unknown data set 'nope'"),
        ('model.name = "resnet10q"', "variant 'odd': unknown model 'resnet10q'"),
    ],
)
def test_an_unknown_name_in_a_later_variant_is_found_before_anything_runs(faces, tmp_path, change, says):
    plan = parse(GRID.format(faces=faces) + f"[variants.odd]\n{change}\n", "grid.toml")
    with pytest.raises(UsageError, match=says):
        ablate(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_variant_that_lacks_a_file_is_found_before_anything_runs(faces, tmp_path):
    plan = parse(GRID.format(faces=faces) + '[variants.late]\nmethod = "rmfer"\nrmfer.candidates = "delay"\n', "g.toml")
    with pytest.raises(UsageError, match="variant 'late': expected a file of delays"):
        ablate(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_grids_are_looked_up():
    with pytest.raises(
        UnknownNameError,
        match="candidates, claim, claim-confirm, label-embedding, noisy-labels, rivals, rmfer, schemes",
    ):
        read("everything")
    with pytest.raises(UsageError, match=r"found none at nowhere\.toml"):
        read("nowhere.toml")
