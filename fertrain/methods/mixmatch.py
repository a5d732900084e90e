"""MixMatch (Berthelot et al., NeurIPS 2019): guesses are averaged, sharpened, and mixed with labels.

    q  = Sharpen( (1/K) Σ_k p(weak_k(u)), T )                                            equations (6), (7), no gradient
    X', U' = MixUp of all images with all images, λ' = max(λ, 1 − λ), λ ~ Beta(α, α)     equations (8) to (11)
    L  = CE on X' + λ_U (1 / KU) Σ ‖q − p‖² on U'                                        equations (3) to (5)

λ_U rises from 0. All mixed images pass as one batch; the authors interleave several.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .. import ranks
from ..config.run import RunConfig
from ..losses.pseudo_label import brier, ramp_up, sharpen
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from ..transforms.mixup import mixup
from .base import Batch, StepOutput, Unlabeled, Views
from .joint import joint_features
from .semi_supervised import SemiSupervised, predict_with_batch_stats, refuse_multi_label


class MixMatch(SemiSupervised[Tensor]):
    """K weak views of each unlabeled image."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        refuse_multi_label("mixmatch", scheme)
        self.settings = config.mixmatch
        super().__init__(
            "mixmatch",
            model,
            config,
            scheme,
            Views(self.settings.ratio, weak=self.settings.guesses, again=self.settings.guesses),
        )

    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Equations (2) to (5)."""
        s, n = self.settings, len(batch.targets)
        q = self.kept.get(batch, lambda: self._guess(unlabeled))
        x, y = mixup(
            torch.cat(ranks.gathered([batch.images, *unlabeled.weak])),
            torch.cat([batch.targets, *([q] * len(unlabeled.weak))]),
            torch.Generator().manual_seed(batch.seed), s.alpha, nearest=True,
        )  # fmt: skip
        logits = self.model.head(*joint_features(self.model, ranks.mine(x), totals=[len(x)]))
        ce = self.scheme.loss(logits[:n], y[:n])
        guessed = brier(logits[n:], y[n:])
        weight = s.weight * ramp_up(batch.step, s.rise)
        return StepOutput(ce + weight * guessed, {"ce": ce.detach(), "guessed": guessed.detach()})

    def _guess(self, unlabeled: Unlabeled) -> Tensor:
        """Equations (6) and (7): (U, K)."""
        said = [predict_with_batch_stats(self.model, view).softmax(dim=1) for view in unlabeled.weak]
        return sharpen(torch.stack(said).mean(dim=0), self.settings.temperature)
