"""Last feature map and pooled features from one pass, for methods that compare class attention (EAC, VAC)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rmset.errors import UsageError

from .. import ranks
from ..losses.label_noise import attention_maps
from ..models.classifier import Classifier
from ..models.inference import eval_mode


class ClassAttention:
    """f_FER ∘ f_Feat with the attention map of every class.

    Raises:
        UsageError: the features are not the mean of the last map, so the classifier's weights do not apply to it.
    """

    def __init__(self, model: Classifier, method: str, image_size: int) -> None:
        self.model = model
        network: Any = model.features
        if hasattr(network, "forward_features") and hasattr(network, "forward_head"):
            self.last_map: Callable[[Tensor], Tensor] = network.forward_features
            self.pooled: Callable[[Tensor], Tensor] = network.forward_head
            x = torch.rand(2, model.channels, image_size, image_size, generator=torch.Generator().manual_seed(0))
            with eval_mode(model):
                f = self.last_map(x)
                if f.ndim == 4 and torch.allclose(self.pooled(f), f.mean(dim=(2, 3)), atol=1e-4):
                    return
        raise UsageError(
            f"expected a network whose features are the mean of its last map for {method}, found {model.name}; "
            "resnet10t or tf_efficientnet_lite0 will do"
        )

    def __call__(self, *views: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (V·B, K) of V views in one pass, one view after the other, and their attention maps (V·B, K, h, w)."""
        f = self.last_map(torch.cat(views))
        head: Any = self.model.head
        found = head(self.pooled(f)), attention_maps(f, head.weight)
        logits, maps = (torch.cat(ranks.gathered(torch.split(part, len(views[0])))) for part in found)
        return logits, maps
