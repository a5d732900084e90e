"""Resolve the names in a config into objects, once, and check their combinations before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

from rmset.errors import UsageError

from ..config.run import RunConfig
from ..datasets.label_noise import LabelNoise, parse
from ..datasets.registry import Entry, resolve_labeled
from ..errors import UnknownNameError
from ..losses.supervised import SCHEMES, Scheme
from ..methods import METHODS, MethodClass
from ..models.factory import Builder, builder
from ..transforms.augment import Augmentation, augmentation
from ..transforms.mixup import Mix, mix
from ..unlabeled.candidates import require_delays
from ..unlabeled.sources import Origin, resolve_origin
from .loggers import require


@dataclass(frozen=True)
class Resolved:
    """A config with its names resolved."""

    config: RunConfig
    """The config."""
    labeled: Entry
    """The labeled set, not yet opened."""
    unlabeled: Origin | None
    """Source of unlabeled images, not yet opened; None if none is named."""
    scheme: Scheme
    """Voting scheme."""
    method: MethodClass
    """Builds the method around a network."""
    model: Builder
    """Builds the network."""
    weak: Augmentation
    """Augmentation of labeled images and weak views."""
    strong: Augmentation
    """Augmentation of strong views."""
    mix: Mix | None
    """Function that blends labeled images in pairs."""
    label_noise: LabelNoise | None
    """Wrong labels on purpose; None: none."""


def resolve(config: RunConfig) -> Resolved:
    """Look up every name in a config and check for contradictions.

    Raises:
        UnknownNameError: a name that does not exist; the message suggests close matches.
        UsageError: settings that contradict each other, or a required file or package that is missing.
    """
    if config.method not in METHODS:
        raise UnknownNameError("method", config.method, METHODS)
    _check_combinations(config)
    require(config)
    data = config.data
    labeled = resolve_labeled(data.labeled)
    return Resolved(
        config=config,
        labeled=labeled,
        unlabeled=None if data.unlabeled is None else resolve_origin(data.unlabeled, data.root, labeled),
        scheme=SCHEMES[data.scheme],
        method=METHODS[config.method],
        model=builder(config.model.name),
        weak=augmentation(config.augmentation),
        strong=augmentation(config.strong),
        mix=mix(config.mix, config.mix_alpha),
        label_noise=parse(data.label_noise) if data.label_noise else None,
    )


def _check_combinations(config: RunConfig) -> None:
    data, model = config.data, config.model
    if model.head == "embedding" and (not model.vectors or config.method != "supervised"):
        raise UsageError(
            "expected `model.vectors` and the method supervised for the head embedding, found "
            f"{model.vectors or 'no file'} and {config.method}"
        )
    if data.scheme == "ml" and (config.optim.label_smoothing or config.mix != "none"):
        raise UsageError("expected no smoothing and no mix with the scheme ml, which counts any positive share")
    if model.run is not None and (model.weights or model.pretrained):
        raise UsageError("expected either a run to go on from (`model.run`) or weights, found both")
    if data.scheme == "ml" and data.label_noise:
        raise UsageError("expected the scheme mv, pld or cel with `data.label_noise`, found ml, which has no one label")
    if data.labels is not None and data.labels_file is not None:
        raise UsageError("expected either a label budget (`data.labels`) or an index (`data.labels_file`), found both")
    if config.method == "rmfer":
        require_delays(config.rmfer)
