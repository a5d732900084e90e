"""Slices, corruptions and the model card: what a run is worth on parts of a split and on worse pictures."""

import json

import cv2
import fer_worlds
import numpy as np
import pytest
import torch
from skimage.data import astronaut
from typer.testing import CliRunner

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.base import Split
from fertrain.datasets.images import InMemory
from fertrain.evaluation.corruptions import CORRUPTIONS, STRENGTHS, Corrupted
from fertrain.evaluation.pose import yaw_of
from fertrain.evaluation.slices import measured, slice_rows, wilson
from fertrain.labels import ORDERS
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run
from rmset_cli.fertrain.app import app


def picture(channels, size=48):
    rng = np.random.default_rng(0)
    return np.ascontiguousarray(fer_worlds.face(2, rng, size)[:, :, :channels])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_the_form_and_grows_with_its_strength(kind, channels):
    x = picture(channels)
    before = x.copy()
    changes = []
    for strength in range(STRENGTHS):
        y = CORRUPTIONS[kind](x, strength, np.random.default_rng(1))
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
        changes.append(float(np.abs(y.astype(int) - x).mean()))
    assert changes[0] > 0
    # the place of the square is random
    assert changes[-1] > changes[0]
    np.testing.assert_array_equal(x, before)


def test_corruptions_by_hand():
    x = np.zeros((4, 4, 1), np.uint8)
    x[:2] = 200
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(np.unique(CORRUPTIONS["contrast"](x, 2, rng)), [80, 120])  # 100 ± 0.2 · 100
    np.testing.assert_array_equal(np.unique(CORRUPTIONS["brightness"](x, 0, rng)), [26, 226])  # + 0.1 · 255, rounded
    np.testing.assert_array_equal(CORRUPTIONS["pixelate"](x, 1, rng), x)  # halves of one value
    assert (CORRUPTIONS["occlusion"](x, 3, rng) == 128).sum() == 4


def test_the_same_picture_is_corrupted_alike_in_any_batch():
    pixels = torch.from_numpy(np.stack([picture(3).transpose(2, 0, 1)] * 4))
    for kind in ("gaussian noise", "occlusion"):
        images = Corrupted(InMemory(pixels), kind, 1)
        torch.testing.assert_close(images.read([0, 1, 2, 3])[2], images.read([2])[0])
        assert not torch.equal(images.read([0, 1])[0], images.read([0, 1])[1])
    torch.testing.assert_close(pixels[0], pixels[1])


class Pictures:
    """Two dark and two bright pictures of two sizes."""

    def get(self, name):
        dark, small = name[0] == "d", name[1] == "s"
        image = np.full((20 if small else 40,) * 2, 20 if dark else 200, np.uint8)
        return bytes(cv2.imencode(".png", image)[1])


def test_slices_are_counted_worst_first():
    names = ("ds", "dl", "bs", "bl") * 10
    order = ORDERS["affectnet7"]
    targets = np.eye(len(order), dtype=np.float32)[np.zeros(40, int)]
    subjects = ("anna",) * 20 + ("ben",) * 15 + ("rare",) * 5
    split = Split("x", "test", "given", order, names, targets, Pictures(), gray=True, groups={"subject": subjects})
    found = measured(split)
    assert set(np.round(found["light"], 3)) == {round(20 / 255, 3), round(200 / 255, 3)}
    assert set(found["size"]) == {20, 40}
    # wrong on dark pictures
    probabilities = np.full((40, len(order)), 0.01)
    probabilities[np.arange(40), [1 if n[0] == "d" else 0 for n in names]] = 0.94
    rows = slice_rows(split, probabilities)
    assert (rows[0]["by"], rows[0]["accuracy"], rows[0]["n"], rows[0]["difference"]) == ("light", 0.0, 20, -0.5)
    assert (rows[-1]["by"], rows[-1]["accuracy"]) == ("light", 1.0)
    assert {r["slice"] for r in rows if r["by"] == "subject"} == {"anna", "ben"}
    # all equally sharp: no part of the split
    assert not [r for r in rows if r["by"] == "sharpness"]


@pytest.mark.parametrize("side", [48, 96, 400])
def test_the_pose_is_read_off_the_picture(side):
    face = cv2.resize(np.ascontiguousarray(astronaut()[55:205, 150:300]), (side, side), interpolation=cv2.INTER_AREA)
    yaw = yaw_of(face)
    # she looks a little to one side, and in a mirror to the other
    assert 0 < abs(yaw) < 0.5
    assert yaw_of(np.ascontiguousarray(face[:, ::-1])) == pytest.approx(-yaw, abs=0.15)
    # half of the face squeezed: the nose is nearer to one eye
    squeezed = np.hstack([cv2.resize(face[:, : side // 2], (side // 4, side)), face[:, side // 2 :]])
    assert abs(yaw_of(np.ascontiguousarray(squeezed)) - yaw) > 0.2
    assert np.isnan(yaw_of(np.full_like(face, 128)))


def test_pictures_without_a_face_are_a_slice_of_their_own():
    face = cv2.imencode(".png", astronaut()[55:205, 150:300, ::-1])[1].tobytes()

    class Some(Pictures):
        def get(self, name):
            return face if name == "face" else super().get(name)

    order = ORDERS["affectnet7"]
    targets = np.eye(len(order), dtype=np.float32)[np.zeros(4, int)]
    split = Split("x", "test", "given", order, ("face", "ds", "face", "bl"), targets, Some(), gray=True)
    probabilities = np.full((4, len(order)), 0.01)
    probabilities[np.arange(4), [0, 1, 0, 1]] = 0.94
    (row,) = [r for r in slice_rows(split, probabilities) if r["by"] == "pose" and r["accuracy"] == 0]
    assert (row["slice"], row["n"]) == ("no face found", 2)


def test_the_interval_of_a_share():
    # Wilson's for 8 of 10, by hand: (0.8 + 0.19207 ± 1.96 √(0.016 + 0.0096)) / 1.38415
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_run_has_a_card_and_measures_slices_and_corruptions_on_request(tmp_path):
    root = fer_worlds.class_folders(tmp_path / "own", per_class=6, test=4)
    config = RunConfig(
        data=DataConfig(f"folder:{root}"), model=ModelConfig("deep-emotion", image_size=32), precision="fp32",
        optim=OptimConfig(epochs=(0,), batch_size=14), out=str(tmp_path / "r"),
    )  # fmt: skip
    folder = RunFolder(run(config).folder)
    # what `auto` stood for in this run
    assert 'augment = "flip"' in (folder.path / "config.toml").read_text()
    card = (folder.path / "model_card.md").read_text()
    accuracy = folder.metrics()["overall_accuracy"]
    for fact in (f"| overall accuracy | {accuracy:.2%} |", "32 × 32 px, gray", "Not measured; `fertrain evaluate",
                 f"Temperature {folder.temperature():g}", "counted 1 times"):  # fmt: skip
        assert fact in card
    before = folder.report.read_text()
    words = ["evaluate", str(folder.path), "--on", f"folder:{root}:test", "--format", "json"]
    plain = json.loads(CliRunner().invoke(app, words).stdout)
    assert "slices" not in plain
    assert not (folder.path / "robustness.json").exists()
    result = CliRunner().invoke(app, [*words, "--slices", "--corruptions", "--corrupted-images", "10"])
    values = json.loads(result.stdout)
    kept = folder.robustness()[values["split"]]
    assert kept["slices"] == values["slices"]
    assert kept["corruptions"] == values["corruptions"]
    shares = [row["accuracy"] for row in kept["corruptions"]]
    assert shares == sorted(shares)
    assert {row["corruption"] for row in kept["corruptions"]} == set(CORRUPTIONS)
    assert {row["n"] for row in kept["corruptions"]} == {10}
    page = folder.report.read_text()
    assert "Slices and corruptions" not in before
    assert page.count("<h2>Slices and corruptions</h2>") == 1
    assert "worst first" in (folder.path / "model_card.md").read_text()
    # a later plain evaluation keeps them
    CliRunner().invoke(app, words)
    assert folder.report.read_text().count("<h2>Slices and corruptions</h2>") == 1
