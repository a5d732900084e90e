"""FixMatch (Sohn et al., NeurIPS 2020): confident guesses on weak views are targets for strong views.

q = p(weak(u))                                                                                  no gradient
L = CE(p(weak(x)), y) + λ_u (1/μB) Σ 1(max q ≥ τ) H(argmax q, p(strong(u)))                     equations (3), (4)
"""

from __future__ import annotations

from torch import Tensor

from ..config.run import RunConfig
from ..losses.pseudo_label import confident_cross_entropy
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, StepOutput, Unlabeled, Views
from .joint import joint_features
from .semi_supervised import SemiSupervised, predict_with_batch_stats


class FixMatch(SemiSupervised[Tensor]):
    """One weak and one strong view of each unlabeled image."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.fixmatch
        super().__init__("fixmatch", model, config, scheme, Views(self.settings.ratio, weak=1, strong=1))

    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Equations (3) and (4)."""
        q = self.kept.get(batch, lambda: predict_with_batch_stats(self.model, unlabeled.weak[0]).softmax(dim=1))
        x, strong = joint_features(self.model, batch.images, unlabeled.strong[0])
        ce = self.scheme.loss(self.model.head(x), batch.targets)
        guessed, counted = confident_cross_entropy(self.model.head(strong), q, self.settings.threshold)
        logs = {"ce": ce.detach(), "guessed": guessed.detach()}
        return StepOutput(ce + self.settings.weight * guessed, logs, {"counted": counted.float().mean()})
