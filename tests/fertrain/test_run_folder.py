"""Damaged or shared run folders, full disks and kills: a one-line error, nothing lost, nothing mixed."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.errors import FertrainError, WeightsError
from fertrain.files import whole
from fertrain.methods import METHODS
from fertrain.methods.supervised import Supervised
from fertrain.run_folder import RunFolder
from fertrain.training.checkpoint import Checkpoints, Position, Tally
from fertrain.training.experiment import run
from fertrain.training.optim import EMA
from rmset.errors import RmsetError, UsageError


def config(faces, out, epochs=1, **top):
    model = ModelConfig("deep-emotion", image_size=32)
    optim = OptimConfig(epochs=(epochs,), batch_size=14)
    data = DataConfig(labeled=f"folder:{faces}")
    return RunConfig(**{"data": data, "model": model, "optim": optim, "precision": "fp32", "out": str(out), **top})


@pytest.fixture(scope="module")
def finished(faces, tmp_path_factory):
    return run(config(faces, tmp_path_factory.mktemp("runs") / "first")).folder


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def test_a_second_run_into_one_folder_is_refused(faces, finished, copy, fertrain):
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    with (copy / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("supervised", "semi"):
            options = ["--labeled", f"folder:{faces}", "--epochs", "1", "--out", copy, "--overwrite", "--quiet"]
            more = ["--unlabeled", "rest", "--labels", "28", "--method", "fixmatch"] if name == "semi" else []
            code, _, err = fertrain(name, *options, *more, "--model", "deep-emotion", "--image-size", "32")
            assert (code, len(err.splitlines())) == (1, 1), err
            assert "another process is working on it" in err
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before


def fifo(path):
    os.mkfifo(path)


def sparse(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


DAMAGE = {
    "a FIFO": fifo,
    "a folder": Path.mkdir,
    "/dev/zero": lambda p: p.symlink_to("/dev/zero"),
    "a terabyte": sparse,
    "no UTF-8": lambda p: p.write_bytes(b"a = \xff"),
    "empty": lambda p: p.write_bytes(b""),
    "zeros": lambda p: p.write_bytes(bytes(4096)),
    "deep": lambda p: p.write_text("a = " + "[" * 50_000 if p.suffix == ".toml" else '{"a":' * 50_000),
    "a list": lambda p: p.write_text("[]"),
    "a long number": lambda p: p.write_text("1" * 10_000),
    "other keys": lambda p: p.write_text("a = 1\n[data]\nlabeled = 3\n" if p.suffix == ".toml" else '{"n": "x"}'),
    "NaN": lambda p: p.write_text("seed = nan" if p.suffix == ".toml" else '{"n": 1, "overall_accuracy": NaN}'),
    "text": lambda p: p.write_text('phase,epoch\n"'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_small_files_are_one_line(damage, copy, fertrain):
    for name in ("config.toml", "metrics.json", "history.csv", "evaluations.csv"):
        kept = (copy / name).read_bytes()
        (copy / name).unlink()
        DAMAGE[damage](copy / name)
        folder = RunFolder(copy)
        for read in (folder.config, folder.metrics, folder.history, folder.evaluations):
            with suppress(RmsetError):
                read()
        if name == "metrics.json":
            with pytest.raises(RmsetError):
                folder.metrics()
        code, _, err = fertrain("compare", copy)
        assert code in (0, 1, 2), err
        assert len(err.splitlines()) == (code != 0), (name, damage, err)
        if (copy / name).is_dir():
            (copy / name).rmdir()
        else:
            (copy / name).unlink()
        (copy / name).write_bytes(kept)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": -1}, {"n": 10**30}, {"n": True}, {"overall_accuracy": 2}, {"overall_accuracy": "0.5"}, {"labels": []},
        {"labels": [1, 2]}, {"confusion": []}, {"confusion": [[0]]}, {"confusion": [["x"] * 7] * 7}, {"split": {}},
        {"confusion": [[-1] * 7] * 7}, {"rule": None}, {"selected_on": 3},
    ],
)  # fmt: skip
def test_scores_that_cannot_be_are_refused(changes, copy):
    folder = RunFolder(copy)
    folder.write_metrics({**folder.metrics(), **changes})
    with pytest.raises(FertrainError, match=r"expected the (scores|metrics)"):
        folder.metrics()


class _Killed(BaseException):
    pass


class Dying(Supervised):
    """Method that ends silently in its first step, like a killed process."""

    def loss(self, batch):
        raise _Killed


def test_overwriting_that_is_killed_leaves_no_hybrid(faces, copy, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "supervised", Dying)
        with pytest.raises(_Killed):
            run(config(faces, copy, seed=5, overwrite=True))
    assert {p.name for p in copy.iterdir()} - {".counting.lock"} == {"config.toml", ".lock"}
    with pytest.raises(UsageError, match="expected a run folder"):
        RunFolder.open(copy)
    # The new run begins without a further request, as there is nothing to lose.
    assert run(config(faces, copy, seed=5)).metrics["n"]


def test_a_run_that_is_overwritten_may_start_from_itself(faces, copy):
    model = ModelConfig("deep-emotion", image_size=32, weights=str(copy / "model.safetensors"))
    run(config(faces, copy, seed=5, overwrite=True, model=model))
    assert RunFolder.open(copy).config_values()["measured"]["weights_sha256"]


def saved(path, settings="s"):
    module = nn.Linear(2, 2)
    checkpoints = Checkpoints(path, settings)
    optimizer = torch.optim.Adam(module.parameters())
    position = Position(0, 0, Tally(), [], None, dict(module.state_dict()))
    checkpoints.save(position, module, optimizer, EMA(module, 0.0))
    return checkpoints, module, optimizer


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.pop("position"), lambda c: c.update(position=3), lambda c: c.update(position={"phase": 1}),
        lambda c: c["position"].update(tally={"batches": 1, "x": 2}), lambda c: c.update(module={}),
        lambda c: c.update(module={"weight": torch.zeros(3)}), lambda c: c.update(optimizer=None),
        lambda c: c.update(generator=torch.zeros(3)), lambda c: c.update(generator="x"), lambda c: c.pop("average"),
        lambda c: c.update(average={"x": 1}), lambda c: c.pop("average_steps"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_this_run_that_is_damaged_is_one_line(spoil, tmp_path):
    checkpoints, module, optimizer = saved(tmp_path / "resume.pt")
    content = torch.load(tmp_path / "resume.pt")
    spoil(content)
    torch.save(content, tmp_path / "resume.pt")
    with pytest.raises(WeightsError, match="found a damaged file; remove it"):
        checkpoints.load(lambda line: None).restore(module, optimizer, EMA(module, 0.0))


@pytest.fixture
def small_disk(tmp_path):
    """Mount a small file system; skip the test if mounting is not permitted."""
    mounted = []

    def mount(size):
        place = tmp_path / f"disk-{size}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], capture_output=True)
        if done.returncode:
            pytest.skip("needs to mount a small file system, which only root may")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_wherever_it_fills(faces, finished, small_disk, fertrain):
    needed = sum(p.stat().st_size for p in finished.iterdir()) + 4 * (finished / "model.safetensors").stat().st_size
    ended = set()
    for share in (0.02, 0.1, 0.25, 0.4, 0.6, 0.8):
        place = small_disk(int(share * needed))
        options = ["--labeled", f"folder:{faces}", "--epochs", "1", "--quiet", "--image-size", "32"]
        code, _, err = fertrain("supervised", *options, "--model", "deep-emotion", "--out", place / "run")
        assert (code, len(err.splitlines())) in {(1, 1), (0, 0)}, (share, err)
        ended.add(code)
    assert ended >= {1}
    place = small_disk(8192)
    code, _, err = fertrain("predict", finished, faces, "--no-detect", "--quiet", "-o", place / "x.csv")
    assert (code, len(err.splitlines())) == (1, 1), err
    assert "no space left" in err
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_what_cannot_be_written_is_one_line_in_every_command(faces, ferplus, finished, small_disk, fertrain, tmp_path):
    place = small_disk(64 << 20)
    shutil.copytree(finished, place / "run")
    images = f"folder:{faces}"
    small = ["--model", "deep-emotion", "--image-size", "32", "--epochs", "1"]
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    (tmp_path / "grid.toml").write_text("seeds = 1\n[variants.one]\nseed = 1\n")
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    calls = [
        ["supervised", "--labeled", images, *small, "--out", place / "x"],
        ["supervised", "--labeled", images, *small, "--out", place / "run", "--overwrite"],
        ["semi", "--labeled", images, "--unlabeled", "rest", "--labels", "28", *small, "--method", "fixmatch",
         "--out", place / "x"],
        ["ablate", tmp_path / "grid.toml", "--labeled", images, "--out", place / "x"],
        ["evaluate", place / "run", "--on", f"{images}:test"],
        ["cross", place / "run", "--on", f"{images}:test"],
        ["compare", place / "run", "--out", place / "x.html"],
        ["votes", f"ferplus:{ferplus}", "--draws", "1", "--out", place / "votes"],
        ["predict", place / "run", faces, "--no-detect", "-o", place / "x.csv"],
        ["explain", place / "run", "--on", f"{images}:test", "--occlusion", "--per-class", "2"],
        ["world", "--labeled", images, "--videos", "1", "--people", "2", "--seconds", "3", "-o", place / "world"],
        ["convert", tmp_path / "a.pt", "--trust", "-o", place / "x.safetensors"],
        ["datasets", "align", images, "-o", place / "aligned"],
    ]  # fmt: skip
    for call in calls:
        code, _, err = fertrain("--quiet", *call)
        assert code in (1, 2), call
        assert len(err.splitlines()) == 1, (call, err)
        assert "Traceback" not in err


def test_a_full_standard_output_is_one_line(finished):
    code = "from rmset_cli.fertrain.app import main; main()"
    command = [sys.executable, "-c", code, "compare", str(finished), "--format", "json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr


@pytest.mark.slow
def test_sigterm_ends_a_run_as_ctrl_c_does_and_it_goes_on(faces, tmp_path):
    code = "from rmset_cli.fertrain.app import main; main()"
    options = ["--labeled", f"folder:{faces}", "--model", "deep-emotion", "--image-size", "32", "--epochs", "1"]
    options += ["--set", "checkpoint_steps=1", "--images", "320", "--precision", "fp32", "--device", "cpu"]
    command = [sys.executable, "-c", code, "supervised", *options]
    # The data are tiny: waiting threads cost more than they gain.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--out", tmp_path / "a"], stderr=subprocess.PIPE, text=True, env=alone)
    while process.poll() is None and not (tmp_path / "a" / "resume.pt").exists():
        time.sleep(0.01)
    process.terminate()
    _, talk = process.communicate()
    assert process.returncode == 143, talk
    assert talk.splitlines()[-1] == "fertrain: stopped; run the same command again to resume"
    assert "Traceback" not in talk
    assert not (tmp_path / "a" / "metrics.json").exists()
    for name in "ab":
        again = [*command, "--quiet", "--out", tmp_path / name]
        subprocess.run(again, check=True, stdout=subprocess.PIPE, env=alone)
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_whole_files_are_whole_on_a_full_disk(small_disk):
    place = small_disk(16384)
    (place / "x").write_text("old")
    with pytest.raises(RmsetError, match="no space left"), whole(place / "x") as part:
        part.write_bytes(bytes(1 << 20))
    assert (place / "x").read_text() == "old"
    assert [p.name for p in place.iterdir()] == ["x"]
