"""MoCo v2 (He et al., CVPR 2020; Chen et al., 2020), then labels.

    q = g(f(view_1)),  k = g'(f'(view_2))                                                           no gradient to k
    L = −log( e^{q·k/τ} / (e^{q·k/τ} + Σ_queue e^{q·k'/τ}) )                                        equation (1)
    θ' ← m θ' + (1 − m) θ after every step; then the keys join the queue, and the oldest leave      equation (2)

The authors shuffle images between devices (or separately normalized parts of the batch), so that batch statistics do
not reveal pairs (their CIFAR-10 notebook: worth 4 points in 800 epochs). This is omitted here: query and key are
normalized over the same images. A queue longer than the unlabeled set contains an image's own older keys.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..config.run import RunConfig
from ..losses.contrastive import info_nce
from ..losses.precision import full
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, Phase
from .joint import joint
from .self_supervised import SelfSupervised, frozen, perceptron, update_momentum


class Queue(nn.Module):
    """Queue of the last keys, unit vectors; random at the start. Saved with the run."""

    keys: Tensor
    at: Tensor

    def __init__(self, length: int, dim: int, seed: int) -> None:
        super().__init__()
        start = torch.randn(length, dim, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("keys", F.normalize(start, dim=1))
        self.register_buffer("at", torch.zeros((), dtype=torch.int64))

    def push(self, keys: Tensor) -> None:
        """Replace the oldest keys by new ones (U, E)."""
        length = len(self.keys)
        newest = F.normalize(full(keys[-length:]), dim=1)
        # the place stays on the device: reading it would wait for the step
        self.keys[(self.at + torch.arange(len(newest), device=self.at.device)) % length] = newest.to(self.keys.dtype)
        self.at.copy_((self.at + len(newest)) % length)


class Moco(SelfSupervised):
    """MoCo v2: a momentum network fills a queue of negatives."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.moco
        self.query = nn.Sequential(model.features, perceptron(model.dim, model.dim, s.dim, normalized=False))
        self.key = frozen(deepcopy(self.query))
        self.queue = Queue(s.queue, s.dim, config.seed)
        parts = {"projector": self.query[1], "key": self.key, "queue": self.queue}
        super().__init__(model, config, scheme, parts, ratio=s.ratio)

    def begin(self, phase: Phase) -> None:
        """Copy the weights to the key network: they may have been loaded from a file after it was built."""
        super().begin(phase)
        if phase.name == "pretrain":
            self.key.load_state_dict(self.query.state_dict())

    def compare(self, batch: Batch, one: Tensor, two: Tensor) -> Tensor:
        """Equation (1)."""
        keys = self.kept.get(batch, lambda: self._key(two))
        (queries,) = joint(self.query, one)
        return info_nce(queries, keys, self.queue.keys, self.settings.tau)

    def after_step(self) -> None:
        """Apply equation (2), and update the queue."""
        for keys in self.kept:
            self.queue.push(keys)
        if self._phase == "pretrain":
            update_momentum(self.key, self.query, self.settings.momentum)
        super().after_step()

    @torch.no_grad()
    def _key(self, images: Tensor) -> Tensor:
        (keys,) = joint(self.key, images)
        return full(keys)
