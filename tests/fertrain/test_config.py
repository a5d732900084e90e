"""Settings: types, choices and ranges are checked when a group is made, and files of earlier versions are read."""

import dataclasses
import math

import pytest

from fertrain.config import AdaCmConfig, DataConfig, ModelConfig, OptimConfig, RmferConfig, RunConfig
from fertrain.config.fields import field_types
from fertrain.config.serialization import changed, config_from, to_toml
from fertrain.datasets.vote_rules import RULES
from fertrain.errors import UnknownNameError
from fertrain.losses.rmfer import SELF_MASKS
from fertrain.losses.supervised import SCHEMES
from fertrain.training.optim import OPTIMIZERS, SCHEDULES
from fertrain.transforms.mixup import MIXES
from fertrain.unlabeled.candidates import CANDIDATES
from rmset.errors import UsageError


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (OptimConfig, {"lr": -1.0}, "`optim.lr` 0 or more, found -1"),
        (OptimConfig, {"lr": math.nan}, "`optim.lr` 0 or more, found nan"),
        (OptimConfig, {"ema": 1.0}, "`optim.ema` from 0 to below 1, found 1"),
        (OptimConfig, {"batch_size": 1}, "`optim.batch_size` 2 or more"),
        (OptimConfig, {"epochs": (3, -1)}, "`optim.epochs` 0 or more, found -1"),
        (OptimConfig, {"images": 0}, "`optim.images` 1 or more"),
        (OptimConfig, {"steps": ((1, math.inf),)}, "`optim.steps` with rates"),
        (ModelConfig, {"image_size": 8}, "`model.image_size` 16 or more"),
        (DataConfig, {"holdout": 1.0}, "`data.holdout` between 0 and 1"),
        (RmferConfig, {"tau": 0.0}, "`rmfer.tau` above 0"),
        (RunConfig, {"seed": 2**64}, "`seed` from 0 to 2\\^63 - 1"),
        (RunConfig, {"workers": -1}, "`workers` 0 or more, found -1"),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_name(group, values, message):
    with pytest.raises(UsageError, match=message):
        group(**values)


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (OptimConfig, {"optimizer": "adamx"}, "unknown `optim.optimizer` 'adamx': did you mean adam, adamw"),
        (OptimConfig, {"schedule": "wobble"}, "unknown `optim.schedule` 'wobble'"),
        (DataConfig, {"scheme": "mvv"}, "unknown `data.scheme` 'mvv'"),
        (ModelConfig, {"head": "words"}, "unknown `model.head`"),
        (RunConfig, {"precision": "fp8"}, "unknown `precision` 'fp8'"),
        (RunConfig, {"device": "cuda:7"}, "unknown `device` 'cuda:7'"),
    ],
)
def test_a_name_that_is_no_choice_is_refused_with_those_there_are(group, values, message):
    with pytest.raises(UnknownNameError, match=message):
        group(**values)


@pytest.mark.parametrize(
    ("group", "name", "table"),
    [
        (DataConfig, "scheme", SCHEMES), (DataConfig, "rule", RULES), (OptimConfig, "optimizer", OPTIMIZERS),
        (OptimConfig, "schedule", SCHEDULES), (RmferConfig, "candidates", CANDIDATES),
        (RmferConfig, "self_mask", SELF_MASKS), (RunConfig, "mix", ["none", *MIXES]),
    ],
)  # fmt: skip
def test_choices_are_the_names_of_what_there_is(group, name, table):
    assert sorted(field_types(group)[name].choices) == sorted(table)


def test_a_run_of_an_earlier_version_is_read():
    config = config_from({"method": "ada-cm", "ada_cm": {"labelled_weight": 0.25}, "measured": {"labelled_stream": 1}})
    assert config.ada_cm == AdaCmConfig(labeled_weight=0.25)
    assert changed(RunConfig(), {"ada_cm": {"labelled_weight": 0.25}}, "a grid").ada_cm.labeled_weight == 0.25


def test_settings_come_back_from_their_file():
    import tomllib

    config = RunConfig(method="uda", optim=OptimConfig(epochs=(1, 2), steps=((1, 0.5),)), augment="flip")
    assert config_from(tomllib.loads(to_toml(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(("epochs", "used"), [((3,), "flip"), ((5,), "flip"), ((2, 4), "affine"), ((20,), "affine")])
def test_few_epochs_mirror_images_and_more_move_and_turn_them(epochs, used):
    config = RunConfig(optim=OptimConfig(epochs=epochs))
    assert config.augmentation == used
    assert dataclasses.replace(config, augment="one-of").augmentation == "one-of"
