"""SimSiam (Chen and He, CVPR 2021), then labels: predict the other view of oneself, with the gradient stopped there.

z = g(f(view)),  p = h(z)
L = −cos(p_1, stop(z_2)) / 2 − cos(p_2, stop(z_1)) / 2                                          equations (1) to (4)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config.run import RunConfig
from ..losses.contrastive import disagreement
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch
from .joint import joint_features
from .self_supervised import SelfSupervised, perceptron


class SimSiam(SelfSupervised):
    """No negatives and no second network."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.simsiam
        self.projector = perceptron(model.dim, s.dim, s.dim, s.dim, normalized=True, ends=True)
        self.predictor = perceptron(s.dim, s.bottleneck, s.dim, normalized=True)
        parts = {"projector": self.projector, "predictor": self.predictor}
        super().__init__(model, config, scheme, parts, ratio=s.ratio)

    def compare(self, batch: Batch, one: Tensor, two: Tensor) -> Tensor:  # noqa: ARG002 - all are called alike
        """Equation (4)."""
        z = self.projector(torch.cat(joint_features(self.model, one, two)))
        z1, z2 = z.chunk(2)
        p1, p2 = self.predictor(z).chunk(2)
        return (disagreement(p1, z2) + disagreement(p2, z1)) / 2
