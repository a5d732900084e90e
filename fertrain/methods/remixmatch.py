"""ReMixMatch (Berthelot et al., ICLR 2020): MixMatch with aligned guesses, strong views, and turned images.

    q  = Sharpen( Normalize( p(weak(u)) · p(y) / p̃(y) ), T )         distribution alignment, section 3.1, no gradient
    X', U' = MixUp of labeled images, K strong views and the weak   augmentation anchoring, section 3.2
    L  = H(X') + λ_U H(U') + λ_Û1 H(q, p(strong_1(u))) + λ_r H(r, p_rot(Turn(strong_1(u), r)))      section 3.3

p(y) and p̃(y) are means over the last 128 batches, of labels and of guesses (the authors' p(y) is the known
distribution of the labels). With balanced batches p(y) is uniform; if the unlabeled images are not, alignment
moves guesses toward their rare classes. λ_U and λ_Û1 rise from 0. Strong views use the run's setting (`strong`) instead
of CTAugment, and labeled images are augmented weakly, so that all methods see the same images. The weak view is mixed
among the strong ones, as in the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import ranks
from ..config.run import RunConfig
from ..losses.precision import full
from ..losses.pseudo_label import align_distribution, cross_entropy, ramp_up, sharpen, turned
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from ..transforms.mixup import mixup
from .base import Batch, StepOutput, Unlabeled, Views
from .joint import joint_features
from .semi_supervised import SemiSupervised, predict_with_batch_stats, refuse_multi_label

BATCHES = 128


class Shares(nn.Module):
    """Mean class shares of labels and of guesses over the last 128 steps; even at the start. Saved with the run."""

    labels: Tensor
    guesses: Tensor
    at: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("labels", torch.full((BATCHES, classes), 1 / classes))
        self.register_buffer("guesses", torch.full((BATCHES, classes), 1 / classes))
        self.register_buffer("at", torch.zeros((), dtype=torch.int64))

    def take(self, labels: Tensor, guesses: Tensor) -> None:
        """Replace the oldest shares by those of one batch (K,)."""
        # the place stays on the device: reading it would wait for the step
        row = (self.at % BATCHES).view(1)
        self.labels[row], self.guesses[row] = labels.to(self.labels), guesses.to(self.guesses)
        self.at += 1


@dataclass(frozen=True)
class Guess:
    """Per-batch cache."""

    q: Tensor
    """(U, K) aligned and sharpened."""
    raw: Tensor
    """(K,) mean of the guesses before alignment."""
    labels: Tensor
    """(K,) mean of the targets."""


class ReMixMatch(SemiSupervised[Guess]):
    """One weak and K strong views of each unlabeled image, and a second head that predicts the rotation."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        refuse_multi_label("remixmatch", scheme)
        self.settings = config.remixmatch
        # the weak view gives the guess and is mixed; the first strong view passes mixed, unchanged, and rotated
        views = Views(self.settings.ratio, weak=1, strong=self.settings.views, again=3)
        super().__init__("remixmatch", model, config, scheme, views)
        self.turns = nn.Linear(model.dim, 4)
        self.shares = Shares(model.classes)
        self.module = nn.ModuleDict({"model": model, "turns": self.turns, "shares": self.shares})

    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Section 3.3."""
        s, n = self.settings, len(batch.targets)
        q = self.kept.get(batch, lambda: self._guess(batch, unlabeled)).q
        generator = torch.Generator().manual_seed(batch.seed)
        labeled, *views = ranks.gathered([batch.images, unlabeled.weak[0], *unlabeled.strong])
        mixed, y = mixup(
            torch.cat([labeled, *views]), torch.cat([batch.targets, *([q] * len(views))]), generator, s.alpha,
            nearest=True,
        )  # fmt: skip
        first = views[1]
        turned_images, quarters = turned(first, generator)
        passed = (mixed, first, turned_images)
        f_mixed, f_first, f_turned = joint_features(
            self.model, *map(ranks.mine, passed), totals=[len(part) for part in passed]
        )
        logits = self.model.head(f_mixed)
        ce = self.scheme.loss(logits[:n], y[:n])
        guessed = cross_entropy(logits[n:], y[n:])
        unmixed = cross_entropy(self.model.head(f_first), q)
        rotation = nn.functional.cross_entropy(full(self.turns(f_turned)), quarters)
        loss = ce + ramp_up(batch.step, s.rise) * (s.weight * guessed + s.unmixed_weight * unmixed)
        parts = {"ce": ce, "guessed": guessed, "unmixed": unmixed, "rotation": rotation}
        logs = {name: part.detach() for name, part in parts.items()}
        return StepOutput(loss + s.rotation_weight * rotation, logs)

    def _guess(self, batch: Batch, unlabeled: Unlabeled) -> Guess:
        p = predict_with_batch_stats(self.model, unlabeled.weak[0]).softmax(dim=1)
        q = align_distribution(p, self.shares.labels.mean(dim=0), self.shares.guesses.mean(dim=0))
        return Guess(sharpen(q, self.settings.temperature), p.mean(dim=0), batch.targets.mean(dim=0))

    def after_step(self) -> None:
        """Add the step's shares, once."""
        for guess in self.kept:
            self.shares.take(guess.labels, guess.raw)
        super().after_step()
