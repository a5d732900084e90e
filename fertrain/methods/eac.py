"""EAC (Zhang et al., ECCV 2022): a noisy label is remembered by a part of the face; erased views must attend alike.

    x  = erase(x_i),  x' = flip of another erased view                          views = "each"; "same": x' = flip(x)
    L  = CE(p(x), y) + λ mean (M(x) − Flip(M(x')))²                             equations (2) to (5)

M is the class activation of every class. Only the view that is not mirrored learns the label (the paper's imbalanced
framework). Both views pass together here, so batch normalization sees one batch; the authors pass them one by one.
"""

from __future__ import annotations

from torch import Generator, Tensor

from .. import ranks
from ..config.run import RunConfig
from ..losses.label_noise import flip_consistency
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from ..transforms.augment import erase
from ..transforms.draws import seeded
from .base import Batch, StepOutput
from .class_attention import ClassAttention
from .labels_only import LabelsOnly, output


class Eac(LabelsOnly):
    """An erased view and a mirrored erased view of each image."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings = config.eac
        super().__init__("eac", model, config, scheme, passes=2)
        self.attention = ClassAttention(model, "eac", config.model.image_size)

    def loss(self, batch: Batch) -> StepOutput:
        """Equation (5)."""
        one, two = self.views(batch)
        logits, maps = self.attention(one, two)
        a, b = maps.chunk(2)
        ce = self.scheme.loss(logits[: len(batch.targets)], batch.targets)
        return output(ce, self.settings.weight, "attention", flip_consistency(a, b))

    def views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Draw both views; SAM's second pass draws the same."""
        x, generator = batch.images, seeded(batch.seed, ranks.share(len(batch.targets)), len(batch.targets))
        one = self._erased(x, generator)
        two = one if self.settings.views == "same" else self._erased(x, generator)
        return one, two.flip(-1)

    def _erased(self, x: Tensor, generator: Generator) -> Tensor:
        if self.settings.erased <= 0.02:
            return x
        # 0 after normalization: the mean
        return erase(x, generator, largest=self.settings.erased, value=0.0)
