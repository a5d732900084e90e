"""MixMatch (Berthelot et al., NeurIPS 2019): guesses are averaged, sharpened, and mixed with labels.

    q  = Sharpen( (1/K) Σ_k p(weak_k(u)), T )                                            equations (6), (7), no gradient
    X', U' = MixUp of all images with all images, λ' = max(λ, 1 − λ), λ ~ Beta(α, α)     equations (8) to (11)
    L  = CE on X' + λ_U (1 / KU) Σ ‖q − p‖² on U'                                        equations (3) to (5)

λ_U rises from 0. Everything mixed is passed in one batch, where the authors interleave.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config.run import RunConfig
from ..losses.pseudo_label import risen, sharpen, squared
from ..losses.supervised import Scheme
from ..models.classifier import Recogniser
from ..transforms.mixup import mixup
from .base import Batch, StepOutput, Unlabelled, Views
from .semi_supervised import Beside, refuse_multi_label, said_of


class MixMatch(Beside[Tensor]):
    """K weak views of each unlabelled image."""

    def __init__(self, model: Recogniser, config: RunConfig, scheme: Scheme) -> None:
        refuse_multi_label("mixmatch", scheme)
        self.settings = config.mixmatch
        super().__init__(
            "mixmatch",
            model,
            config,
            scheme,
            Views(self.settings.ratio, weak=self.settings.guesses, again=self.settings.guesses),
        )

    def both(self, batch: Batch, unlabelled: Unlabelled) -> StepOutput:
        """Equations (2) to (5)."""
        s, n = self.settings, len(batch.images)
        q = self.kept.get(batch, lambda: self._guess(unlabelled))
        x, y = mixup(
            torch.cat([batch.images, *unlabelled.weak]), torch.cat([batch.targets, *([q] * len(unlabelled.weak))]),
            torch.Generator().manual_seed(batch.seed), s.alpha, nearest=True,
        )  # fmt: skip
        logits = self.model(x)
        ce = self.scheme.loss(logits[:n], y[:n])
        guessed = squared(logits[n:], y[n:])
        weight = s.weight * risen(batch.step, s.rise)
        return StepOutput(ce + weight * guessed, {"ce": ce.item(), "guessed": guessed.item()})

    def _guess(self, unlabelled: Unlabelled) -> Tensor:
        """Equations (6) and (7): (U, K)."""
        said = [said_of(self.model, view).softmax(dim=1) for view in unlabelled.weak]
        return sharpen(torch.stack(said).mean(dim=0), self.settings.temperature)
