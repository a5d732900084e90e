"""UDA (Xie et al., NeurIPS 2020): sharpened guessed distributions are soft targets for strong views.

    q = p(u)                                                                                        no gradient
    L = CE(p(x), y) + λ (1/U) Σ 1(max q > β) KL(softmax(logits(u) / τ) ‖ p(strong(u)))

Training signal annealing (off by default, as in the authors' script for 4,000 labels) leaves out labeled images
whose class is already more probable than η_t, which rises from 1/K to 1. It replaces the scheme's loss by
cross-entropy with the targets. The authors guess on the unaugmented image, this code on the weak view.
"""

from __future__ import annotations

from torch import Tensor

from ..config.run import RunConfig
from ..errors import UnknownNameError
from ..losses.pseudo_label import ANNEALING, annealed, annealed_threshold, sharpened_divergence
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, StepOutput, Unlabeled, Views
from .joint import joint_features
from .semi_supervised import SemiSupervised, predict_with_batch_stats


class Uda(SemiSupervised[Tensor]):
    """One weak and one strong view of each unlabeled image."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.uda
        if self.settings.tsa not in ANNEALING:
            raise UnknownNameError("training signal annealing", self.settings.tsa, ANNEALING)
        super().__init__("uda", model, config, scheme, Views(self.settings.ratio, weak=1, strong=1))

    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Cross-entropy on labels and divergence on guesses."""
        s = self.settings
        weak = self.kept.get(batch, lambda: predict_with_batch_stats(self.model, unlabeled.weak[0]))
        x, strong = joint_features(self.model, batch.images, unlabeled.strong[0])
        logits = self.model.head(x)
        if s.tsa == "none":
            ce = self.scheme.loss(logits, batch.targets)
        else:
            ce = annealed(logits, batch.targets, annealed_threshold(batch.done, self.model.classes, s.tsa))
        guessed, counted = sharpened_divergence(self.model.head(strong), weak, s.temperature, s.threshold)
        logs = {"ce": ce.detach(), "guessed": guessed.detach()}
        return StepOutput(ce + s.weight * guessed, logs, {"counted": counted.float().mean()})
