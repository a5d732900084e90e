"""VAC (Guo et al., CVPR 2019): visual attention consistency under flips, and by choice under scaling.

    L = CE over both views + λ mean (M(x) − Flip(M(flip(x))))²

With `vac.scale` two smaller views are added: they learn the label and agree with their own mirror image, and their maps
agree with the larger ones. The paper's labels are many per image, with weighted sigmoids; here the scheme's loss is
averaged over all views.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..config.run import RunConfig
from ..losses.label_noise import flip_consistency, scale_consistency
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, StepOutput
from .class_attention import ClassAttention
from .labels_only import LabelsOnly, output


class Vac(LabelsOnly):
    """Each image and its mirror image, by choice also both smaller."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.vac
        size = config.model.image_size
        self.smaller = round(self.settings.scale * size) if self.settings.scale else 0
        super().__init__("vac", model, config, scheme, passes=4 if self.smaller else 2)
        self.attention = ClassAttention(model, "vac", size)
        if self.smaller:
            ClassAttention(model, "vac", self.smaller)

    def loss(self, batch: Batch) -> StepOutput:
        """Mean cross-entropy of all views, and consistency of their maps."""
        ce, a, b = self._views(batch.images, batch.targets)
        apart = flip_consistency(a, b)
        if self.smaller:
            sides = [self.smaller, self.smaller]
            small = F.interpolate(batch.images, size=sides, mode="bilinear", antialias=True, align_corners=False)
            also, c, d = self._views(small, batch.targets)
            ce = (ce + also) / 2
            apart = apart + flip_consistency(c, d) + scale_consistency(torch.cat([a, b]), torch.cat([c, d]))
        return output(ce, self.settings.weight, "attention", apart)

    def _views(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, maps = self.attention(x, x.flip(-1))
        a, b = maps.chunk(2)
        return self.scheme.loss(logits, torch.cat([targets, targets])), a, b
