"""RUL (Zhang et al., NeurIPS 2021): uncertainty learned from how much two images weigh in their mixture.

    μ = f(x),  σ = mean exp(log_var(f(x)))                                       a second branch beside the classifier
    μ_mix = (σ_i μ_i + σ_j μ_j) / (σ_i + σ_j)                                    equation (3)
    L = ( CE(p(μ_mix), y_i) + CE(p(μ_mix), y_j) ) / 2                            equation (4), the add-up loss

The authors derive μ and log σ² from the flattened last map, each by batch normalization, dropout, a linear layer of 64
and batch normalization. Here μ is the network's own pooled feature, so the saved model is an ordinary one; the branch
of σ is theirs on pooled features. Their classifier learns at ten times the rate of the rest, here at the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config.run import RunConfig
from ..devices import to_device
from ..losses.label_noise import mix_by_uncertainty
from ..losses.precision import full
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, StepOutput
from .joint import joint_features
from .labels_only import LabelsOnly

_EPS = 2e-5  # authors' code


class Rul(LabelsOnly):
    """The uncertainty branch exists in training alone."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.rul
        super().__init__("rul", model, config, scheme)
        self.log_variance = nn.Sequential(
            nn.BatchNorm1d(model.dim, eps=_EPS, affine=False),
            nn.Dropout(s.dropout),
            nn.Linear(model.dim, s.dim),
            nn.BatchNorm1d(s.dim, eps=_EPS),
        )
        self.module = nn.ModuleDict({"model": model, "log_variance": self.log_variance})

    def loss(self, batch: Batch) -> StepOutput:
        """Equation (4)."""
        (mu,) = joint_features(self.model, batch.images)
        sigma = self.uncertainty(mu)
        drawn = torch.randperm(len(mu), generator=torch.Generator().manual_seed(batch.seed))
        other = to_device(drawn, mu.device)
        logits = self.model.head(mix_by_uncertainty(full(mu), sigma, other))
        first, second = (self.scheme.loss(logits, y) for y in (batch.targets, batch.targets[other]))
        loss = (first + second) / 2
        return StepOutput(loss, {"ce": loss.detach(), "uncertainty": sigma.mean().detach()})

    def uncertainty(self, mu: Tensor) -> Tensor:
        """σ of each image, (B, 1)."""
        variance: Tensor = self.log_variance(mu)
        return full(variance).exp().mean(dim=1, keepdim=True)
