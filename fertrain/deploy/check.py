"""Equality of an exported file with torch, and the loss by int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..transforms.input_spec import InputSpec
from .formats import Runner

TOLERANCE = 1e-4
"""Largest difference of a logit (relative to the largest logit if that is above 1) or of a probability."""
IMAGES = 100
"""Images compared with torch."""

Pictures = npt.NDArray[np.uint8]


def made_pictures(spec: InputSpec, count: int = IMAGES, seed: int = 0) -> Pictures:
    """Random smooth pictures, (N, C, S, S): for a check without data."""
    rng = np.random.default_rng([seed, 31])
    coarse = rng.integers(0, 256, (count, spec.stored_channels, 8, 8), dtype=np.uint8)
    large = [[cv2.resize(plane, (spec.size, spec.size), interpolation=cv2.INTER_CUBIC) for plane in c] for c in coarse]
    return np.asarray(large, dtype=np.uint8)


def difference(mine: Runner, theirs: Runner, images: Pictures) -> float:
    """Largest difference of logits and probabilities of two runners."""
    (a, p), (b, q) = mine(images), theirs(images)
    scale = max(1.0, float(np.abs(a).max(initial=0)))
    return max(float(np.abs(a - b).max(initial=0)) / scale, float(np.abs(p - q).max(initial=0)))


@dataclass(frozen=True)
class Loss:
    """What int8 costs on images that did not set its ranges."""

    images: int
    source: str
    """Which images."""
    agreement: float
    """Share of them with the same class as in float."""
    mean_difference: float
    """Mean of |p − p_int8| over images and classes."""
    accuracy: float
    """Share that is right, in float."""
    accuracy_int8: float
    """Share that is right, in int8."""

    def to_json(self) -> dict[str, Any]:
        """As in the file's metadata."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in vars(self).items()}

    def __str__(self) -> str:
        return (
            f"int8 changes accuracy by {self.accuracy_int8 - self.accuracy:+.2%} ({self.accuracy:.2%} to "
            f"{self.accuracy_int8:.2%}) and agrees with float on {self.agreement:.2%} of {self.images:,} images of "
            f"{self.source}"
        )


def loss(float_run: Runner, int8_run: Runner, images: Pictures, classes: npt.NDArray[np.int64], source: str) -> Loss:
    """Measure the loss by int8.

    Args:
        float_run: the file in float.
        int8_run: the file in int8.
        images: (N, C, S, S).
        classes: (N,) true classes, in the order of the outputs.
        source: which images these are.
    """
    (a, p), (b, q) = float_run(images), int8_run(images)
    mine, theirs = a.argmax(axis=1), b.argmax(axis=1)
    return Loss(
        len(images), source, float((mine == theirs).mean()), float(np.abs(p - q).mean()),
        float((mine == classes).mean()), float((theirs == classes).mean()),
    )  # fmt: skip
