"""SCN (Wang et al., CVPR 2020): importance of each image, ranked in the batch; doubtful labels are changed.

    α = σ(w_a f),  L_WCE = CE(α · f_FER(f), y)                                   equations (1), (2)
    L_RR = max(0, δ₁ − (mean α of the high group − mean α of the low group))     equation (3)
    L = L_WCE + w L_RR                                                           equation (4), w = 1 is γ = 0.5
    y' = argmax P if max P − P_y > δ₂, for images of the low group               equation (5), from an epoch on

P is the softmax of the weighted logits, as in the authors' code. A changed label lasts: the next epochs start from it.
The authors' code also changes labels in the high group; the paper, and this code, do not. At test f_FER runs without
α, which does not change the predicted class.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..config.run import RunConfig
from ..losses.label_noise import importance_groups, rank_regularization, relabeled
from ..losses.precision import full
from ..losses.supervised import Scheme, ml, smoothed
from ..models.classifier import Classifier
from .base import Batch, Phase, StepCache, StepOutput
from .joint import joint_features
from .labels_only import LabelsOnly
from .memory import NONE, ClassMemory


@dataclass(frozen=True)
class Changes:
    """Per-batch cache."""

    rows: Tensor
    """(B,)."""
    classes: Tensor
    """(B,) new class, or −1."""


class Scn(LabelsOnly):
    """A second head for the importance, and a memory of changed labels."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        if scheme.loss is ml or config.mix != "none":
            found = "ml" if scheme.loss is ml else config.mix
            raise UsageError(f"expected one class per image for scn, which changes labels, found {found}")
        self.settings, self.smoothing = config.scn, config.optim.label_smoothing
        super().__init__("scn", model, config, scheme)
        self.importance = nn.Linear(model.dim, 1)
        self.changed = ClassMemory()
        self.module = nn.ModuleDict({"model": model, "importance": self.importance, "changed": self.changed})
        self.kept: StepCache[Changes] = StepCache()

    def begin(self, phase: Phase) -> None:
        """Start from the given labels."""
        self.kept.clear()
        self.changed.reset(phase.labeled_images)

    def loss(self, batch: Batch) -> StepOutput:
        """Equation (4)."""
        s = self.settings
        (f,) = joint_features(self.model, batch.images)
        alpha = torch.sigmoid(full(self.importance(f)))
        logits = alpha * full(self.model.head(f))
        targets = self.targets(batch)
        ce = self.scheme.loss(logits, targets)
        rank = rank_regularization(alpha.squeeze(1), s.high, s.rank_margin)
        found = self.kept.get(batch, lambda: self._changes(batch, logits, alpha, targets))
        shares = {"relabeled": (found.classes != NONE).float().mean()}
        return StepOutput(ce + s.rank_weight * rank, {"ce": ce.detach(), "rank": rank.detach()}, shares)

    def targets(self, batch: Batch) -> Tensor:
        """Targets (B, K), with changed labels in place of the given ones."""
        if batch.rows is None:
            return batch.targets
        classes = self.changed.classes[batch.rows]
        own = nn.functional.one_hot(classes.clamp_min(0), self.model.classes).to(batch.targets)
        return torch.where((classes == NONE).unsqueeze(1), batch.targets, smoothed(own, self.smoothing))

    def _changes(self, batch: Batch, logits: Tensor, alpha: Tensor, targets: Tensor) -> Changes:
        if batch.rows is None or batch.epoch < self.settings.relabel_after:
            nothing = torch.full((len(targets),), NONE, device=targets.device)
            return Changes(nothing if batch.rows is None else batch.rows, nothing)
        _, low = importance_groups(alpha.squeeze(1), self.settings.high)
        return Changes(batch.rows, relabeled(logits, targets.argmax(dim=1), low, self.settings.relabel_margin))

    def after_step(self) -> None:
        """Change the labels that were found doubtful."""
        for found in self.kept:
            self.changed.take(found.rows, found.classes)
        self.kept.clear()
