"""Training loop: an interrupted run reaches the same weights, and options have their effect."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fertrain.analysis.compare.ablation import run_many
from fertrain.analysis.compare.significance import group
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.methods import METHODS
from fertrain.methods.base import Phase
from fertrain.methods.supervised import Supervised
from fertrain.models.checkpoint_file import read_file
from fertrain.run_folder import RunFolder
from fertrain.training.checkpoint import Checkpoints
from fertrain.training.experiment import run
from fertrain.training.optim import EMA, rate_at
from rmset.errors import UsageError


def config(faces, out, optim=None, **top):
    return RunConfig(
        **{
            "data": DataConfig(labeled=f"folder:{faces}"),
            # dropout draws from torch's generator, whose state has to come back too
            "model": ModelConfig("deep-emotion", image_size=32),
            "optim": optim or OptimConfig(epochs=(3,), batch_size=14, ema=0.9),
            "augment": "affine", "precision": "fp32", "checkpoint_steps": 2, "out": str(out), **top,
        }
    )  # fmt: skip


def weights(folder):
    return read_file(folder / "model.safetensors")[0]


class Broken(Supervised):
    """Method that stops in the middle of the second epoch, once."""

    left = 9

    def after_step(self):
        Broken.left -= 1
        if Broken.left == 0:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sam"])
def test_a_run_broken_off_in_mid_epoch_comes_to_the_same_weights(faces, tmp_path, monkeypatch, optimizer):
    optim = OptimConfig(epochs=(3,), batch_size=14, ema=0.9, optimizer=optimizer)
    whole = run(config(faces, tmp_path / "whole", optim))
    monkeypatch.setattr(Broken, "left", 9)
    monkeypatch.setitem(METHODS, "supervised", Broken)
    broken = config(faces, tmp_path / "broken", optim)
    with pytest.raises(KeyboardInterrupt):
        run(broken)
    assert (tmp_path / "broken" / "resume.pt").exists()
    said = []
    again = run(broken, say=said.append)
    assert any("goes on in phase supervised, epoch 2, after" in line for line in said)
    a, b = weights(whole.folder), weights(again.folder)
    assert all(torch.equal(a[k], b[k]) for k in a)
    h1, h2 = (RunFolder(r.folder).history() for r in (whole, again))
    assert [r["loss"] for r in h1] == [r["loss"] for r in h2]
    assert not (tmp_path / "broken" / "resume.pt").exists()


@pytest.mark.slow
def test_an_unfinished_run_of_other_settings_is_replaced_only_on_request(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(Broken, "left", 9)
    monkeypatch.setitem(METHODS, "supervised", Broken)
    with pytest.raises(KeyboardInterrupt):
        run(config(faces, tmp_path))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=r"unfinished one of these settings.*overwrite"):
        run(config(faces, tmp_path, seed=1))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    said = []
    run(config(faces, tmp_path, seed=1, overwrite=True), say=said.append)
    assert not any("goes on" in line for line in said)
    assert RunFolder.open(tmp_path).config().seed == 1


@pytest.mark.parametrize("content", [b"hello, no checkpoint", b"{}", b"", bytes(range(256))])
def test_a_damaged_checkpoint_begins_anew(tmp_path, content):
    (tmp_path / "resume.pt").write_bytes(content)
    said = []
    assert Checkpoints(tmp_path / "resume.pt", "settings").load(said.append) is None
    assert "torn" in said[0]


def test_a_checkpoint_that_holds_something_else_begins_anew(tmp_path):
    torch.save([1, 2], tmp_path / "resume.pt")
    said = []
    assert Checkpoints(tmp_path / "resume.pt", "settings").load(said.append) is None
    assert len(said) == 1


def test_accumulated_batches_are_one_step(faces, tmp_path, monkeypatch):
    class Counting(Supervised):
        steps = 0

        def after_step(self):
            Counting.steps += 1

    monkeypatch.setitem(METHODS, "supervised", Counting)
    run(config(faces, tmp_path, OptimConfig(epochs=(1,), batch_size=14, accumulate=2)))
    assert Counting.steps == 3  # 77 images make 5 batches of 14


def test_the_average_forgets_its_start_and_leaves_learning_alone():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    average = EMA(layer, 0.5)
    nn.init.ones_(layer.weight)
    average.update()  # d = min(0.5, 2 / 11)
    with average.applied():
        assert layer.weight.item() == pytest.approx(9 / 11)
    assert layer.weight.item() == 1


@pytest.mark.slow
def test_a_phase_stops_early(faces, tmp_path):
    said = []
    optim = OptimConfig(epochs=(9,), batch_size=14, lr=0.0, patience=2)
    result = run(config(faces, tmp_path, optim), say=said.append)
    assert len(RunFolder(result.folder).history()) < 9
    assert any("stopped early" in line for line in said)


@pytest.mark.slow
def test_best_on_test_is_labeled_as_such_and_every_count_is_written_down(faces, tmp_path):
    data = DataConfig(f"folder:{faces}", report_best_on_test=True)
    result = run(config(faces, tmp_path, OptimConfig(epochs=(2,), batch_size=14), data=data))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "flatters" in metrics["best_on_test"]["warning"]
    assert metrics["times_counted"] == 3 == len(RunFolder(result.folder).evaluations())
    assert "Best on " in (tmp_path / "report.html").read_text()
    assert "counted 3 times" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_runs_differ_in_their_seed_and_are_kept(faces, tmp_path):
    c = config(faces, tmp_path, OptimConfig(epochs=(1,), batch_size=14))
    results = run_many(c, 2)
    assert [r.folder.name for r in results] == ["seed-0", "seed-1"]
    said = []
    run_many(c, 2, say=said.append)
    assert said == ["seed 0: finished already, kept", "seed 1: finished already, kept"]
    assert list(group(tmp_path).values) == [0, 1]
    with pytest.raises(UsageError, match="another `out`"):
        run_many(replace(c, augment="none"), 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": "randaugment+erasing", "mix": "cutmix", "channels_last": False},
        {
            "preprocess": "ferplus", "mix": "mixup",
            "optim": OptimConfig(epochs=(1,), batch_size=14, label_smoothing=0.1, schedule="one-cycle"),
        },
    ],
)  # fmt: skip
def test_options_run_from_end_to_end(faces, tmp_path, changes):
    result = run(config(faces, tmp_path, **{"optim": OptimConfig(epochs=(1,), batch_size=14), **changes}))
    assert np.isfinite(float(RunFolder(result.folder).history()[0]["loss"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ModelConfig("resnet10t", head="embedding")}, "`model.vectors`"),
        ({"data": DataConfig("x", scheme="ml"), "mix": "mixup"}, "scheme ml"),
    ],
)
def test_settings_that_contradict_are_refused_before_anything_is_read(faces, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run(config(faces, tmp_path, **changes))


def test_one_cycle_rises_to_its_top_and_ends_at_nothing():
    phase, settings = Phase("p", 10, 1e-3, "adamw"), OptimConfig(schedule="one-cycle")
    rates = [rate_at(k, 10, phase, settings) for k in range(100)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (29, 30)
    assert rates[0] < 1e-4
    assert rates[-1] < 1e-5
