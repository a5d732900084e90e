"""Ways of learning, by name. A new one is a class like these and one entry in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable

from ..config import RunConfig
from ..errors import UnknownNameError
from ..losses.votes import Scheme
from ..models import Recogniser
from .base import AnchorBatch, Batch, Method, Phase, StepOutput, Unlabelled, Views
from .rmfer import Rmfer
from .supervised import Supervised

__all__ = ["METHODS", "AnchorBatch", "Batch", "Method", "Phase", "StepOutput", "Unlabelled", "Views", "create"]

METHODS: dict[str, Callable[[Recogniser, RunConfig, Scheme], Method]] = {
    "supervised": Supervised,
    "rmfer": Rmfer,
}


def create(model: Recogniser, config: RunConfig, scheme: Scheme) -> Method:
    """The method that the settings name, around a network."""
    if config.method not in METHODS:
        raise UnknownNameError("method", config.method, METHODS)
    return METHODS[config.method](model, config, scheme)
