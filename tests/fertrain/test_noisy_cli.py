"""`fertrain supervised --method …`: runs, budgets, what is refused, and what the saved model is."""

import json
from dataclasses import replace

import pytest

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.models.checkpoint_file import read_file
from fertrain.models.factory import build
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run

TINY = ("--model", "test_resnet", "--image-size", 32, "--epochs", 1, "--batch-size", 8)


def test_a_run_of_a_method_for_noisy_labels_predicts_as_any_other(fertrain, ferplus, tmp_path):
    out = tmp_path / "scn"
    code, said, err = fertrain(
        "supervised", "--labeled", f"ferplus:{ferplus}", "--method", "scn", "--label-noise", "symmetric:0.25",
        *TINY, "--set", "scn.relabel_after=0", "--out", out, "--format", "json",
    )  # fmt: skip
    assert code == 0, err
    (row,) = json.loads(said)
    assert row["rule"] == "majority"
    values = RunFolder(out).config_values()
    assert (values["method"], values["data"]["label_noise"]) == ("scn", "symmetric:0.25")
    assert values["scn"]["relabel_after"] == 0
    assert not {"eac", "rul", "vac", "ldl"} & values.keys()
    assert "share_relabeled" in RunFolder(out).history()[0]
    assert set(read_file(out / "model.safetensors")[0]) == set(build("test_resnet", 8, 32).state_dict())
    code, said, err = fertrain("predict", out, ferplus / "FER2013Valid", "--no-detect", "-o", tmp_path / "x.csv")
    assert code == 0, err
    assert len((tmp_path / "x.csv").read_text().splitlines()) > 1
    again = fertrain("evaluate", out, "--on", f"ferplus:{ferplus}:valid", "--format", "json")
    assert again[0] == 0, again[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--method", "fixmatch"), "learns from labels alone (supervised, eac, rul, scn, vac, ldl), found fixmatch"),
        (("--method", "scn", "--scheme", "ml"), "one class per image for scn"),
        (("--method", "eac", "--model", "vgg13", "--image-size", 64), "mean of its last map for eac, found vgg13"),
        (
            ("--label-noise", "flip:0.2"),
            "expected symmetric:0.2, confusion:0.2 or confusion:0.2:RUN for --label-noise",
        ),
        (("--label-noise", "symmetric:0.2", "--scheme", "ml"), "with --label-noise, found ml"),
        (("--method", "scn", "--set", "scn.high=1"), "scn.high"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(fertrain, ferplus, tmp_path, words, says):
    out = tmp_path / "run"
    code, said, err = fertrain("supervised", "--labeled", f"ferplus:{ferplus}", *words, "--out", out)
    assert (code, said) == (2, "")
    assert says in " ".join(err.split())
    assert not out.exists()


def test_a_setting_of_another_method_is_named(fertrain, ferplus, tmp_path):
    code, _, err = fertrain(
        "supervised", "--labeled", f"ferplus:{ferplus}", "--method", "rul", *TINY, "--set", "scn.high=0.5",
        "--out", tmp_path / "rul",
    )  # fmt: skip
    assert code == 0
    assert "--set scn.high does nothing here: it belongs to the method scn, and this run is rul" in " ".join(
        err.split()
    )


@pytest.mark.parametrize(("method", "passes"), [pytest.param("supervised", 1, marks=pytest.mark.slow), ("eac", 2)])
def test_a_budget_counts_every_view(ferplus, tmp_path, method, passes):
    config = RunConfig(
        method=method, data=DataConfig(f"ferplus:{ferplus}"), model=ModelConfig("test_resnet", image_size=32),
        optim=OptimConfig(epochs=(2,), batch_size=8, images=64), out=str(tmp_path / "budget"),
    )  # fmt: skip
    rows = RunFolder(run(config).folder).history()
    assert [int(row["images"]) for row in rows] == [32, 32]
    whole = replace(config, optim=replace(config.optim, images=None, epochs=(1,)), out=str(tmp_path / "whole"))
    folder = RunFolder(run(whole).folder)
    learned = folder.config_values()["measured"]["train"]["learnt_from"]
    assert int(folder.history()[0]["images"]) == passes * 8 * (learned // 8)
