"""Accuracy on corrupted pictures, seven kinds at five strengths (after Hendrycks & Dietterich, 2019).

Noise, JPEG, brightness, contrast and pixelate have the strengths of ImageNet-C; the blur has those of CIFAR-10-C,
relative to the side of the picture (there 32 px), because ImageNet-C's leave small pictures as they are. Occlusion is
ours: a gray square at a random place. Pictures are corrupted at the size of the network's input; the same seed gives
the same corruption of each picture, whatever the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rmset.progress import Progress, silent

from ..datasets.base import Split
from ..datasets.images import Allocate, Images, fresh
from ..labels import permutation
from ..models.classifier import Classifier
from ..models.inference import logits
from ..transforms.input_spec import InputSpec

Picture = npt.NDArray[np.uint8]
"""uint8 (S, S, C), RGB or gray"""
STRENGTHS = 5


def gaussian_noise(x: Picture, strength: int, rng: np.random.Generator) -> Picture:
    """Add normal noise."""
    sigma = (0.08, 0.12, 0.18, 0.26, 0.38)[strength]
    return _bytes(x / 255 + rng.normal(0, sigma, x.shape))


def blur(x: Picture, strength: int, rng: np.random.Generator) -> Picture:  # noqa: ARG001
    """Blur by a Gaussian."""
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[strength] * x.shape[0] / 32
    return _shaped(cv2.GaussianBlur(x, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), x)


def jpeg(x: Picture, strength: int, rng: np.random.Generator) -> Picture:  # noqa: ARG001
    """Encode as JPEG and decode."""
    quality = (25, 18, 15, 10, 7)[strength]
    data = cv2.imencode(".jpg", x[:, :, ::-1] if x.shape[2] == 3 else x, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    flag = cv2.IMREAD_COLOR_RGB if x.shape[2] == 3 else cv2.IMREAD_GRAYSCALE
    return _shaped(np.asarray(cv2.imdecode(data, flag)), x)


def brightness(x: Picture, strength: int, rng: np.random.Generator) -> Picture:  # noqa: ARG001
    """Raise the value of HSV."""
    more = (0.1, 0.2, 0.3, 0.4, 0.5)[strength]
    if x.shape[2] == 1:
        return _bytes(x / 255 + more)
    hsv = cv2.cvtColor(x.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[:, :, 2] = np.clip(hsv[:, :, 2] + more, 0, 1)
    return _bytes(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32))


def contrast(x: Picture, strength: int, rng: np.random.Generator) -> Picture:  # noqa: ARG001
    """Shrink the distance from each channel's mean."""
    share = (0.4, 0.3, 0.2, 0.1, 0.05)[strength]
    mean = x.mean(axis=(0, 1), keepdims=True) / 255
    return _bytes((x / 255 - mean) * share + mean)


def pixelate(x: Picture, strength: int, rng: np.random.Generator) -> Picture:  # noqa: ARG001
    """Shrink by area averaging, and enlarge without interpolation."""
    side = max(1, int(x.shape[0] * (0.6, 0.5, 0.4, 0.3, 0.25)[strength]))
    small = cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA)
    return _shaped(cv2.resize(small, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_NEAREST), x)


def occlusion(x: Picture, strength: int, rng: np.random.Generator) -> Picture:
    """Cover a square with gray."""
    side = round(x.shape[0] * (0.2, 0.3, 0.4, 0.5, 0.6)[strength])
    top, left = (int(v) for v in rng.integers(0, x.shape[0] - side + 1, 2))
    covered = x.copy()
    covered[top : top + side, left : left + side] = 128
    return covered


Corruption = Callable[[Picture, int, np.random.Generator], Picture]
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian noise": gaussian_noise, "blur": blur, "jpeg": jpeg, "brightness": brightness, "contrast": contrast,
    "pixelate": pixelate, "occlusion": occlusion,
}  # fmt: skip


def _bytes(x: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(x * 255), 0, 255), dtype=np.uint8)


def _shaped(found: npt.NDArray[Any], x: Picture) -> Picture:
    """Give a gray picture its channel back, which OpenCV drops."""
    return np.asarray(found, dtype=np.uint8).reshape(x.shape)


class Corrupted:
    """Images with one corruption at one strength."""

    def __init__(self, images: Images, kind: str, strength: int, seed: int = 0) -> None:
        self._images, self._kind, self._strength, self._seed = images, kind, strength, seed

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def read(self, rows: Sequence[int], allocate: Allocate = fresh) -> Tensor:
        """Return the corrupted images of these rows."""
        found = self._images.read(rows, allocate)
        number = list(CORRUPTIONS).index(self._kind)
        for k, row in enumerate(rows):
            rng = np.random.default_rng([self._seed, 41, number, self._strength, int(row)])
            x = np.ascontiguousarray(found[k].numpy().transpose(1, 2, 0))
            corrupted = CORRUPTIONS[self._kind](x, self._strength, rng)
            found[k] = torch.from_numpy(np.ascontiguousarray(corrupted.transpose(2, 0, 1)))
        return found


def corruption_rows(
    model: Classifier, labels: tuple[str, ...], spec: InputSpec, split: Split, images: Images, *, most: int = 1000,
    seed: int = 0, progress: Progress = silent,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return one row per kind, worst first: n, accuracy clean, its mean over the strengths, and at each strength.

    Args:
        model: network of a run.
        labels: class of each output.
        spec: what the model expects.
        split: names and true labels.
        images: the split's pixels, in its order.
        most: images used, a seeded draw.
        seed: of the draw, the noise and the places of the squares.
        progress: progress callback.
    """
    columns = permutation(labels, split.order.classes)
    chosen = np.sort(np.random.default_rng([seed, 40]).permutation(len(split))[:most])
    truth, rows = split.classes[chosen], chosen.tolist()

    def accuracy(of: Images) -> float:
        found = logits(model, of, spec, rows=rows)[:, columns].argmax(dim=1).numpy()
        return round(float((found == truth).mean()), 6)

    clean, result = accuracy(images), []
    for done, kind in enumerate(CORRUPTIONS, start=1):
        shares = [accuracy(Corrupted(images, kind, strength, seed)) for strength in range(STRENGTHS)]
        result.append({
            "corruption": kind, "n": len(rows), "clean": clean, "accuracy": round(float(np.mean(shares)), 6),
            **{f"strength_{k + 1}": share for k, share in enumerate(shares)},
        })  # fmt: skip
        progress("corrupt pictures", done, len(CORRUPTIONS))
    return sorted(result, key=lambda row: (row["accuracy"], row["corruption"]))
