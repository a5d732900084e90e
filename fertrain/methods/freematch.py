"""FreeMatch (Wang et al., ICLR 2023): thresholds from the confidence so far, and fairness between classes.

    τ ← m τ + (1 − m) mean max q,  p̃ ← m p̃ + (1 − m) mean q,  h̃ ← m h̃ + (1 − m) hist argmax q    equations (5), (6), (9)
    w_b = 1( max q_b ≥ τ p̃_c / max p̃ ), c = argmax q_b                                            equations (7), (8)
    L_f = Σ_c Norm(p̃ / h̃)_c log Norm(p̄ / h̄)_c                                                    equation (11)

p̄ and h̄ are mean and histogram of the predictions on the strong views that count. The averages include the step's own
guesses, as in the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.pseudo_label import fairness
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .guessing import Guesses, Guessing


@dataclass(frozen=True)
class State:
    """Moving averages."""

    confidence: Tensor
    """τ, scalar."""
    shares: Tensor
    """p̃, (K,)."""
    guessed: Tensor
    """h̃, (K,)."""


class Averages(nn.Module):
    """τ, p̃ and h̃; saved with the run."""

    confidence: Tensor
    shares: Tensor
    guessed: Tensor

    def __init__(self, classes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("confidence", torch.tensor(1 / classes))
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.register_buffer("guessed", torch.full((classes,), 1 / classes))

    def after(self, q: Tensor) -> State:
        """Averages with one more batch (U, K)."""
        confidence, guess = q.max(dim=1)
        histogram = torch.bincount(guess, minlength=q.shape[1]) / len(q)
        rate = 1 - self.momentum
        return State(
            self.confidence.lerp(confidence.mean(), rate),
            self.shares.lerp(q.mean(dim=0), rate),
            self.guessed.lerp(histogram.to(q), rate),
        )

    def take(self, q: Tensor) -> None:
        """Add one batch."""
        state = self.after(q)
        self.confidence.copy_(state.confidence)
        self.shares.copy_(state.shares)
        self.guessed.copy_(state.guessed)


class FreeMatch(Guessing):
    """No threshold to choose."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.freematch
        self.averages = Averages(model.classes, s.momentum)
        super().__init__("freematch", model, config, scheme, s.ratio, s.weight, self.averages)

    def weights(self, q: Tensor) -> Tensor:
        """Equation (8)."""
        state = self.averages.after(q)
        confidence, guess = q.max(dim=1)
        return (confidence >= (state.confidence * state.shares / state.shares.max())[guess]).float()

    def beside(self, logits: Tensor, found: Guesses) -> tuple[Tensor, str]:
        """Equation (11)."""
        state = self.averages.after(found.q)
        return self.settings.fairness_weight * fairness(
            logits[found.weights > 0], state.shares, state.guessed
        ), "fairness"

    def take(self, found: Guesses) -> None:
        """Add the step's guesses to the averages."""
        self.averages.take(found.q)
