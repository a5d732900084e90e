"""Temperature scaling: fitted on held-out images, recorded in the run, harmless to the class."""

import json

import numpy as np
import pytest
from scipy.special import softmax

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.errors import FertrainError
from fertrain.evaluation.calibration import before_and_after, fit_temperature, nll, tempered
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run


def overconfident(n=4000, sharper=3.0, seed=0):
    """Probabilities of a network that is too sure by a known factor, and classes drawn from the honest ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))
    honest = softmax(logits, axis=1)
    truth = np.array([rng.choice(4, p=p) for p in honest])
    return softmax(sharper * logits, axis=1), truth


def test_the_temperature_is_the_factor_by_which_the_network_is_too_sure():
    probabilities, truth = overconfident(sharper=3.0)
    assert fit_temperature(probabilities, truth) == pytest.approx(3.0, rel=0.06)
    assert fit_temperature(*overconfident(sharper=0.5)) == pytest.approx(0.5, rel=0.06)


def test_a_temperature_by_hand():
    # log odds of 4 : 1 halved are odds of 2 : 1
    np.testing.assert_allclose(tempered(np.array([[0.8, 0.2]]), 2.0), [[2 / 3, 1 / 3]])
    assert nll(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1])) == pytest.approx((np.log(1.25) + np.log(2)) / 2)


def test_it_is_no_worse_on_its_own_images_and_keeps_every_class():
    probabilities, truth = overconfident(200, seed=3)
    value = fit_temperature(probabilities, truth)
    found = before_and_after(probabilities, truth, value)
    assert found["nll_after"] < found["nll_before"]
    assert found["ece_after"] < found["ece_before"]
    np.testing.assert_array_equal(tempered(probabilities, value).argmax(1), probabilities.argmax(1))


def test_images_that_are_all_right_give_a_bounded_temperature_and_none_give_one():
    sure = np.tile([0.9, 0.1], (5, 1))
    assert 0.04 < fit_temperature(sure, np.zeros(5, np.int64)) < 0.2
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64)) == 1.0


def test_a_run_records_its_temperature_and_the_page_says_what_it_changes(faces, tmp_path):
    config = RunConfig(
        data=DataConfig(f"folder:{faces}"), model=ModelConfig("test_resnet", image_size=32), augment="none",
        optim=OptimConfig(epochs=(2,), batch_size=14), precision="fp32", out=str(tmp_path / "r"),
    )  # fmt: skip
    folder = RunFolder(run(config).folder)
    kept = folder.metrics()["temperature"]
    assert kept["held_out"]["n"] > 0
    assert kept["held_out"]["nll_after"] <= kept["held_out"]["nll_before"]
    assert kept["reported"]["n"] == folder.metrics()["n"]
    assert "held-out part" in kept["fitted_on"]
    assert folder.temperature() == kept["value"]
    assert f"Temperature {kept['value']:g}, fitted on" in folder.report.read_text()
    metrics = folder.metrics()
    (folder.path / "metrics.json").write_text(json.dumps({**metrics, "temperature": {"value": -1}}))
    with pytest.raises(FertrainError, match="expected a temperature above 0"):
        folder.temperature()
    (folder.path / "metrics.json").write_text(json.dumps({k: v for k, v in metrics.items() if k != "temperature"}))
    assert folder.temperature() == 1.0
