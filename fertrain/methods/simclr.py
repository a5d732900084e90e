"""SimCLR (Chen et al., ICML 2020), then labels.

z = g(f(view)),  g: Linear-ReLU-Linear
L = −log( e^{s_ij/τ} / Σ_{k≠i} e^{s_ik/τ} ), averaged over both views of every image           equation (1)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config.run import RunConfig
from ..losses.contrastive import nt_xent
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch
from .joint import joint_features
from .self_supervised import SelfSupervised, perceptron


class SimClr(SelfSupervised):
    """Every other image of the batch is a negative."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.simclr
        self.projector = perceptron(model.dim, model.dim, self.settings.dim, normalized=False)
        super().__init__(model, config, scheme, {"projector": self.projector}, ratio=self.settings.ratio)

    def compare(self, batch: Batch, one: Tensor, two: Tensor) -> Tensor:  # noqa: ARG002 - all are called alike
        """Equation (1)."""
        a, b = self.projector(torch.cat(joint_features(self.model, one, two))).chunk(2)
        return nt_xent(a, b, self.settings.tau)
