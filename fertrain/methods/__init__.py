"""Ways of learning, by name. A new one is a class like these and one entry in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable

from ..config.run import RunConfig
from ..errors import UnknownNameError
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .ada_cm import AdaCm
from .base import AnchorBatch, Batch, Method, Phase, StepOutput, Unlabeled, Views
from .byol import Byol
from .fixmatch import FixMatch
from .mixmatch import MixMatch
from .moco import Moco
from .remixmatch import ReMixMatch
from .rmfer import Rmfer
from .simclr import SimClr
from .simsiam import SimSiam
from .supervised import Supervised
from .uda import Uda

__all__ = ["METHODS", "AnchorBatch", "Batch", "Method", "Phase", "StepOutput", "Unlabeled", "Views", "create"]

METHODS: dict[str, Callable[[Classifier, RunConfig, Scheme], Method]] = {
    "supervised": Supervised,
    "rmfer": Rmfer,
    "fixmatch": FixMatch,
    "mixmatch": MixMatch,
    "remixmatch": ReMixMatch,
    "uda": Uda,
    "ada-cm": AdaCm,
    "simclr": SimClr,
    "moco": Moco,
    "byol": Byol,
    "simsiam": SimSiam,
}


def create(model: Classifier, config: RunConfig, scheme: Scheme) -> Method:
    """The method that the settings name, around a network."""
    if config.method not in METHODS:
        raise UnknownNameError("method", config.method, METHODS)
    return METHODS[config.method](model, config, scheme)
