"""Labels only: the loss of the voting scheme, one phase. The baseline of all other methods."""

from __future__ import annotations

from ..config.run import RunConfig
from ..losses.supervised import Scheme, cosine
from ..models.classifier import Classifier
from ..models.label_embedding import SCALE, EmbeddingHead
from .base import Batch, Phase, StepOutput, epochs_of
from .joint import joint_features


class Supervised:
    """Cross-entropy under MV, PLD and CEL; the multi-label loss under ML."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.model = self.module = model
        self.scheme = scheme
        (epochs,) = epochs_of(("supervised",), config.optim.epochs)
        self.phases = (Phase("supervised", epochs, config.optim.lr, config.optim.optimizer),)

    def begin(self, phase: Phase) -> None:
        """Nothing to prepare."""

    def loss(self, batch: Batch) -> StepOutput:
        """Compute the scheme's loss of f_FER(f), or the cosine loss if the head predicts words."""
        logits = self.model.head(*joint_features(self.model, batch.images))
        if isinstance(self.model.head, EmbeddingHead):
            return StepOutput(cosine(logits / SCALE, batch.targets))
        return StepOutput(self.scheme.loss(logits, batch.targets))

    def after_step(self) -> None:
        """Nothing follows a step."""
