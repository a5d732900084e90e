"""Public interface of fertrain: `train`, `load_run`, and the methods of a run."""

import shutil
from dataclasses import replace

import av
import cv2
import fer_worlds
import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import fertrain
import rmset
from fertrain._train import _with
from fertrain.config.run import start_for
from fertrain.datasets.images import InMemory
from fertrain.datasets.registry import images_of, open_split, open_target
from fertrain.models.weights import load
from fertrain.training import experiment
from rmset.root import Root


@pytest.fixture(scope="module")
def config(faces):
    return fertrain.RunConfig(
        data=fertrain.DataConfig(f"folder:{faces}"), model=fertrain.ModelConfig("test_resnet", image_size=32),
        optim=fertrain.OptimConfig(epochs=(1,), batch_size=14), precision="fp32",
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return fertrain.train(config, out=tmp_path_factory.mktemp("library") / "run", progress=False)


def test_settings_by_name_are_those_of_a_config(config, run, faces, tmp_path):
    other = fertrain.train(
        labeled=f"folder:{faces}", model="test_resnet", image_size=32, epochs=1, batch_size=14, precision="fp32",
        out=tmp_path / "other",
    )  # fmt: skip
    assert replace(other.config, out="") == replace(run.config, out="") == config
    assert (other.path / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()
    assert other.metrics == run.metrics


def test_a_name_is_looked_for_in_every_group_and_in_the_methods_own():
    start = start_for("rmfer")
    found = _with(start, {"tau": 0.1, "lr": 1e-3, "rule": "majority", "seed": 3, "epochs": [1, 2, 3], "model": "vgg13"})
    assert (found.rmfer.tau, found.optim.lr, found.data.rule, found.seed) == (0.1, 1e-3, "majority", 3)
    assert (found.optim.epochs, found.model.name) == ((1, 2, 3), "vgg13")
    assert _with(start, {"optim": fertrain.OptimConfig(lr=0.5)}).optim == fertrain.OptimConfig(lr=0.5)
    assert _with(start, {"optim": {"lr": 0.5}}).optim == replace(start.optim, lr=0.5)
    assert _with(start, {"method": "fixmatch", "threshold": 0.5}).fixmatch.threshold == 0.5


@pytest.mark.parametrize(
    "root", [lambda path: rmset.open(path), lambda path: Root(path), lambda path: path, lambda path: f"rmset:{path}"]
)
def test_a_root_in_any_form_becomes_its_path(mashup, root):
    assert _with(start_for("rmfer"), {"unlabeled": root(mashup)}).data.unlabeled == f"rmset:{mashup}"
    assert _with(start_for("rmfer"), {"unlabeled": "rest"}).data.unlabeled == "rest"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"labeled": "nothing-of-that-name"},
        {"labeled": "ferplus", "learning_rate": 1},
        {"labeled": "ferplus", "method": "rmfr"},
        {"labeled": "ferplus", "lr": "high"},
        {"labeled": "ferplus", "lr": -1.0},
        {"labeled": "ferplus", "optim": 5},
        {"labeled": 5},
    ],
)
def test_settings_that_cannot_be_are_one_line(wrong, tmp_path):
    with pytest.raises(rmset.RmsetError) as failure:
        fertrain.train(**wrong, out=tmp_path / "run")
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "run").exists()


def test_a_root_object_is_learned_from(ferplus, mashup, tmp_path):
    said = []
    run = fertrain.train(
        labeled=f"ferplus:{ferplus}", unlabeled=rmset.open(mashup), method="rmfer", model="test_resnet", image_size=32,
        epochs=1, batch_size=16, max_candidates=4, precision="fp32", out=tmp_path / "r", say=said.append,
    )  # fmt: skip
    assert run.config.data.unlabeled == f"rmset:{mashup}"
    assert {row["phase"] for row in run.history} == {"base", "ial", "acl"}
    assert any("unlabeled" in line for line in said)
    assert run.opened.projects


def test_a_run_is_found_again(run, config):
    again = fertrain.load_run(str(run.path))
    assert again.metrics["labels"] == list(again.labels)
    assert repr(again) == f"fertrain.load_run({str(run.path)!r})"
    assert not again.model.training
    with pytest.raises(rmset.UsageError, match="expected a run folder"):
        fertrain.load_run(run.path / "none")


def test_features_of_crops_are_seen_as_the_run_sees_them(run, mashup):
    ds = fertrain.CropDataset(mashup, image_size=20)
    seen = run.extract(ds)
    assert len(seen.features) == len(ds) == 180
    assert torch.equal(run.features(mashup), seen.features), "whatever size the data set had"
    model, _, spec = load(run.path / "model.safetensors")
    images = InMemory(fertrain.CropDataset(mashup, image_size=spec.size).read(range(180)))
    own = spec.with_moments(fertrain.models.inference.channel_stats(images, spec))
    with torch.no_grad():
        expected = model.eval().features(own.prepare(images.read([5, 9])))
    assert torch.allclose(seen.features[[5, 9]], expected, atol=1e-5)
    assert torch.allclose(seen.probabilities.sum(dim=1), torch.ones(180))


def test_features_of_labeled_images(run, config):
    data, name = open_target(config.data.labeled)
    images = images_of(open_split(data, name, "majority"), run.opened.spec)
    assert run.features(images).shape == (len(images), run.model.dim)


def test_predictions_name_classes(run, faces, tmp_path):
    picture = next((faces / "test").rglob("*.png"))
    (face,) = run.predict(picture, detect=False)
    assert face.file == str(picture)
    assert tuple(face.probabilities) == run.labels
    assert face.probabilities[face.label] == max(face.probabilities.values())
    assert sum(face.probabilities.values()) == pytest.approx(1)
    with pytest.raises(rmset.UsageError, match="`stride`"):
        run.predict(picture, stride=0)
    with pytest.raises(rmset.UsageError, match="found none"):
        run.predict(tmp_path / "none.jpg")


def test_readable_images_of_a_folder_are_predicted_despite_unreadable_ones(run, faces, tmp_path):
    shutil.copy(next((faces / "test").rglob("*.png")), tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(rmset.IncompleteError, match=r"b\.png") as failure:
        run.predict(tmp_path, detect=False)
    assert [face.file for face in failure.value.done] == [str(tmp_path / "a.png")]


@pytest.mark.parametrize("suffix", [".ts", ".TS", ".mpg", ".mp4"])
def test_every_video_that_a_root_takes_is_judged_as_one(run, tmp_path, suffix):
    film = tmp_path / f"film{suffix}"
    with av.open(str(film), "w", format={".ts": "mpegts", ".mpg": "mpeg"}.get(suffix.lower())) as container:
        stream = container.add_stream("mpeg2video" if suffix != ".mp4" else "mpeg4", rate=25)
        stream.width = stream.height = 64
        for k in range(6):
            image = fer_worlds.face(k % 7, np.random.default_rng(k), size=64)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    assert [f.frame for f in run.predict(film, detect=False)] == list(range(6))
    assert len(run.predict(tmp_path, detect=False, stride=2)) == 3 + 1


def test_another_split_is_counted_and_written_down(run, config):
    before = len(run.folder.evaluations())
    assert run.evaluate(f"{config.data.labeled}:train")["n"] > run.metrics["n"]
    assert len(run.folder.evaluations()) == before + 1


def test_figures_are_returned_and_leave_no_window(run):
    from matplotlib.figure import Figure

    figures = run.figures()
    assert {"confusion", "curves"} <= set(figures)
    assert all(isinstance(figure, Figure) for figure in figures.values())


def test_a_run_without_a_folder_gets_one_of_its_own(config):
    run = fertrain.train(config, epochs=0)
    assert run.path.parent.name == "runs"
    assert run.path.name.endswith("-supervised-test_resnet")
    assert experiment.RunFolder.open(run.path).metrics() == run.metrics


def test_losses_of_votes_are_those_of_the_paper():
    logits, p = torch.randn(5, 8), torch.softmax(2 * torch.randn(5, 8), dim=1)
    hot = F.one_hot(p.argmax(dim=1), 8).float()
    assert torch.allclose(fertrain.losses.ferplus_mv(logits, p), fertrain.losses.ferplus_cel(logits, hot))
    drawn = [fertrain.losses.ferplus_pld(logits, p, torch.Generator().manual_seed(seed)).item() for seed in range(3000)]
    # a drawn label's loss is on average that of the whole distribution
    assert np.mean(drawn) == pytest.approx(fertrain.losses.ferplus_cel(logits, p).item(), abs=0.05)
    with pytest.raises(rmset.UsageError, match="positive"):
        fertrain.losses.acl(torch.empty(0), torch.zeros(3), 1.0)
    with pytest.raises(rmset.UsageError, match="two images"):
        fertrain.losses.attention(torch.zeros(1, 4), 1.0)
