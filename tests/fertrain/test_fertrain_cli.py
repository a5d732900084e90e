"""The command line as a user meets it: exit codes, one line for an error, results on stdout."""

import json
import subprocess
import sys
import time

import layouts
import pytest
import typer
from typer.testing import CliRunner

from fertrain.config import RunConfig
from fertrain.config.recipes import recipe
from fertrain.datasets.registry import entries
from fertrain.run_folder import RunFolder
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app
from rmset_cli.fertrain.options import OPTIONS, as_flags, method_settings, settings

COMMANDS = [
    "supervised", "semi", "ablate", "evaluate", "cross", "compare", "votes", "predict", "explain", "convert", "recipes",
    "world", "pairs-quality", "runs", "export", "reactions",
    "datasets", "datasets add", "datasets list", "datasets check", "datasets align", "datasets pack", "datasets show",
    "probe",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Example: fertrain" in result.stdout


def test_every_command_is_tested_for_help():
    group = typer.main.get_command(app)
    found = set(group.commands) | {f"datasets {name}" for name in group.commands["datasets"].commands}
    assert found == set(COMMANDS)


def test_help_answers_at_once_and_without_torch():
    code = "import sys; import rmset_cli.fertrain.app; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    started = time.perf_counter()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    # the required 0.4 s hold on an idle machine; tests run beside others
    assert time.perf_counter() - started < 2


def test_from_a_folder_to_a_score(fertrain, ferplus, tmp_path):
    assert fertrain("datasets", "add", "votes", "--kind", "ferplus", "--path", ferplus)[0] == 0
    code, out, _ = fertrain("datasets", "list", "--format", "json")
    assert (code, json.loads(out)[0]["name"]) == (0, "votes")
    code, out, err = fertrain("datasets", "check", "votes", "--format", "csv")
    assert code == 0
    assert out.startswith("split,rule,images,neutral")
    assert "row names no image (skipped): 1" in err

    run = tmp_path / "run"
    common = ["--model", "test_resnet", "--image-size", "32", "--epochs", "1", "--batch-size", "16"]
    code, out, err = fertrain(
        "supervised", "--labeled", "votes", "--scheme", "cel", *common, "--out", run, "--format", "json", "--quiet"
    )
    assert (code, err) == (0, "")
    assert json.loads(out)[0]["rule"] == "majority"
    code, out, err = fertrain("evaluate", run, "--on", "votes:valid", "--eval-rule", "argmax", "--format", "json")
    assert code == 0
    assert (json.loads(out)["rule"], json.loads(out)["n"]) == ("argmax", 16)
    assert "rule argmax, n = 16" in err


def test_a_set_is_kept_with_its_options_as_its_kind_reads_them(fertrain, tmp_path):
    root = layouts.ckplus(tmp_path / "ck")
    sets = [word for text in ("neutral=False", "frames=2", "split=image") for word in ("--set", text)]
    assert fertrain("datasets", "add", "ck", "--kind", "ckplus", "--path", root, "--drop", "fear,anger", *sets)[0] == 0
    kept = {"neutral": False, "frames": 2, "split": "image", "drop": ["fear", "anger"]}
    assert entries()["ck"].options == kept


def test_semi_walks_through_with_the_current_root(fertrain, ferplus, mashup, tmp_path, monkeypatch):
    monkeypatch.setenv("RMSET_ROOT", str(mashup))
    code, out, _ = fertrain(
        "semi", "--labeled", f"ferplus:{ferplus}", "--labels", "40", "--unlabeled", "rmset", "--method", "rmfer",
        "--model", "test_resnet", "--image-size", "32", "--epochs", "1,0,1", "--batch-size", "8",
        "--out", tmp_path / "r", "--format", "json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)[0]["overall_accuracy"] >= 0
    assert [line.split(",")[0] for line in (tmp_path / "r" / "history.csv").read_text().splitlines()] == [
        "phase", "base", "acl"
    ]  # fmt: skip


def test_every_option_of_the_training_commands_is_a_setting():
    group = typer.main.get_command(app)
    names = {name: {p.name for p in group.commands[name].params} for name in ("supervised", "semi", "ablate")}
    assert names["supervised"] < names["semi"]
    for option in OPTIONS:
        assert option.kind.base is not None
        assert all(option.name in names[command] for command in option.commands)


def test_messages_of_the_library_name_flags_on_the_command_line():
    assert as_flags("expected `optim.lr` 0 or more, found -1") == "expected --lr 0 or more, found -1"
    assert as_flags("`data.unlabeled='rest'` will do") == "`--unlabeled rest` will do"
    assert as_flags("`fertrain semi --x 1` and `rmfer.ial_lr`") == "`fertrain semi --x 1` and `rmfer.ial_lr`"


def test_any_setting_can_be_set_by_its_name_in_config_toml(fertrain, faces, tmp_path):
    code, _, err = fertrain(
        "semi", "--labeled", f"folder:{faces}", "--labels", "35", "--unlabeled", "rest", "--method", "fixmatch",
        "--model", "test_resnet", "--image-size", "32", "--epochs", "1", "--strong", "erasing", "--images", "500",
        "--set", "fixmatch.ratio=2", "--set", "optim.momentum=0.5", "--set", "optim.steps=[[1, 0.1]]",
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert code == 0, err
    config = RunFolder(tmp_path / "r").config()
    assert (config.fixmatch.ratio, config.optim.momentum, config.optim.steps) == (2, 0.5, ((1, 0.1),))
    assert (config.optim.batch_size, config.optim.images, config.strong) == (32, 500, "erasing")


@pytest.mark.parametrize("name", [pytest.param("rafdb-4000", marks=pytest.mark.slow), "rafdb-4000-ada-cm"])
def test_recipes_of_raf_db_are_ready_to_run(fertrain, mashup, tmp_path, monkeypatch, name):
    monkeypatch.setenv("RMSET_ROOT", str(mashup))
    raf = layouts.rafdb(tmp_path / "raf", per_class=6)
    code, out, err = fertrain(
        "semi", "--labeled", f"rafdb:{raf}", "--recipe", name, "--labels", "28", "--model", "test_resnet",
        "--image-size", "32", "--epochs", "1", "--images", "600", "--batch-size", "4",
        "--set", "rmfer.max_candidates=4", "--out", tmp_path / "r", "--format", "json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)[0]["n"] == 42


def test_an_index_file_stands_above_a_recipes_label_budget_and_a_budget_above_its_file():
    start = recipe("rafdb-4000").config
    again = settings(start, {"data.labels_file": "labels.csv"}, None)
    assert (again.data.labels, again.data.labels_file) == (None, "labels.csv")
    fewer = settings(again, {"data.labels": 100}, None)
    assert (fewer.data.labels, fewer.data.labels_file) == (100, None)
    assert settings(start, {}, None) == start


@pytest.mark.slow
def test_a_grid_runs_from_the_command_line(fertrain, faces, tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text('about = "rates"\nseeds = 3\n[variants.slow]\n[variants.fast]\noptim.lr = 0.01\n')
    args = [
        "ablate", grid, "--labeled", f"folder:{faces}", "--labels", "35", "--model", "test_resnet",
        "--image-size", "32", "--images", "100", "--set", "optim.epochs=[1]", "--set", "optim.batch_size=10",
        "--seeds", "1", "--out", tmp_path / "out", "--format", "json",
    ]  # fmt: skip
    code, out, err = fertrain(*args)
    assert code == 0, err
    assert [(row["variant"], row["runs"]) for row in json.loads(out)] == [("slow", 1), ("fast", 1)]
    assert len((tmp_path / "out" / "slow" / "seed-0" / "labels.csv").read_text().splitlines()) == 3 + 35
    code, again, err = fertrain(*args, "--only", "fast")
    assert (code, len(json.loads(again))) == (0, 2)
    assert "finished already, kept" in err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["supervised", "--labeled", "nobody"], 2, "unknown data set 'nobody'"),
        (["supervised", "--labeled", "ferplus:{ferplus}", "--model", "resnett"], 2, "unknown model 'resnett'"),
        (["supervised", "--labeled", "ferplus:{ferplus}", "--scheme", "mvv"], 2, "unknown --scheme 'mvv'"),
        (["supervised", "--labeled", "ferplus:/no/such"], 2, "found none at /no/such"),
        (["supervised", "--labeled", "ferplus:{empty}"], 1, "expected the votes fer2013new.csv"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--unlabeled", "rmset:{empty}"], 1, "rmset export"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--epochs", "many"], 2, "whole numbers of epochs"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--method", "fixmatchh"], 2, "did you mean fixmatch"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--set", "rmfer.taw=1"], 2, "did you mean rmfer.tau"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--set", "rmfer.tau=hot"], 2, "expected float for rmfer.tau"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--set", "optim.epochs=3"], 2, "expected tuple[int, ...]"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--set", "tau"], 2, "NAME=VALUE"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--unlabeled-fraction", "1.5"], 2, "from 0 to 1"),
        (["semi", "--labeled", "ferplus:{ferplus}", "--candidates", "luck"], 2, "unknown --candidates 'luck'"),
        (["ablate", "rmfer"], 2, "give --labeled"),
        (["ablate", "rmferr", "--labeled", "ferplus:{ferplus}"], 2, "did you mean rmfer"),
        (["evaluate", "{empty}", "--on", "x"], 2, "expected a run folder"),
        (["datasets", "add", "x", "--kind", "ferplus", "--path", "{empty}"], 1, "expected the votes"),
        (["datasets", "check", "x"], 2, "unknown data set"),
        (["datasets", "add", "x", "--kind", "ferplus", "--path", "{ferplus}", "--classes", "a,b"], 2, "'classes'"),
        (["datasets", "add", "x", "--kind", "ckplus", "--path", "{empty}", "--set", "slit=image"], 2, "mean split"),
        (["datasets", "add", "x", "--kind", "rmset", "--path", "{empty}", "--drop", "fear"], 2, "'drop'"),
        (["votes", "ferplus:{ferplus}", "--draws", "0"], 2, "--draws"),
        (["votes", "ferplus:{ferplus}", "--disputed", "-1"], 2, "--disputed"),
        (["compare", "{empty}", "--measure", "confusion"], 2, "--measure"),
        (["explain", "{empty}", "--occlusion", "--side", "-3"], 2, "--side"),
        (["explain", "{empty}", "--embedding", "--seed", "-1"], 2, "--seed"),
        (["supervised", "--labeled", "ferplus:{ferplus}", "--lr", "-1"], 2, "--lr 0 or more, found -1"),
        (["supervised"], 2, "--labeled"),
    ],
)
def test_bad_input_is_one_line_and_the_right_exit_code(fertrain, ferplus, tmp_path, args, code, says):
    empty = tmp_path / "empty"
    empty.mkdir()
    filled = [str(a).format(ferplus=ferplus, empty=empty) for a in args]
    if filled[0] in ("supervised", "semi"):
        filled += ["--out", str(tmp_path / "out"), "--quiet"]
    found, out, err = fertrain(*filled)
    assert (found, out) == (code, "")
    assert says in err
    assert "Traceback" not in err
    if "Usage:" not in err:
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "typed", "owner"),
    [
        (["--method", "fixmatch", "--tau", "0.1"], "--tau", "rmfer"),
        (["--method", "simclr", "--candidates", "random"], "--candidates", "rmfer"),
    ],
)
def test_options_of_one_method_given_to_another_are_refused(faces, tmp_path, words, typed, owner):
    result = CliRunner().invoke(app, ["semi", "--labeled", f"folder:{faces}", "--out", str(tmp_path / "x"), *words])
    assert isinstance(result.exception, UsageError)
    assert f"found {typed}, which belongs to {owner}; leave it out, or take --method {owner}" in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_a_setting_of_another_method_gives_a_warning(capsys):
    start = RunConfig(method="ada-cm")
    assert method_settings(start, {}, ["uda.temperature=0.5"]).method == "ada-cm"
    assert "--set uda.temperature does nothing here: it belongs to the method uda" in capsys.readouterr().err
