"""Exported runs: equal to torch in two runtimes, described by their metadata, usable without this package."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fer_worlds
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.deploy import formats
from fertrain.deploy.check import TOLERANCE, difference, made_pictures
from fertrain.deploy.export import export
from fertrain.deploy.formats import onnx_runner, openvino_runner, to_onnx, torch_runner, write_onnx
from fertrain.deploy.graph import Deployed, deployed, metadata
from fertrain.errors import FertrainError
from fertrain.models.factory import build
from fertrain.training.experiment import run
from fertrain.transforms.input_spec import InputSpec
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
LABELS = ("a", "b", "c", "d", "e", "f", "g", "h")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = fer_worlds.class_folders(tmp_path_factory.mktemp("own"), per_class=30)
    config = RunConfig(
        data=DataConfig(f"folder:{folder}", holdout=0.3), model=ModelConfig("deep-emotion", image_size=32),
        augment="none", optim=OptimConfig(epochs=(4,), batch_size=14, lr=2e-3), precision="fp32",
        out=str(tmp_path_factory.mktemp("runs") / "r"),
    )  # fmt: skip
    return run(config).folder


def network(name, size, *, gray=False, preprocess="none", words=False, flip_test=False, test_scales=()):
    torch.manual_seed(0)
    model = build(name, 8, size)
    if words:
        model.speak(torch.randn(8, 20))
    model.flip_test, model.test_scales = flip_test, test_scales
    c = model.channels
    spec = InputSpec(size, c, (0.5,) * c, (0.25,) * c, gray=gray or c == 1, preprocess=preprocess)
    return Deployed(model, spec, 1.7)


def equal_everywhere(graph, folder):
    path = folder / "x.onnx"
    write_onnx(to_onnx(graph), path, metadata(graph, LABELS))
    images = made_pictures(graph.spec, 100)
    for runner in (onnx_runner, openvino_runner):
        assert difference(torch_runner(graph), runner(path), images) <= TOLERANCE
        # batches of any size
        one, every = runner(path)(images[:1])[0], runner(path)(images[:3])[0]
        np.testing.assert_allclose(one[0], every[0], atol=1e-4)


CASES = {
    "gray network of three channels": ("test_resnet", 32, {"gray": True}),
    "spatial transformer": ("deep-emotion", 32, {}),
    "cosines with words": ("test_resnet", 32, {"words": True}),
    "preparation of FERPlus": ("deep-emotion", 32, {"preprocess": "ferplus"}),
    "flip test": ("test_resnet", 32, {"flip_test": True}),
    "test scales": ("test_resnet", 32, {"flip_test": True, "test_scales": (1.0, 1.25, 0.75)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_networks_equal_torch_in_both_runtimes(case, tmp_path):
    name, size, more = CASES[case]
    equal_everywhere(network(name, size, **more), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg13", "resnet18", "resnet10t", "tf_efficientnet_lite0", "vit_tiny_patch16_224"])
def test_larger_networks_equal_torch_in_both_runtimes(name, tmp_path):
    equal_everywhere(network(name, 64), tmp_path)


def test_the_graph_prepares_images_as_training_does():
    graph = network("test_resnet", 32, gray=True)
    images = torch.from_numpy(made_pictures(graph.spec, 5))
    logits, probabilities = graph(images)
    torch.testing.assert_close(logits, graph.model(graph.spec.prepare(images)))
    torch.testing.assert_close(probabilities, (logits / 1.7).softmax(dim=1))


def runs_alone(folder, labels):
    """Run the example of the docs in a process that refuses to import this package, and torch."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    code = next(b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "onnxruntime" in b)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    fer_worlds.write(folder / "photo.jpg", fer_worlds.face(3, np.random.default_rng(0)))
    (folder / "example.py").write_text(
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('fertrain', 'rmset', 'rmset_cli', 'torch'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n" + code
    )
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    label, share = done.stdout.split()
    assert label in labels
    assert 0 < float(share) <= 1


def test_a_run_leaves_as_one_file_that_describes_itself_and_works_without_this_package(finished, tmp_path):
    out = tmp_path / "deep" / "model.onnx"
    result = CliRunner().invoke(app, ["export", str(finished), "--to", "onnx", "-o", str(out), "--format", "json"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)[0]
    assert max(row["onnxruntime_difference"], row["openvino_difference"]) <= TOLERANCE
    import onnxruntime

    session = onnxruntime.InferenceSession(str(out))
    meta = session.get_modelmeta().custom_metadata_map
    graph, labels = deployed(finished)
    spec = json.loads(meta["input"])
    assert tuple(json.loads(meta["labels"])) == labels
    assert (spec["size"], spec["color"], spec["channels"]) == (32, "gray", 1)
    assert tuple(spec["mean"]) == graph.spec.mean
    assert tuple(spec["std"]) == graph.spec.std
    assert float(meta["temperature"]) == graph.temperature
    assert json.loads(meta["equal_to_torch"])["on"] == "100 images of made pictures"
    # neither the name of this machine's folders nor of its modules
    data = out.read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in data
    assert b"site-packages" not in data
    assert [p.name for p in out.parent.iterdir()] == ["model.onnx"]
    runs_alone(out.parent, labels)


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(finished, tmp_path):
    one, two = (export(finished, "onnx", tmp_path / name).path for name in ("1.onnx", "2.onnx"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
def test_openvino_gets_a_folder_that_a_second_export_replaces(finished, tmp_path):
    import openvino

    for _ in range(2):
        made = export(finished, "openvino", tmp_path / "ov")
    assert sorted(p.name for p in made.path.iterdir()) == ["model.bin", "model.xml"]
    read = openvino.Core().read_model(str(made.path / "model.xml"))
    assert read.get_rt_info(["fertrain", "labels"]).value == made.metadata["labels"]
    assert set(made.differences) == {"openvino"}
    (tmp_path / "ov" / "mine.txt").touch()
    with pytest.raises(UsageError, match="one of an earlier export"):
        export(finished, "openvino", tmp_path / "ov")


@pytest.mark.slow
def test_int8_says_what_it_costs_on_images_that_set_no_range(finished, tmp_path):
    made = export(finished, "onnx", tmp_path / "x.onnx", int8=True)
    lost = json.loads(made.metadata["int8"])
    assert lost["source"].startswith("the held-out part")
    assert lost["images"] == made.loss.images > 20
    assert lost["agreement"] > 0.8
    assert b"QuantizeLinear" in made.path.read_bytes()
    again = export(finished, "openvino", tmp_path / "ov", int8=True, on=json_on(finished))
    assert again.loss.source.endswith(":test")
    assert again.loss.agreement > 0.8


def json_on(folder):
    from fertrain.run_folder import RunFolder

    return f"{RunFolder(folder).config().data.labeled}:test"


@pytest.mark.slow
def test_a_network_that_cannot_be_expressed_is_one_line(monkeypatch):
    graph = network("test_resnet", 32)

    class Odd(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3)) if x.sum() > 0 else x.amax(dim=(2, 3))

    graph.model.features = Odd()
    with pytest.raises(FertrainError, match=r"^expected a network that ONNX can express, found test_resnet: [^\n]+$"):
        to_onnx(graph)


def test_a_missing_package_is_one_line(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UsageError, match=r"expected the package onnxscript .* `pip install 'rmset\[onnx\]'` brings it"):
        export(finished, "onnx", tmp_path / "x.onnx")


@pytest.mark.slow
def test_a_file_that_differs_from_torch_does_not_appear(finished, monkeypatch, tmp_path):
    real = formats.torch_runner
    graph, _ = deployed(finished)
    off = Deployed(graph.model, replace(graph.spec, mean=(0.1,)), graph.temperature)
    monkeypatch.setattr("fertrain.deploy.export.torch_runner", lambda _: real(off))
    with pytest.raises(FertrainError, match=r"equal torch's within 0\.0001, found a difference of"):
        export(finished, "onnx", tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_openvino_cannot_run_is_one_line(tmp_path):
    from fertrain.deploy.formats import openvino_runner
    from fertrain.errors import FertrainError

    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(FertrainError, match=r"^expected a graph that OpenVINO can run, found: [^\n]+$"):
        openvino_runner(tmp_path / "x.onnx")
