"""A flip test averages an image and its horizontal flip, in whatever a run predicts."""

import json

import cv2
import fer_worlds as worlds
import numpy as np
import pytest
import torch

import fertrain as library
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.deploy.graph import deployed
from fertrain.models.factory import build
from fertrain.models.inference import eval_mode
from fertrain.models.weights import load, save
from fertrain.training.experiment import run
from fertrain.transforms.input_spec import InputSpec

IMAGES = torch.randint(0, 255, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SPEC = InputSpec(32, 3, (0.5,) * 3, (0.2,) * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return worlds.class_folders(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    config = RunConfig(
        data=DataConfig(f"folder:{folder}", holdout=0.3),
        model=ModelConfig("test_resnet", image_size=32, flip_test=True),
        augment="none", optim=OptimConfig(epochs=(2,), batch_size=14, lr=2e-3), precision="fp32",
        out=str(tmp_path_factory.mktemp("runs") / "flipped"),
    )  # fmt: skip
    return run(config).folder


def network(*, words=False):
    torch.manual_seed(1)
    model = build("test_resnet", 4, 32)
    if words:
        model.speak(torch.randn(4, 10))
    model.flip_test = True
    return model.eval()


def test_logits_are_the_mean_over_image_and_flip():
    model, x = network(), SPEC.prepare(IMAGES)
    with eval_mode(model):
        wanted = (model(x) + model(x.flip(-1))) / 2
        torch.testing.assert_close(model.test_logits(x), wanted)
        assert not torch.allclose(model(x), wanted, atol=1e-3)


@pytest.mark.parametrize("words", [False, True])
def test_an_image_and_its_flip_have_equal_logits(words):
    model, x = network(words=words), SPEC.prepare(IMAGES)
    with eval_mode(model):
        torch.testing.assert_close(model.test_logits(x), model.test_logits(x.flip(-1)))


def test_without_it_the_image_alone_counts():
    model, x = network(), SPEC.prepare(IMAGES)
    model.flip_test = False
    with eval_mode(model):
        assert torch.equal(model.test_logits(x), model(x))


def test_the_weights_file_says_so(tmp_path):
    model = network()
    for flips in (True, False):
        model.flip_test = flips
        save(model, ("a", "b", "c", "d"), SPEC, tmp_path / "x.safetensors")
        assert load(tmp_path / "x.safetensors")[0].flip_test is flips


def test_the_exported_graph_averages_too(finished):
    graph, _ = deployed(finished)
    pixels = IMAGES[:, : graph.spec.stored_channels]
    with eval_mode(graph):
        for mine, flipped in zip(graph(pixels), graph(pixels.flip(-1)), strict=True):
            torch.testing.assert_close(mine, flipped)


def test_a_run_predicts_a_picture_and_its_mirror_image_alike(finished, folder, tmp_path):
    file = sorted(folder.rglob("*.png"))[0]
    flipped = tmp_path / "flipped.png"
    cv2.imwrite(str(flipped), cv2.imread(str(file))[:, ::-1])
    opened = library.load_run(finished)
    one, other = (opened.predict(path, detect=False)[0].probabilities for path in (file, flipped))
    np.testing.assert_allclose(list(one.values()), list(other.values()), atol=1e-6)


def test_a_finished_run_is_evaluated_with_and_without(finished, folder, fertrain):
    on = f"folder:{folder}:train"

    def evaluated(*options):
        code, out, err = fertrain("evaluate", finished, "--on", on, "--format", "json", "--quiet", *options)
        assert code == 0, err
        return json.loads(out)

    own, flipped, plain = evaluated(), evaluated("--flip-test"), evaluated("--no-flip-test", "--corruptions")
    assert [found["flip_test"] for found in (own, flipped, plain)] == [True, True, False]
    assert own["calibration"] == flipped["calibration"] != plain["calibration"]
    rows = library.load_run(finished).folder.evaluations()
    assert [row["why"] for row in rows[-3:]] == ["fertrain evaluate"] * 2 + ["fertrain evaluate --no-flip-test"]
    assert not library.load_run(finished).folder.robustness()
    assert "mean of the image and its flip" in (finished / "model_card.md").read_text(encoding="utf-8")
