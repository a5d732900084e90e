"""Folds of subjects in one table, and probes of a run's features on any set."""

import csv
import json

import layouts
import numpy as np
import pytest
from typer.testing import CliRunner

from fertrain.analysis.compare.protocol import run_folds
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.folds import Folded, folds_of
from fertrain.datasets.registry import Entry, open_entry
from fertrain.evaluation.probe import probe
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app


def config(on, out, **data):
    return RunConfig(
        data=DataConfig(on, **data), optim=OptimConfig(epochs=(1,), batch_size=16),
        model=ModelConfig("test_resnet", image_size=32), augment="none", precision="fp32", out=str(out),
    )  # fmt: skip


@pytest.mark.parametrize("wanted", ["2", "3", "5", "subjects"])
def test_every_image_is_counted_in_one_fold_and_its_subject_is_learned_from_in_none(tmp_path, wanted):
    data = open_entry(Entry("j", "jaffe", layouts.jaffe(tmp_path), {}))
    every = sorted(n for s in data.splits() for n in data.load(s, "given").names)
    counted = []
    for fold in folds_of(data, wanted):
        folded = Folded(data, fold)
        train, test = folded.load("train", "given"), folded.load("test", "given")
        assert not set(train.groups["subject"]) & set(test.groups["subject"])
        assert len(train) + len(test) == len(every)
        counted += test.names
    assert sorted(counted) == every
    assert len(folds_of(data, wanted)) == (5 if wanted == "subjects" else int(wanted))


def test_sets_without_subjects_and_folds_that_cannot_be_are_refused(faces, tmp_path):
    with pytest.raises(UsageError, match="a set that names its subjects for folds"):
        folds_of(open_entry(Entry("f", "folder", faces, {})), "5")
    data = open_entry(Entry("j", "jaffe", layouts.jaffe(tmp_path), {}))
    for wanted in ("1", "6", "x", "0"):
        with pytest.raises(UsageError, match=r"expected 2 to 5 folds"):
            folds_of(data, wanted)
    for fold in ("6/5", "3", "0/5", "3/x"):
        with pytest.raises(UsageError, match=r"a fold like 3/10|expected 2 to 5"):
            Folded(data, fold)


@pytest.mark.slow
def test_folds_are_one_command_with_one_table_that_goes_on(tmp_path):
    root = layouts.jaffe(tmp_path / "jaffe")
    out = tmp_path / "out"
    words = ["supervised", "--labeled", f"jaffe:{root}", "--model", "test_resnet", "--image-size", "32",
             "--epochs", "1", "--augment", "none", "--batch-size", "16", "--precision", "fp32", "--folds", "3",
             "--out", str(out), "-f", "json"]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["fold"] for row in rows] == ["1", "2", "3", "all"]
    assert rows[-1]["n"] == sum(row["n"] for row in rows[:-1]) == 105
    assert rows[-1]["overall_mean"] == pytest.approx(np.mean([row["overall_accuracy"] for row in rows[:-1]]))
    assert [row["fold"] for row in csv.DictReader((out / "folds.csv").open())] == ["1", "2", "3", "all"]
    pooled = json.loads((out / "folds.json").read_text())["pooled"]
    parts = [RunFolder(out / f"fold-{k}").metrics()["confusion"] for k in (1, 2, 3)]
    assert pooled["confusion"] == np.sum(parts, axis=0).tolist()
    before = (out / "fold-2" / "model.safetensors").stat().st_mtime_ns
    (out / "fold-3" / "metrics.json").unlink()
    again = run_folds(config(f"jaffe:{root}", out), "3")
    assert (out / "fold-2" / "model.safetensors").stat().st_mtime_ns == before
    assert again.rows[-1]["n"] == 105
    with pytest.raises(UsageError, match="found another"):
        run_folds(config(f"jaffe:{root}", out, balanced=True), "3")
    both = CliRunner().invoke(app, [*words, "--runs", "2"])
    assert isinstance(both.exception, UsageError)


def test_features_are_probed_on_a_set_of_other_classes_and_the_network_is_left_alone(faces, tmp_path):
    root = tmp_path / "run"
    run(config(f"folder:{faces}", root))
    weights = (root / "model.safetensors").read_bytes()
    other = layouts.affectnet_annotations(tmp_path / "a") if (tmp_path / "a").mkdir() is None else None
    result = CliRunner().invoke(app, ["probe", str(root), "--on", f"affectnet:{other}", "--k", "1", "-f", "json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["probe"].split()[0] for row in rows] == ["linear,", "1"]
    assert all((row["n"], row["on"].rpartition(":")[2]) == (8, "valid") for row in rows)
    assert (root / "model.safetensors").read_bytes() == weights
    mine = probe(root, f"folder:{faces}", k=3)
    assert min(row["overall_accuracy"] for row in mine) > 0.5
    with pytest.raises(UsageError, match="expected 1 to 84 neighbors"):
        probe(root, f"folder:{faces}", k=85)
