"""Ada-CM (Li et al., CVPR 2022): a confidence margin for each expression, and a contrast for what stays below it.

    p̄   = ( p(weak_1(u)) + p(weak_2(u)) ) / 2                                                       no gradient
    T_c  = max( 0.8, β / (1 + e^{−epoch}) · mean confidence of the recognized labeled images of c )  after each epoch
    L    = λ₁ CE(p(x), y) + λ₂ (1/U) Σ 1(max p̄ ≥ T_{argmax p̄}) H(argmax p̄, p(strong(u)))
           + λ₃ NT-Xent( f(weak_1(u)), f(weak_2(u)) ) over the u below their margin

The authors measure confidences in an extra pass of the averaged network over the labeled images after each epoch; here
they come from the epoch's own steps, at no cost and on the same images. As in their code the contrast uses unit
features; without labels their loss equals NT-Xent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.contrastive import nt_xent
from ..losses.precision import full
from ..losses.pseudo_label import adapted_margins, confident_cross_entropy, recognized
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, Phase, StepOutput, Unlabeled, Views
from .joint import joint_features
from .semi_supervised import SemiSupervised


class Margins(nn.Module):
    """Margins by class, and the sums for the next margins. Saved with the run."""

    current: Tensor
    confidence: Tensor
    counts: Tensor
    epoch: Tensor

    def __init__(self, classes: int, start: float) -> None:
        super().__init__()
        self.register_buffer("current", torch.full((classes,), start))
        self.register_buffer("confidence", torch.zeros(classes))
        self.register_buffer("counts", torch.zeros(classes))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        self._seen: int | None = None

    def restart(self, margin: float) -> None:
        """Set every margin to its minimum."""
        self.current.fill_(margin)
        self._seen = None

    def take(self, confidence: Tensor, counts: Tensor) -> None:
        """Add the correctly classified images of one batch: (K,) and (K,)."""
        self.confidence += confidence
        self.counts += counts

    def turn(self, epoch: int, beta: float, least: float) -> None:
        """Adapt the margins at the first batch of an epoch; do nothing at any other."""
        if epoch == self._seen:
            return
        # read once an epoch, because reading waits for the device
        self._seen = epoch
        if epoch == int(self.epoch):
            return
        self.current.copy_(adapted_margins(self.confidence, self.counts, epoch, beta, least))
        self.confidence.zero_()
        self.counts.zero_()
        self.epoch.fill_(epoch)


@dataclass(frozen=True)
class Seen:
    """Per-batch cache."""

    guess: Tensor
    """(U, K) p̄."""
    confidence: Tensor
    """(K,) confidences of the correctly classified labeled images, summed."""
    counts: Tensor
    """(K,) number of these images."""


class AdaCm(SemiSupervised[Seen]):
    """Two weak views and a strong one of each unlabeled image."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.ada_cm
        super().__init__("ada-cm", model, config, scheme, Views(self.settings.ratio, weak=2, strong=1))
        self.margins = Margins(model.classes, self.settings.margin)
        self.module = nn.ModuleDict({"model": model, "margins": self.margins})

    def begin(self, phase: Phase) -> None:
        """Set every margin to its minimum."""
        super().begin(phase)
        self.margins.restart(self.settings.margin)

    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Sum the three terms."""
        s, head = self.settings, self.model.head
        self.margins.turn(batch.epoch, s.beta, s.margin)
        x, one, two, strong = joint_features(self.model, batch.images, *unlabeled.weak, unlabeled.strong[0])
        logits = head(x)
        seen = self.kept.get(batch, lambda: _found(logits, batch.targets, head(one), head(two)))
        ce = self.scheme.loss(logits, batch.targets)
        guessed, counted = confident_cross_entropy(head(strong), seen.guess, self.margins.current)
        below = ~counted
        contrast = nt_xent(one[below], two[below], s.tau) if below.any() else ce.new_zeros(())
        loss = s.labeled_weight * ce + s.confident_weight * guessed + s.contrast_weight * contrast
        logs = {"ce": ce.detach(), "guessed": guessed.detach(), "contrast": contrast.detach()}
        shares = {"counted": counted.float().mean(), "margin": self.margins.current.mean().detach()}
        return StepOutput(loss, logs, shares)

    def after_step(self) -> None:
        """Add the step's confidences, once."""
        for seen in self.kept:
            self.margins.take(seen.confidence, seen.counts)
        super().after_step()


def _found(logits: Tensor, targets: Tensor, one: Tensor, two: Tensor) -> Seen:
    guess = (full(one.detach()).softmax(dim=1) + full(two.detach()).softmax(dim=1)) / 2
    return Seen(guess, *recognized(logits, targets))
