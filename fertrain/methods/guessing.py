"""Base of FlexMatch, FreeMatch and SoftMatch: FixMatch with other weights of the guesses, from what was guessed before.

    q = p(weak(u))                                                                                  no gradient
    L = CE(p(weak(x)), y) + λ (1/U) Σ w_b H(argmax q_b, p(strong(u_b)))

A subclass gives the weights w, and a module that measures the guesses; its state is saved with the run.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from ..config.run import RunConfig
from ..losses.pseudo_label import weighted_cross_entropy
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Batch, StepOutput, Unlabeled, Views
from .joint import joint_features
from .semi_supervised import SemiSupervised, predict_with_batch_stats


@dataclass(frozen=True)
class Guesses:
    """Per-batch cache."""

    q: Tensor
    """(U, K)."""
    weights: Tensor
    """(U,)."""
    rows: Tensor
    """(U,)."""


class Guessing(SemiSupervised[Guesses]):
    """One weak and one strong view of each unlabeled image."""

    def __init__(
        self, name: str, model: Classifier, config: RunConfig, scheme: Scheme, ratio: int, weight: float,
        measures: nn.Module,
    ) -> None:  # fmt: skip
        super().__init__(name, model, config, scheme, Views(ratio, weak=1, strong=1))
        self.weight = weight
        self.module = nn.ModuleDict({"model": model, "measures": measures})

    def both(self, batch: Batch, unlabeled: Unlabeled) -> StepOutput:
        """Compute cross-entropy on labels and on weighted guesses."""
        found = self.kept.get(batch, lambda: self._guess(unlabeled))
        x, strong = joint_features(self.model, batch.images, unlabeled.strong[0])
        ce = self.scheme.loss(self.model.head(x), batch.targets)
        logits = self.model.head(strong)
        guessed = weighted_cross_entropy(logits, found.q, found.weights)
        logs = {"ce": ce.detach(), "guessed": guessed.detach()}
        more, name = self.beside(logits, found)
        if name:
            logs[name] = more.detach()
        return StepOutput(ce + self.weight * guessed + more, logs, {"counted": found.weights.mean().detach()})

    def _guess(self, unlabeled: Unlabeled) -> Guesses:
        q = predict_with_batch_stats(self.model, unlabeled.weak[0]).softmax(dim=1)
        rows = unlabeled.rows
        assert rows is not None
        return Guesses(q, self.weights(q), rows)

    @abstractmethod
    def weights(self, q: Tensor) -> Tensor:
        """Weight of each guess (U,), without changing what was measured."""

    def beside(self, logits: Tensor, found: Guesses) -> tuple[Tensor, str]:  # noqa: ARG002 - FreeMatch has one
        """Compute a further term and its name; none by default."""
        return logits.new_zeros(()), ""

    @abstractmethod
    def take(self, found: Guesses) -> None:
        """Measure the guesses of a step."""

    def after_step(self) -> None:
        """Measure the guesses of the step, once."""
        for found in self.kept:
            self.take(found)
        super().after_step()
