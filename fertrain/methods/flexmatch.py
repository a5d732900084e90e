"""FlexMatch (Zhang et al., NeurIPS 2021): a threshold for each class, lower where fewer guesses are confident.

σ_c = number of images whose last confident guess (max q > τ) is c                            equation (5)
β_c = σ_c / max( max_c σ_c, N − Σ_c σ_c )                                                     equation (11)
w_b = 1( max q_b ≥ τ β_c / (2 − β_c) ), c = argmax q_b                                        equation (12)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config.run import RunConfig
from ..losses.pseudo_label import curriculum_thresholds
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .base import Phase
from .guessing import Guesses, Guessing
from .memory import NONE, ClassMemory


class FlexMatch(Guessing):
    """The memory holds the last confident guess of every unlabeled image."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        s = self.settings = config.flexmatch
        self.memory = ClassMemory()
        super().__init__("flexmatch", model, config, scheme, s.ratio, s.weight, self.memory)

    def begin(self, phase: Phase) -> None:
        """Start without confident guesses."""
        super().begin(phase)
        self.memory.reset(phase.unlabeled_images)

    def weights(self, q: Tensor) -> Tensor:
        """Equation (12)."""
        confidence, guess = q.max(dim=1)
        known = self.memory.classes
        counts = torch.bincount(known[known != NONE], minlength=self.model.classes)
        return (confidence >= curriculum_thresholds(counts, len(known), self.settings.threshold)[guess]).float()

    def take(self, found: Guesses) -> None:
        """Remember the confident guesses."""
        confidence, guess = found.q.max(dim=1)
        self.memory.take(found.rows, torch.where(confidence >= self.settings.threshold, guess, NONE))
