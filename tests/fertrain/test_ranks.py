"""Data-parallel training: two real processes over gloo learn what one process learns."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain import ranks
from fertrain.run_folder import RunFolder
from fertrain.transforms.augment import AUGMENTATIONS
from fertrain.transforms.draws import seeded
from rmset.errors import UsageError

HERE = Path(__file__).parent
PROGRAM = ["-m", "rmset_cli.fertrain"]


def environment(rank, count, port):
    alone = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    alone |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    if count == 1:
        return alone
    return alone | {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def start(count, *args):
    """The processes of one command, as a launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, *map(str, args)], env=environment(k, count, port), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for k in range(count)
    ]  # fmt: skip


def ended(processes):
    """Exit code, output and errors of each."""
    found = [process.communicate() for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, found, strict=True)]


def steps(tmp_path, faces, mashup, count, dtype, *methods):
    out = tmp_path / f"{count}"
    for code, _, errors in ended(start(count, HERE / "rank_steps.py", out, faces, mashup, 2, dtype, *methods)):
        assert code == 0, errors
    return [torch.load(f"{out}-{k}.pt") for k in range(count)]


METHODS = (
    "supervised", "rmfer", "fixmatch", "ada-cm", "moco", "supervised+mix", "supervised+sam", "supervised+twice",
    "mixmatch", "eac", "supervised+sent", "rmfer+sent", "supervised+twice+sent",
)  # fmt: skip


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path, faces, mashup):
    (alone,) = steps(tmp_path, faces, mashup, 1, "float64", *METHODS)
    one, two = steps(tmp_path, faces, mashup, 2, "float64", *METHODS)
    for name in METHODS:
        expected, found = alone[name], one[name]
        assert found["images"] * 2 == expected["images"]
        assert found["losses"] == pytest.approx(expected["losses"], abs=1e-9)
        assert found["gradients"].keys() == expected["gradients"].keys()
        for weight, gradient in expected["gradients"].items():
            assert (found["gradients"][weight] - gradient).abs().max() <= 1e-9, (name, weight)
        # queues, margins and memories too; and both processes have the same bytes
        for key, value in expected["state"].items():
            assert (found["state"][key] - value).abs().max() <= 1e-9, (name, key)
            assert torch.equal(found["state"][key], two[name]["state"][key]), (name, key)


def options(faces, out, *more):
    return [
        *PROGRAM, "--quiet", "supervised", "--labeled", f"folder:{faces}", "--model", "deep-emotion", "--image-size",
        32, "--batch-size", 14, "--precision", "fp32", "--out", out, *more,
    ]  # fmt: skip


@pytest.mark.slow
def test_one_process_writes_and_prints_and_a_killed_one_ends_the_run_which_resumes(faces, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    (first, second) = ended(start(2, *options(faces, whole, "--epochs", 3, "--set", "checkpoint_steps=1")))
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert first[1].count("overall_accuracy") == 1
    assert second[1:] == ("", "")

    processes = start(2, *options(faces, broken, "--epochs", 3, "--set", "checkpoint_steps=1"))
    while not (broken / "history.csv").exists():
        assert processes[0].poll() is None
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGKILL)
    (code, _, errors), _ = ended(processes)
    assert code == 1
    assert errors.startswith("fertrain: expected 2 processes to the end")
    assert errors.count("\n") == 1
    assert not (broken / "metrics.json").exists()

    (first, second) = ended(start(2, *options(faces, broken, "--epochs", 3, "--set", "checkpoint_steps=1")))
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert [r["loss"] for r in RunFolder(broken).history()] == [r["loss"] for r in RunFolder(whole).history()]


@pytest.mark.slow
def test_a_run_resumes_on_another_number_of_processes(faces, tmp_path):
    processes = start(2, *options(faces, tmp_path / "run", "--epochs", 3, "--set", "checkpoint_steps=1"))
    while not (tmp_path / "run" / "history.csv").exists():
        assert processes[0].poll() is None
        time.sleep(0.02)
    for process in processes:
        process.send_signal(signal.SIGKILL)
    ended(processes)
    arguments = options(faces, tmp_path / "run", "--epochs", 3, "--set", "checkpoint_steps=1")
    arguments.remove("--quiet")
    ((code, _, errors),) = ended(start(1, *arguments))
    assert code == 0, errors
    assert "goes on in phase supervised, epoch" in errors
    assert len(RunFolder(tmp_path / "run").history()) == 3


@pytest.mark.slow
def test_torchrun_starts_the_program(faces, tmp_path):
    arguments = options(faces, tmp_path / "run", "--epochs", 1)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    ((code, out, errors),) = ended(start(1, *launcher, *arguments))
    assert code == 0, errors
    assert out.count("overall_accuracy") == 1
    assert (tmp_path / "run" / "report.html").exists()


SCRIPT = """
import sys
import fertrain
for out in sys.argv[2:]:
    run = fertrain.train(
        labeled=f"folder:{sys.argv[1]}", model="deep-emotion", image_size=32, batch_size=14, precision="fp32", epochs=1,
        out=out,
    )
    # one write, so that lines of two processes do not mix
    sys.stdout.write(f"{fertrain.ranks.index()} {run.metrics['overall_accuracy']}\\n")
    sys.stdout.flush()
"""


@pytest.mark.slow
def test_torchrun_starts_a_script_that_trains_twice(faces, tmp_path):
    script, outs = tmp_path / "script.py", [tmp_path / "one", tmp_path / "two"]
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    ((code, printed, errors),) = ended(start(1, *launcher, script, faces, *outs))
    assert code == 0, errors
    # what follows training is run by every process, with the same result
    found = [line.split() for line in printed.splitlines()]
    assert sorted(rank for rank, _ in found) == ["0", "0", "1", "1"]
    assert len({accuracy for _, accuracy in found}) == 1
    one, two = ((out / "model.safetensors").read_bytes() for out in outs)
    assert one == two


@pytest.mark.slow
def test_accelerate_starts_the_program(faces, tmp_path):
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2, "--module"]
    # an odd batch is refused by two processes alone
    arguments = options(faces, tmp_path / "run", "--epochs", 1, "--device", "cpu")
    ((code, out, errors),) = ended(start(1, *launcher, *arguments[1:]))
    assert code == 0, errors
    assert out.count("overall_accuracy") == 1
    arguments = options(faces, tmp_path / "odd", "--epochs", 1, "--device", "cpu", "--batch-size", 13)
    ((code, _, errors),) = ended(start(1, *launcher, *arguments[1:]))
    assert code != 0
    assert "2 processes share evenly" in errors


def test_a_launcher_that_starts_one_of_several_processes_is_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(UsageError, match="found one: `accelerate launch --cpu` starts no others"), ranks.joined("cpu"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--batch-size", 13), "labeled images in a step that 2 processes share evenly, found 13"),
        (("--folds", "3"), "one process for --folds, found 2"),
        (("--optimiser", "sgd"), "No such option"),
    ],
)
def test_what_processes_cannot_share_is_refused_once(faces, tmp_path, change, message):
    found = ended(start(2, *options(faces, tmp_path / "run", "--epochs", 1, *change)))
    assert all(code in (1, 2) for code, _, _ in found)
    assert sum(errors.count(message) for _, _, errors in found) == 1
    assert not (tmp_path / "run" / "config.toml").exists()


def test_without_a_launcher_there_is_one_process():
    assert (ranks.count(), ranks.index(), ranks.is_first()) == (1, 0, True)
    x = torch.randn(3, 2, requires_grad=True)
    assert ranks.gathered([x])[0] is x
    assert ranks.mine(x) is x
    assert ranks.agreed("a") == "a"
    assert ranks.of_all("a") == ["a"]


@given(total=st.integers(0, 300), count=st.integers(1, 16))
def test_shares_are_consecutive_and_as_equal_as_can_be(total, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "count", lambda: count)
        shares = [ranks.share(total, of=k) for k in range(count)]
        assert ranks.sizes(total) == [len(range(total)[s]) for s in shares]
    assert [i for s in shares for i in range(total)[s]] == list(range(total))
    sizes = [len(range(total)[s]) for s in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_image_is_augmented_alike_whichever_process_has_it(name):
    x = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = AUGMENTATIONS[name](x, seeded(3))
    parts = [AUGMENTATIONS[name](x[rows], seeded(3, rows, 5)) for rows in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat(parts), whole)
