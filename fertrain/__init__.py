"""Facial expression recognition from crowd votes and from reaction mashups.

errors, labels, files   exceptions; label orders; atomic file writes
config                  settings of a run, without torch
transforms, losses      augmentation, input spec; losses as pure functions
datasets, run_folder    labeled sets; the folder that a run writes
unlabeled, models       crops of a root and their candidates; networks
methods                 RMFER and its rivals: phases, a loss, an update after each step
evaluation              metrics, predictions, features, the report of a run
training                one loop; `experiment.run(RunConfig(...))` writes one run folder
deploy                  files for other runtimes
analysis                several runs and roots: comparisons, pairs, explanations, taggers

In Python:

    run = fertrain.train(labeled="ferplus", unlabeled=rmset.open("data/rmset"), method="rmfer")
    run = fertrain.load_run("runs/rmfer")
    run.metrics, run.predict("photo.jpg"), run.features(fertrain.CropDataset("data/rmset"))
    fertrain.losses.acl(positive, negative, tau=1.0)

Every public name is listed below and imported on first use, so `import fertrain` is quick and does not import
torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rmset import privacy as _privacy

if TYPE_CHECKING:
    from . import losses
    from ._run import Face, Run, load_run
    from ._train import train
    from .config.methods import (
        AdaCmConfig,
        ByolConfig,
        EacConfig,
        FixMatchConfig,
        FlexMatchConfig,
        FreeMatchConfig,
        LdlConfig,
        MixMatchConfig,
        MocoConfig,
        ReMixMatchConfig,
        RmferConfig,
        RulConfig,
        ScnConfig,
        SimClrConfig,
        SimSiamConfig,
        SoftMatchConfig,
        UdaConfig,
        VacConfig,
    )
    from .config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
    from .errors import (
        DatasetError,
        FertrainError,
        InvarianceError,
        LabelError,
        TrainingError,
        UnknownNameError,
        WeightsError,
    )
    from .unlabeled.crops import CropBatch, CropDataset, CropItem
    from .unlabeled.loader import CropLoader

__all__ = [
    "AdaCmConfig", "ByolConfig", "CropBatch", "CropDataset", "CropItem", "CropLoader", "DataConfig",
    "DatasetError", "EacConfig", "Face", "FertrainError", "FixMatchConfig", "FlexMatchConfig", "FreeMatchConfig",
    "InvarianceError", "LabelError", "LdlConfig", "MixMatchConfig", "MocoConfig", "ModelConfig", "OptimConfig",
    "ReMixMatchConfig", "RmferConfig", "RulConfig", "Run", "RunConfig", "ScnConfig", "SimClrConfig",
    "SimSiamConfig", "SoftMatchConfig", "TrainingError", "UdaConfig", "UnknownNameError", "VacConfig",
    "WeightsError", "load_run", "losses", "train",
]  # fmt: skip

# before importing any library that reports usage over the network
_privacy.opt_out()

_HOMES = {
    "_run": "Face Run load_run",
    "_train": "train",
    "config": "AdaCmConfig ByolConfig DataConfig EacConfig FixMatchConfig FlexMatchConfig FreeMatchConfig LdlConfig "
    "MixMatchConfig MocoConfig ModelConfig OptimConfig ReMixMatchConfig RmferConfig RulConfig RunConfig "
    "ScnConfig SimClrConfig SimSiamConfig SoftMatchConfig UdaConfig VacConfig",
    "errors": "DatasetError FertrainError InvarianceError LabelError TrainingError UnknownNameError WeightsError",
    "unlabeled.crops": "CropBatch CropDataset CropItem",
    "unlabeled.loader": "CropLoader",
}
"""Module -> the public names that it holds."""
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "losses":
        return import_module("fertrain.losses")
    if name not in _HOME:
        raise AttributeError(f"module 'fertrain' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"fertrain.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
