"""Seeded fuzzer of all files that fertrain reads: weights, run folders, tables of data sets, recipes, grids, delays.

Each case damages one file and runs every reader of it. A reader gives a result, or a one-line error of the project or
of the file system. No reader hangs: opening a FIFO would block forever, and then the time limit of the process ends the
test with the case in its message.
"""

from __future__ import annotations

import faulthandler
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fertrain.analysis.compare import ablation
from fertrain.analysis.compare.significance import group
from fertrain.config import recipes
from fertrain.datasets.registry import entries, open_labeled
from fertrain.evaluation import report
from fertrain.labels import ORDERS
from fertrain.models.checkpoint_file import read_checkpoint
from fertrain.models.factory import build
from fertrain.models.transfer import load_into
from fertrain.models.weights import load, save
from fertrain.run_folder import RunFolder
from fertrain.training.checkpoint import Checkpoints
from fertrain.transforms.input_spec import InputSpec
from fertrain.unlabeled.candidates import read_delays
from rmset.errors import RmsetError
from rmset_cli.printed import one_line

from . import tally
from .mutate import restore, spoil

LABELS = ORDERS["ferplus"].classes
NETWORK = "deep-emotion"


def ask(reader, *given) -> str:
    """Run a reader; return "" for a result, else the error line."""
    try:
        reader(*given)
    except RmsetError as error:
        # As printed: a file name in the message may hold line breaks.
        text = one_line(str(error))
        assert len(text.splitlines()) <= 1, text
        # Messages contain names from files, and the longest name here has 9,000 letters.
        assert len(text) < 40_000, text[:200]
        return text
    except OSError as error:
        # The command line prints the file's name, so the error must have one.
        named = error.filename is not None
    else:
        return ""
    assert named
    return "a file"


def cases(count: int):
    """Cases with a seed each: some in every run, many in `make test-all`."""
    return pytest.mark.parametrize(
        "seeds",
        [
            pytest.param(range(count), id=f"{count}"),
            pytest.param(range(count, 25 * count), id=f"{24 * count}", marks=pytest.mark.slow),
        ],
    )


@pytest.fixture(autouse=True)
def no_hang():
    """End the process with a traceback if a reader hangs; the limit is generous, as machines are shared."""
    faulthandler.dump_traceback_later(1800, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run folder like that of a real run, made without training."""
    path = tmp_path_factory.mktemp("runs") / "run"
    path.mkdir()
    folder = RunFolder(path)
    torch.manual_seed(0)
    model = build(NETWORK, len(LABELS), 32)
    save(model, LABELS, InputSpec(32, 1, (0.5,), (0.25,), gray=True), folder.weights)
    folder.write_config({"method": "supervised", "seed": 0, "data": {"labeled": "x"}, "model": {"name": NETWORK}})
    folder.write_history([{"phase": "supervised", "epoch": 1, "loss": 2.0, "heldout_accuracy": 0.5}])
    folder.note_evaluation("x:test", "given", 0.5, "at the end of the run")
    confusion = np.eye(len(LABELS), dtype=int).tolist()
    folder.write_metrics({
        "n": 8, "overall_accuracy": 1.0, "average_accuracy": 1.0, "confusion": confusion, "labels": list(LABELS),
        "split": "x:test", "rule": "given", "selected_on": "x", "per_class": {},
    })  # fmt: skip
    return folder


@pytest.fixture
def copy(run_folder, tmp_path):
    shutil.copytree(run_folder.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@cases(150)
def test_damaged_run_folders_are_read_or_one_line(seeds, copy):
    small = ("config.toml", "metrics.json", "history.csv", "evaluations.csv")
    before = {name: (copy.path / name).read_bytes() for name in small}
    refused = 0
    for seed in seeds:
        rng = random.Random(f"run {seed}")
        name = rng.choice(small)
        how = spoil(rng, copy.path / name)
        readers = (copy.config, copy.metrics, copy.history, copy.evaluations)
        told = [ask(reader) for reader in readers]
        told += [ask(group, copy.path), ask(report.recount, copy)]
        refused += any(told)
        assert copy.weights.is_file(), how
        restore(copy.path / name, before[name])
    assert refused > len(seeds) // 3
    tally.note("fuzzed inputs", "run folders", cases=len(seeds))


def crafted(rng: random.Random, path: Path) -> None:
    """A weights file with inconsistent tensors, names or metadata."""
    model = build(NETWORK, len(LABELS), 32)
    tensors = {k: v.detach().clone() for k, v in model.state_dict().items()}
    names = sorted(tensors)
    spec = InputSpec(32, 1, (0.5,), (0.25,), gray=True)
    meta = {"model": NETWORK, "labels": json.dumps(LABELS), "input": spec.to_json(), "head": "linear", "format": "pt"}
    strange = ["", "null", "[]", "{}", "[" * 2000, "NaN", "9" * 6000, '["a"]', "\u202e", "embedding 9999999", "linear"]
    strange += [
        "embedding 0",
        json.dumps(["x"] * 5000),
        json.dumps(list(LABELS) * 2),
        '{"size": 1e9}',
        "eva_giant_patch14_560",
    ]
    strange += [spec.to_json().replace("32", size) for size in ("-1", "0", "1e9", "33", "4096", '"32"', "true", "32.5")]
    strange += [spec.to_json().replace("0.25", value) for value in ("0", "-1", "NaN", "1e999", '"x"', "null")]
    for _ in range(rng.randint(1, 3)):
        match rng.randrange(6):
            case 0:
                tensors.pop(rng.choice(names), None)
            case 1:
                tensors[rng.choice(names)] = torch.zeros(rng.choice(((), (0,), (3,), (2, 2), (1, 1, 1, 1, 1))))
            case 2:
                tensors[rng.choice(("x" * 3000, "head.words", "../x", "a.b", "features"))] = torch.ones(2)
            case 3:
                kind = rng.choice((torch.int64, torch.float16, torch.bool, torch.uint8))
                name = rng.choice(names)
                tensors[name] = tensors.get(name, torch.ones(1)).to(kind)
            case 4:
                meta.pop(rng.choice(list(meta)), None)
            case _:
                meta[rng.choice(("model", "labels", "input", "head"))] = rng.choice(strange)
    save_file(tensors, path, metadata=meta)


@cases(30)
def test_hostile_weights_are_read_or_one_line(seeds, copy, tmp_path):
    before = copy.weights.read_bytes()
    plain = tmp_path / "x.pt"
    torch.save({"state_dict": torch.load(_as_pickle(before, tmp_path), weights_only=True), "epoch": 3}, plain)
    pickled = plain.read_bytes()
    read = 0
    for seed in seeds:
        rng = random.Random(f"weights {seed}")
        if rng.random() < 0.5:
            crafted(rng, copy.weights)
        else:
            spoil(rng, copy.weights)
        if not ask(load, copy.weights):
            read += 1
            model, labels, spec = load(copy.weights)
            x = spec.prepare(torch.zeros((2, spec.channels, spec.size, spec.size), dtype=torch.uint8))
            assert model.eval()(x).shape == (2, len(labels))
        ask(load_into, build(NETWORK, len(LABELS), 32), copy.weights, LABELS)
        spoil(rng, plain)
        ask(read_checkpoint, plain)
        ask(Checkpoints(plain, "s").load, lambda line: None)
        restore(copy.weights, before)
        restore(plain, pickled)
    assert read < len(seeds)
    tally.note("fuzzed inputs", "weights and checkpoints", cases=len(seeds))


def _as_pickle(safetensors: bytes, folder: Path) -> Path:
    from safetensors.torch import load as from_bytes

    torch.save(from_bytes(safetensors), folder / "own.pt")
    return folder / "own.pt"


TABLES = {
    "datasets.toml": '[ferplus]\nkind = "ferplus"\npath = "here"\n\n[mine]\nkind = "csv"\npath = "set"\nclasses = ["a", "b"]\n',
    "x.toml": 'paper = "p"\ncommand = "c"\nexpects = "e"\ntime = "t"\nmethod = "rmfer"\n[rmfer]\ntau = 0.5\nd = 3\n',
    "grid.toml": 'about = "x"\nseeds = 2\n[settings]\nmethod = "rmfer"\n[variants."a b"]\nrmfer.tau = 0.1\n[variants.c]\n',
    "delays.json": json.dumps(
        {"schema": 1, "root": "r", "run": "x", "unit": "frames", "videos": {"v": {"0": {"delay": 1.5}}}}, indent=1
    ),
}


@cases(150)
def test_damaged_tables_of_names_are_read_or_one_line(seeds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    readers = {
        "datasets.toml": entries,
        "x.toml": lambda: recipes.recipe("x.toml"),
        "grid.toml": lambda: ablation.read("grid.toml"),
        "delays.json": lambda: read_delays(Path("delays.json")),
    }
    for name, text in TABLES.items():
        Path(name).write_text(text)
        assert ask(readers[name]) == "", name
    refused = 0
    for seed in seeds:
        rng = random.Random(f"table {seed}")
        name = rng.choice(sorted(TABLES))
        spoil(rng, Path(name))
        refused += bool(ask(readers[name]))
        if name == "datasets.toml":
            ask(open_labeled, "mine")
        restore(Path(name), TABLES[name].encode())
    assert refused > len(seeds) // 3
    tally.note("fuzzed inputs", "tables of names", cases=len(seeds))


@cases(100)
def test_damaged_lists_of_images_and_pages_are_read_or_one_line(seeds, copy, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    table = folder / "labels.csv"
    rows = "".join(f"{n}.png,{LABELS[n % 8]},{('train', 'test')[n % 2]}\n" for n in range(40))
    before = ("name,label,split\n" + rows).encode()
    table.write_bytes(before)
    assert ask(open_labeled, f"csv:{folder}") == ""
    for seed in seeds:
        rng = random.Random(f"list {seed}")
        spoil(rng, table)
        ask(open_labeled, f"csv:{folder}")
        restore(table, before)
        copy.report.write_bytes(b"<h2>Data</h2>")
        spoil(rng, copy.report)
        ask(report.recount, copy)
        restore(copy.report, b"")
    tally.note("fuzzed inputs", "lists of images, pages", cases=len(seeds))


def test_a_table_without_an_end_of_line_is_one_line(tmp_path):
    with (tmp_path / "labels.csv").open("wb") as file:
        file.write(b"name,label\n")
        file.truncate(3 << 30)
    assert "a line of more than" in ask(open_labeled, f"csv:{tmp_path}")
