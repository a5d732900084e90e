"""LDL: the votes as the target; by choice like answers for images with like auxiliary labels (ALSG).

    L = KL(p, q) + λ Σ_graphs mean_i Σ_k a_ik ‖q_i − q̄_k‖²

p are the votes, q the answer, q̄_k the last answer on a neighbor, without gradient. KL(p, q) is the loss of `cel` less
the entropy of the votes, so without graphs the gradients are those of `cel`. The graphs follow the idea of Chen et al.
(CVPR 2020): images near each other in the label space of another task, such as action units or landmarks, have like
distributions. Their code is not public and their equations were not at hand: the weights, and last answers in place of
a pass of the neighbors, are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..config.run import RunConfig
from ..datasets.label_graph import read_graph
from ..errors import DatasetError
from ..losses.label_noise import divergence, neighbor_distance
from ..losses.precision import full
from ..losses.supervised import Scheme, ml
from ..models.classifier import Classifier
from .base import Batch, Phase, StepCache, StepOutput
from .joint import joint_features
from .labels_only import LabelsOnly
from .memory import ImageMemory


@dataclass(frozen=True)
class Answers:
    """Per-batch cache."""

    rows: Tensor
    """(B,)."""
    q: Tensor
    """(B, K)."""


class Graph(nn.Module):
    """One graph; made again from its table, not saved with the run."""

    neighbors: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("neighbors", torch.empty(0, 0, dtype=torch.int64), persistent=False)
        self.register_buffer("weights", torch.empty(0, 0), persistent=False)


class Ldl(LabelsOnly):
    """The last answer on every image is remembered if there are graphs."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.ldl
        if scheme.loss is ml:
            raise UsageError("expected the scheme cel, mv or pld for ldl, which learns distributions, found ml")
        if self.settings.graphs and config.mix != "none":
            raise UsageError(f"expected no mix with `ldl.graphs`, which link single images, found {config.mix}")
        for path in self.settings.graphs:
            if not Path(path).is_file():
                raise DatasetError(f"expected a table of auxiliary labels for `ldl.graphs`, found none at {path}")
        super().__init__("ldl", model, config, scheme)
        self.answers = ImageMemory(torch.zeros(model.classes))
        self.graphs = nn.ModuleList([Graph() for _ in self.settings.graphs])
        if self.settings.graphs:
            self.module = nn.ModuleDict({"model": model, "answers": self.answers, "graphs": self.graphs})
        self.kept: StepCache[Answers] = StepCache()

    def begin(self, phase: Phase) -> None:
        """Read the graphs; nothing is known of answers yet."""
        self.kept.clear()
        if not self.settings.graphs:
            return
        self.answers.reset(phase.labeled_images)
        device = self.answers.values.device
        for graph, path in zip(self.graphs, self.settings.graphs, strict=True):
            found = read_graph(Path(path), phase.labeled_names, self.settings.neighbors)
            graph.neighbors = torch.from_numpy(found.neighbors).to(device)
            graph.weights = torch.from_numpy(found.weights).to(device)

    def loss(self, batch: Batch) -> StepOutput:
        """KL divergence, and the distance to the answers on neighbors."""
        logits = self.model.head(*joint_features(self.model, batch.images))
        kl = divergence(logits, batch.targets)
        if not self.settings.graphs or batch.rows is None:
            return StepOutput(kl, {"kl": kl.detach()})
        rows, q = batch.rows, full(logits).softmax(dim=1)
        self.kept.get(batch, lambda: Answers(rows, q.detach()))
        apart = q.new_zeros(())
        for graph in self.graphs:
            assert isinstance(graph, Graph)
            last = self.answers.values[graph.neighbors[rows]]
            apart = apart + neighbor_distance(q, last, graph.weights[rows])
        loss = kl + self.settings.weight * apart
        return StepOutput(loss, {"kl": kl.detach(), "neighbors": apart.detach()})

    def after_step(self) -> None:
        """Remember the answers of the step."""
        for found in self.kept:
            self.answers.values[found.rows] = found.q
        self.kept.clear()
