"""BYOL (Grill et al., NeurIPS 2020), then labels: predict a slower network's projection of the other view.

z = g(f(view)),  p = h(z),  z' = g'(f'(view))                                                   no gradient to z'
L = 2 − 2 cos(p_1, z'_2) + 2 − 2 cos(p_2, z'_1)                                                 equation (2)
θ' ← m θ' + (1 − m) θ after every step,  m = 1 − (1 − m_0) (cos(π t/T) + 1) / 2
"""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.contrastive import disagreement
from ..losses.precision import full
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, Phase
from .joint import joint
from .self_supervised import SelfSupervised, frozen, perceptron, update_momentum


def momentum_at(done: float, start: float) -> float:
    """M at the share t/T of the training: from `start` to 1."""
    return 1 - (1 - start) * (math.cos(math.pi * done) + 1) / 2


class Byol(SelfSupervised):
    """BYOL without negatives; a predictor and a slow target prevent collapsed features."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.byol
        self.online = nn.Sequential(model.features, perceptron(model.dim, s.hidden, s.dim, normalized=True))
        self.target = frozen(deepcopy(self.online))
        self.predictor = perceptron(s.dim, s.hidden, s.dim, normalized=True)
        parts = {"projector": self.online[1], "predictor": self.predictor, "target": self.target}
        # each view passes through both networks
        super().__init__(model, config, scheme, parts, ratio=s.ratio, again=2)
        self._done = 0.0

    def begin(self, phase: Phase) -> None:
        """Copy the weights to the target: they may have been loaded from a file after it was built."""
        super().begin(phase)
        if phase.name == "pretrain":
            self.target.load_state_dict(self.online.state_dict())

    def compare(self, batch: Batch, one: Tensor, two: Tensor) -> Tensor:
        """Equation (2), both ways."""
        z1, z2 = self.kept.get(batch, lambda: self._target(one, two)).chunk(2)
        p1, p2 = self.predictor(_projected(self.online, one, two)).chunk(2)
        self._done = batch.done
        return 4 + 2 * disagreement(p1, z2) + 2 * disagreement(p2, z1)

    def after_step(self) -> None:
        """Move the target network towards the online one."""
        if self._phase == "pretrain":
            update_momentum(self.target, self.online, momentum_at(self._done, self.settings.momentum))
        super().after_step()

    @torch.no_grad()
    def _target(self, one: Tensor, two: Tensor) -> Tensor:
        return full(_projected(self.target, one, two))


def _projected(network: nn.Module, one: Tensor, two: Tensor) -> Tensor:
    """Project both views (2U, E); batch normalization of the projector sees all images of all processes."""
    assert isinstance(network, nn.Sequential)
    features, projector = network
    projected: Tensor = projector(torch.cat(joint(features, one, two)))
    return projected
