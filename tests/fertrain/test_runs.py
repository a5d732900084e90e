"""Whole runs on tiny data: accuracy, output files, and refused settings."""

import json
import math
import re
import shutil
import sys
from dataclasses import replace

import fer_worlds
import pytest
import torch

from fertrain.config.methods import RmferConfig
from fertrain.config.recipes import parse as parse_recipe
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.config.serialization import config_from, deciding, settings_of, to_toml
from fertrain.datasets.registry import open_labeled
from fertrain.errors import DatasetError, TrainingError, UnknownNameError
from fertrain.evaluation import report
from fertrain.evaluation.metrics import scores_from
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, StepOutput
from fertrain.methods.supervised import Supervised
from fertrain.models.checkpoint_file import read_file
from fertrain.run_folder import RunFolder
from fertrain.training.data import open_labeled_data
from fertrain.training.experiment import run
from fertrain.training.resolve import resolve
from rmset.errors import RmsetError, UsageError


def config(faces, out, **top):
    return RunConfig(
        **{
            "data": DataConfig(labeled=f"folder:{faces}"),
            "model": ModelConfig("test_resnet", image_size=32),
            "optim": OptimConfig(epochs=(2,), batch_size=14),
            "augment": "none",
            "precision": "fp32",
            "out": str(out),
            **top,
        }
    )


def weights(folder):
    return read_file(folder / "model.safetensors")[0]


@pytest.fixture(scope="module")
def finished(faces, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    return run(config(faces, out, optim=OptimConfig(epochs=(8,), batch_size=14, lr=3e-3)))


def test_a_run_learns_and_says_what_it_counted(finished):
    m = json.loads((finished.folder / "metrics.json").read_text())
    assert {"n", "overall_accuracy", "average_accuracy", "per_class", "confusion", "labels", "split", "rule",
            "selected_on", "calibration", "mistakes", "times_counted", "temperature"} == m.keys()  # fmt: skip
    assert m["n"] == 21
    assert m["overall_accuracy"] > 0.5
    assert (m["split"].split(":")[-1], m["rule"]) == ("test", "given")
    assert "held-out" in m["selected_on"]


def test_a_run_folder_is_whole(finished):
    names = {p.name for p in finished.folder.iterdir()} - {".lock", ".counting.lock"}
    assert names == {
        "config.toml", "model.safetensors", "metrics.json", "history.csv", "curves.png", "confusion.png",
        "reliability.png", "evaluations.csv", "report.html", "model_card.md",
    }  # fmt: skip
    page = (finished.folder / "report.html").read_text()
    mistakes = json.loads((finished.folder / "metrics.json").read_text())["mistakes"]
    assert page.count("data:image/png;base64") == 3 + len(mistakes)
    assert "http" not in page.replace("http-equiv", "")
    folder = RunFolder.open(finished.folder)
    assert len(folder.history()) == 8
    assert folder.config().optim.epochs == (8,)
    assert len(folder.config_values()["measured"]["train"]["sha256"]) == 64


def test_evaluate_finds_the_same_score_and_proves_it_judges_each_image_alone(finished):
    labeled = RunFolder.open(finished.folder).config().data.labeled
    scores, invariance, values = fer_worlds.evaluated(finished.folder, labeled)
    assert scores.to_json() == finished.scores.to_json()
    assert invariance.images == 21
    assert values["split"].endswith(":test")


def test_a_run_is_evaluated_on_a_folder_here(finished, faces, monkeypatch):
    monkeypatch.chdir(faces.parent)
    for on in (f"folder:{faces.name}", f"folder:{faces.name}:test"):
        assert fer_worlds.evaluated(finished.folder, on)[0].n == 21


def test_a_run_is_evaluated_on_another_order_of_the_classes(finished, tmp_path):
    fer_worlds.class_folders(tmp_path, per_class=1, test=3, classes=("happy", "sad"))
    from fertrain.datasets.registry import Entry, add

    add(Entry("two", "folder", tmp_path, {"classes": ["sad", "happy"]}))
    scores, _, _ = fer_worlds.evaluated(finished.folder, "two:test")
    assert scores.labels == ("sadness", "happiness")
    assert scores.n == 6


@pytest.mark.slow
def test_one_seed_one_result_whatever_the_workers_and_the_memory(faces, tmp_path):
    base = config(faces, tmp_path / "a", augment="affine")
    variants = [
        base,
        replace(base, out=str(tmp_path / "b"), workers=2, memory_mb=0),
        replace(base, out=str(tmp_path / "c"), seed=1),
    ]
    a, b, c = (weights(run(v).folder) for v in variants)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


@pytest.mark.parametrize("scheme", ["cel", *(pytest.param(s, marks=pytest.mark.slow) for s in SCHEMES if s != "cel")])
def test_every_scheme_trains_on_votes(ferplus, tmp_path, scheme):
    data = DataConfig(labeled=f"ferplus:{ferplus}", scheme=scheme)
    result = run(config(None, tmp_path / "r", data=data, optim=OptimConfig(epochs=(1,), batch_size=16)))
    assert (result.scores.split.split(":")[1], result.scores.rule) == ("valid", "majority")
    rules = {"mv": "majority", "ml": "multi", "pld": "distribution", "cel": "distribution"}
    assert RunFolder(result.folder).config_values()["measured"]["train"]["rule"] == rules[scheme]


@pytest.fixture(scope="module")
def semi(ferplus, mashup, tmp_path_factory):
    """A run of RMFER on 48 labels, and its config."""
    data = DataConfig(f"ferplus:{ferplus}", rule="argmax", labels=48, unlabeled=f"rmset:{mashup}", balanced=True)
    c = config(
        None, tmp_path_factory.mktemp("semi") / "a", method="rmfer", data=data, augment="one-of",
        rmfer=RmferConfig(max_candidates=6), optim=OptimConfig(epochs=(1,), batch_size=16, optimizer="sam"),
    )  # fmt: skip
    return run(c), c


def test_rmfer_goes_through_its_three_phases_on_a_label_budget(semi):
    result, _ = semi
    history = RunFolder(result.folder).history()
    assert [row["phase"] for row in history] == ["base", "ial", "acl"]
    assert float(history[2]["loss_acl"]) > 0
    measured = RunFolder(result.folder).config_values()["measured"]
    assert measured["unlabelled_stream"]["grey"]
    assert measured["unlabelled_stream"]["mean"] != measured["labelled_stream"]["mean"]
    assert len((result.folder / "labels.csv").read_text().splitlines()) == 3 + 48
    assert (result.folder / "method.safetensors").exists()


@pytest.mark.slow
def test_the_index_file_names_the_same_images_and_the_same_seed_gives_the_same_weights(semi, tmp_path):
    result, c = semi
    again = replace(c, out=str(tmp_path / "b"), workers=2, memory_mb=0,
                    data=replace(c.data, labels=None, labels_file=str(result.folder / "labels.csv")))  # fmt: skip
    a, b = weights(result.folder), weights(run(again).folder)
    assert all(torch.equal(a[k], b[k]) for k in a)


class NotANumber(Supervised):
    """Method that learns for an epoch, then gives NaN."""

    steps = 0

    def loss(self, batch):
        self.steps += 1
        output = super().loss(batch)
        return output if self.steps <= 5 else StepOutput(output.loss * math.nan)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(faces, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "nan", NotANumber)
    with pytest.raises(TrainingError, match=r"found nan in phase supervised, epoch 2, step 1 .* lower `optim.lr`"):
        run(config(faces, tmp_path / "r", method="nan"))
    assert all(torch.isfinite(v).all() for v in weights(tmp_path / "r").values())
    assert len(RunFolder(tmp_path / "r").history()) == 1
    assert not (tmp_path / "r" / "metrics.json").exists()


class LastStepSpoils(Supervised):
    """The loss of every step is finite; the step after it is not."""

    steps = 0

    def loss(self, batch):
        self.steps += 1
        output = super().loss(batch)
        return StepOutput(output.loss * (1e-6 if self.steps < 10 else 1e38))


def test_weights_that_a_last_step_spoilt_are_not_kept(faces, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "spoilt", LastStepSpoils)
    rates = OptimConfig(epochs=(2,), batch_size=14, optimizer="sgd", lr=100.0, schedule="constant")
    with pytest.raises(TrainingError, match=r"finite weights, found NaN or infinity in .* epoch 2; .* `optim.lr`"):
        run(config(faces, tmp_path / "r", method="spoilt", optim=rates))
    assert all(torch.isfinite(v).all() for v in weights(tmp_path / "r").values())


def test_a_runs_own_settings_are_a_recipe(finished):
    own = (finished.folder / "config.toml").read_text()
    about = "".join(f'{key} = "ours"\n' for key in ("paper", "command", "expects", "time"))
    found = parse_recipe(about + own, "config.toml").config
    assert deciding(found) == deciding(RunFolder.open(finished.folder).config())
    assert (found.out, found.overwrite) == ("", False)


def test_a_finished_run_is_not_overwritten_by_accident(finished):
    labeled = RunFolder.open(finished.folder).config().data.labeled
    with pytest.raises(UsageError, match="`overwrite`"):
        run(config(labeled.removeprefix("folder:"), finished.folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"mix": "blur"}, {"augment": "afine"}, {"model": ModelConfig("test_resnet", weights="none.pt")},
        {"labels": 3}, {"labels": 28, "unlabeled": "nobody", "method": "fixmatch"},
    ],
)  # fmt: skip
def test_a_run_to_be_overwritten_stays_whole_until_the_new_one_can_begin(finished, tmp_path, changes):
    folder = tmp_path / "again"
    shutil.copytree(finished.folder, folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    labeled = RunFolder.open(folder).config().data.labeled
    data = DataConfig(labeled, **{k: changes.pop(k) for k in ("labels", "unlabeled") if k in changes})
    with pytest.raises(RmsetError):
        run(config(None, folder, overwrite=True, data=data, **changes))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_curves_without_their_package_are_refused_before_anything_is_replaced(finished, tmp_path, monkeypatch, package):
    folder = tmp_path / "again"
    shutil.copytree(finished.folder, folder)
    monkeypatch.setitem(sys.modules, package, None)
    data = DataConfig(RunFolder.open(folder).config().data.labeled)
    with pytest.raises(UsageError, match=rf"package {package} .* 'rmset\[{package}\]'"):
        run(config(None, folder, overwrite=True, data=data, **{package: "faces"}))
    assert (folder / "metrics.json").exists()


def test_what_is_overwritten_is_counted_anew(finished, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(finished.folder, folder)
    with (folder / "evaluations.csv").open("a") as log:
        log.write("an earlier count\n")
    run(config(None, folder, overwrite=True, data=DataConfig(RunFolder.open(folder).config().data.labeled)))
    assert len((folder / "evaluations.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "rmferr"}, "did you mean rmfer"),
        ({"model": ModelConfig("resnet1O")}, "unknown model"),
        ({"augment": "afine"}, "unknown augmentation"),
        ({"data": DataConfig("nobody")}, "unknown data set"),
        ({"method": "rmfer"}, "`data.unlabeled`"),
    ],
)
def test_unknown_names_are_wrong_usage(faces, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run(config(faces, tmp_path / "r", **changes))
    assert not (tmp_path / "r" / "model.safetensors").exists()


def test_votes_are_not_made_up_for_plain_labels(faces, tmp_path):
    with pytest.raises(UsageError, match="one label per image"):
        run(config(faces, tmp_path / "r", data=DataConfig(f"folder:{faces}", scheme="cel")))


def test_an_unknown_rule_is_refused(ferplus, tmp_path):
    with pytest.raises(UnknownNameError, match="majority"):
        run(config(None, tmp_path / "r", data=DataConfig(f"ferplus:{ferplus}", eval_rule="majorityy")))


def test_settings_survive_the_file():
    import tomllib

    c = RunConfig(
        method="rmfer", data=DataConfig('a "b"', labels=40), optim=OptimConfig(epochs=(1, 2, 3), steps=((1, 0.5),))
    )
    assert config_from(tomllib.loads(to_toml(settings_of(c)))) == c


@pytest.mark.slow
def test_curves_are_written_if_requested(faces, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.delenv("WANDB_MODE", raising=False)
    out = tmp_path / "drawn"
    result = run(config(faces, out, tensorboard=True, wandb="faces"))
    rows = (out / "history.csv").read_text().splitlines()
    events = EventAccumulator(str(out / "events"))
    events.Reload()
    drawn = [event.value for event in events.Scalars("heldout_accuracy")]
    assert len(drawn) == len(rows) - 1 == 2
    # nothing is sent unless WANDB_MODE says so: an offline run lies in the folder
    (offline,) = (out / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"heldout_accuracy" in offline.read_bytes()
    plain = run(config(faces, tmp_path / "plain"))
    assert all(torch.equal(a, weights(plain.folder)[name]) for name, a in weights(result.folder).items())


@pytest.mark.slow
def test_curves_are_closed_when_a_run_breaks_off(faces, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    import wandb

    class NoNumber(Supervised):
        def loss(self, batch):
            return StepOutput(super().loss(batch).loss * math.nan)

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setitem(METHODS, "nan", NoNumber)
    with pytest.raises(TrainingError):
        run(config(faces, tmp_path / "broken", method="nan", wandb="faces"))
    # else the next run of the same process would go on in this one
    assert wandb.run is None


def test_a_split_without_images_is_refused_before_training(tmp_path):
    root = fer_worlds.class_folders(tmp_path / "faces", per_class=4, test=1)
    for image in (root / "test").glob("*/*"):
        image.unlink()
    with pytest.raises(DatasetError, match="images to count in faces:test under the rule given, found none"):
        run(config(root, tmp_path / "r"))
    assert not (tmp_path / "r" / "history.csv").exists()
    told = run(config(root, tmp_path / "r", data=DataConfig(f"folder:{root}", report_on="train")))
    with pytest.raises(DatasetError, match="found none"):
        fer_worlds.evaluated(told.folder, f"folder:{root}:test")


def test_a_rule_that_keeps_nothing_is_refused_before_training(tmp_path):
    votes = fer_worlds.ferplus(tmp_path / "votes", train=32, valid=8)
    table = votes / "fer2013new.csv"
    # four of ten votes are the most, but no majority
    table.write_text(re.sub(r"(PublicTest,f[^,]+),.*", r"\1,4,3,3,0,0,0,0,0,0,0", table.read_text()))
    with pytest.raises(DatasetError, match="votes:valid under the rule majority, found none"):
        run(config(None, tmp_path / "r", data=DataConfig(f"ferplus:{votes}")))
    assert not (tmp_path / "r" / "history.csv").exists()


def test_the_reports_mean_of_classes_leaves_out_a_class_without_images(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "r")
    folder = RunFolder.open(tmp_path / "r")
    metrics = folder.metrics()
    metrics["confusion"][0] = [0] * 7
    folder.write_metrics(metrics)
    average = scores_from(metrics).average_accuracy
    page = report.write(folder, folder.metrics()).read_text()
    row = re.search(r"mean of classes.*?</tr>", page, re.S)
    assert row
    assert f"{average:.1%}" in row.group()


def test_a_scheme_keeps_its_own_targets_on_the_images_of_another_rule(ferplus, tmp_path):
    shutil.copytree(ferplus, tmp_path / "votes")
    table = tmp_path / "votes" / "fer2013new.csv"
    # six votes of ten are a majority, and the other four a second emotion
    table.write_text(re.sub(r"(?<=,)[82](?=[,\n])", lambda n: {"8": "6", "2": "4"}[n.group()], table.read_text()))

    def targets(scheme, rule=None):
        settings = RunConfig(data=DataConfig(f"ferplus:{tmp_path / 'votes'}", scheme=scheme, rule=rule))
        learn = open_labeled_data(resolve(settings), open_labeled(settings.data.labeled), 1).learn.split
        return dict(zip(learn.names, learn.targets.tolist(), strict=True))

    mv, cel, crossed, peaks = (
        targets(*how) for how in (("mv",), ("cel",), ("cel", "majority"), ("mv", "distribution"))
    )
    assert 0 < len(crossed) == len(mv) < len(cel) == len(peaks)
    assert all(sorted(target)[-2:] == pytest.approx([0.4, 0.6]) for target in crossed.values())
    assert all(max(target) == 1 for target in [*mv.values(), *peaks.values()])
