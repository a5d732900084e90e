"""At test a run can average an image at several scales, in whatever it predicts."""

import csv
import json

import fer_worlds as worlds
import pytest
import torch
from torch.nn.functional import interpolate

import fertrain as library
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.deploy.graph import deployed
from fertrain.errors import UsageError, WeightsError
from fertrain.models.checkpoint_file import read_file
from fertrain.models.factory import build
from fertrain.models.image_size import require_test_scales
from fertrain.models.inference import eval_mode
from fertrain.models.weights import load, save, write_tensors
from fertrain.training.experiment import run
from fertrain.transforms.input_spec import InputSpec

IMAGES = torch.randint(0, 255, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SPEC = InputSpec(32, 3, (0.5,) * 3, (0.2,) * 3)
SCALES = (1.0, 1.25, 0.75)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return worlds.class_folders(tmp_path_factory.mktemp("own"))


def config_of(folder, out, **model):
    return RunConfig(
        data=DataConfig(f"folder:{folder}", holdout=0.3),
        model=ModelConfig(**{"name": "test_resnet", "image_size": 32, **model}),
        augment="none", optim=OptimConfig(epochs=(2,), batch_size=14, lr=2e-3), precision="fp32",
        out=str(out),
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    return run(config_of(folder, tmp_path_factory.mktemp("runs") / "scales", test_scales=SCALES)).folder


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory):
    return run(config_of(folder, tmp_path_factory.mktemp("runs") / "plain")).folder


def network():
    torch.manual_seed(1)
    model = build("test_resnet", 4, 32)
    model.test_scales = SCALES
    return model.eval()


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def evaluated(fertrain, run, *options):
    code, out, err = fertrain("evaluate", run, "--format", "json", "--quiet", *options)
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("flips", [False, True])
def test_logits_are_the_mean_over_scales(flips):
    model, x = network(), SPEC.prepare(IMAGES)
    model.flip_test = flips
    with eval_mode(model):
        seen = [interpolate(x, size=(s, s), mode="bilinear") for s in (32, 40, 24)]
        views = [model(v) for v in seen] + [model(v.flip(-1)) for v in seen if flips]
        torch.testing.assert_close(model.test_logits(x), torch.stack(views).mean(dim=0))
        assert not torch.allclose(model.test_logits(x), model(x), atol=1e-3)


def test_the_scale_1_alone_changes_nothing():
    model, x = network(), SPEC.prepare(IMAGES)
    model.test_scales = (1.0,)
    with eval_mode(model):
        assert torch.equal(model.test_logits(x), model(x))


def test_training_is_the_same(finished, plain):
    one, other = ([row["loss"] for row in rows_of(path / "history.csv")] for path in (finished, plain))
    assert one == other


def test_weights_graph_and_card_know_the_scales(finished, plain):
    model = load(finished / "model.safetensors")[0]
    assert (model.test_scales, load(plain / "model.safetensors")[0].test_scales) == (SCALES, ())
    graph, _ = deployed(finished)
    pixels = IMAGES[:, : graph.spec.stored_channels]
    with eval_mode(graph):
        torch.testing.assert_close(graph(pixels)[0], graph.model.test_logits(graph.spec.prepare(pixels)))
    card = (finished / "model_card.md").read_text(encoding="utf-8")
    assert "mean of the image at 1, 1.25, 0.75 times its side" in card


def test_a_finished_run_is_evaluated_at_other_scales(finished, plain, folder, fertrain):
    on = ("--on", f"folder:{folder}:train")
    own, several, alone = (
        evaluated(fertrain, of, *on, *options)
        for of, options in ((plain, ()), (plain, ("--test-scales", "1,1.25,0.75")), (finished, ("--test-scales", "1")))
    )
    assert [found["test_scales"] for found in (own, several, alone)] == [[1], [1, 1.25, 0.75], [1]]
    assert own["calibration"] == alone["calibration"] != several["calibration"]
    assert several["calibration"] == evaluated(fertrain, finished, *on)["calibration"]
    rows = library.load_run(plain).folder.evaluations()
    assert [row["why"] for row in rows[-2:]] == ["fertrain evaluate", "fertrain evaluate --test-scales 1,1.25,0.75"]
    assert evaluated(fertrain, plain, *on, "--test-scales", "1")["calibration"] == own["calibration"]


@pytest.mark.parametrize("which", ["finished", "plain"])
def test_held_out_images_are_those_that_the_run_held_out(which, fertrain, request):
    path = request.getfixturevalue(which)
    best = max(float(row["heldout_accuracy"]) for row in rows_of(path / "history.csv"))
    found = evaluated(fertrain, path, "--on", "held-out")
    assert found["split"].endswith(":train held-out part")
    opened = library.load_run(path)
    assert found["n"] == opened.folder.metrics()["temperature"]["held_out"]["n"]
    assert found["overall_accuracy"] == pytest.approx(best, abs=1e-4)
    assert opened.evaluate("held-out", test_scales=[1.5])["test_scales"] == [1.5]


@pytest.mark.parametrize("name", ["vgg13", "deep-emotion", "vit_tiny_patch16_224"])
def test_a_network_for_one_size_takes_no_other(name, folder, tmp_path):
    size = {"vgg13": 64, "deep-emotion": 48}.get(name, 32)
    model = build(name, 4, size)
    require_test_scales(model, size, (1,))
    with pytest.raises(
        UsageError, match=f"images of {2 * size} px at test, found {name}, built for {size} px.*resnet10t"
    ):
        run(config_of(folder, tmp_path / "run", name=name, image_size=size, test_scales=(1, 2)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("scales", ["0", "0.4", "80", "1,-1", "nan", ",".join(["1"] * 17)])
def test_scales_have_bounds(scales, plain, folder, fertrain):
    code, _, err = fertrain("evaluate", plain, "--on", f"folder:{folder}", "--test-scales", scales)
    assert (code, "expected up to 16 numbers from 0.5 to 2 for --test-scales, found" in err) == (2, True)


def test_scales_are_numbers(plain, folder, fertrain):
    code, _, err = fertrain("evaluate", plain, "--on", f"folder:{folder}", "--test-scales", "1 1.1")
    assert (code, "like 1,1.05,1.1 for --test-scales, found '1 1.1'" in err) == (2, True)


@pytest.mark.parametrize("text", ["", "[1", '"1"', "[true]", "[0]", "[NaN]", "[80]", str([1] * 17)])
def test_a_weights_file_with_other_scales_is_refused(text, tmp_path):
    path = tmp_path / "x.safetensors"
    save(network(), ("a", "b", "c", "d"), SPEC, path)
    assert load(path)[0].test_scales == SCALES
    tensors, meta = read_file(path)
    write_tensors(tensors, path, {**meta, "test_scales": text})
    with pytest.raises(WeightsError, match="expected test_scales as a JSON list"):
        load(path)
