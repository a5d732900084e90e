"""SoftMatch (Chen et al., ICLR 2023): every guess counts, by a Gaussian below the mean confidence.

    μ ← m μ + (1 − m) mean max q',  σ² ← m σ² + (1 − m) var max q'                                 equations (6), (7)
    q' = Norm( q / p̃ ), p̃ ← m p̃ + (1 − m) mean q                                                  uniform alignment, (8)
    w_b = 1 if max q'_b ≥ μ, else exp( −(max q'_b − μ)² / (2 σ² / n²) )                           equation (5)

Aligned guesses give the weights alone; the target is argmax q. The authors' code narrows the Gaussian by n = 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.pseudo_label import align_distribution, truncated_gaussian
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .guessing import Guesses, Guessing


@dataclass(frozen=True)
class State:
    """Moving averages, and the confidences of the batch that they include."""

    shares: Tensor
    """p̃, (K,)."""
    mean: Tensor
    """μ, scalar."""
    variance: Tensor
    """σ², scalar."""
    confidence: Tensor
    """max q', (U,)."""


class Confidence(nn.Module):
    """p̃, μ and σ²; saved with the run."""

    shares: Tensor
    mean: Tensor
    variance: Tensor
    begun: Tensor

    def __init__(self, classes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.register_buffer("mean", torch.tensor(1 / classes))
        self.register_buffer("variance", torch.tensor(1.0))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def after(self, q: Tensor) -> State:
        """Averages with one more batch (U, K); p̃ begins as the first batch's."""
        rate = 1 - self.momentum
        shares = torch.where(self.begun, self.shares.lerp(q.mean(dim=0), rate), q.mean(dim=0))
        confidence = align_distribution(q, torch.full_like(shares, 1 / len(shares)), shares).amax(dim=1)
        variance = confidence.var() if len(q) > 1 else torch.zeros_like(self.variance)
        mean = self.mean.lerp(confidence.mean(), rate)
        return State(shares, mean, self.variance.lerp(variance, rate), confidence)

    def take(self, q: Tensor) -> None:
        """Add one batch."""
        state = self.after(q)
        self.shares.copy_(state.shares)
        self.mean.copy_(state.mean)
        self.variance.copy_(state.variance)
        self.begun.fill_(value=True)


class SoftMatch(Guessing):
    """As many guesses as possible, the doubtful ones with less weight."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.softmatch
        self.confidence = Confidence(model.classes, s.momentum)
        super().__init__("softmatch", model, config, scheme, s.ratio, s.weight, self.confidence)

    def weights(self, q: Tensor) -> Tensor:
        """Equation (5)."""
        state = self.confidence.after(q)
        return truncated_gaussian(state.confidence, state.mean, state.variance / self.settings.narrow**2)

    def take(self, found: Guesses) -> None:
        """Add the step's guesses to the averages."""
        self.confidence.take(found.q)
