"""Input of a network: size, channels, mean, std and preprocessing. It is stored with the weights.

`ferplus` is the preprocessing of the official FERPlus tools, image by image:

1. histogram equalization to 256 levels
2. subtraction of a plane a·x + b·y + c fitted by least squares (uneven light)
3. division by the standard deviation
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from rmset.bounded import parse_json

from ..devices import constant, to_device
from ..errors import WeightsError

# ITU-R BT.601, as OpenCV and Pillow turn color into gray
_LUMA = (0.299, 0.587, 0.114)
AS_LABELED = "as labelled"
"""Pre-cropped data; crop method unknown."""

_LARGEST = 4096
"""Side of the largest input, px."""
_WIDENED = re.compile(r"widened (\d+(?:\.\d+)?(?:e[+-]\d+)?)")


def widened(share: float) -> str:
    """Name the crop of `rmset.parts.cropping.cut`, wider than the face's box by this share of its width."""
    return f"widened {share:g}"


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel, measured on a data set; values in [0, 1]."""

    mean: tuple[float, ...]
    """One per channel, red first."""
    std: tuple[float, ...]
    """One per channel, red first."""


@dataclass(frozen=True)
class InputSpec:
    """Conversion from uint8 pixels to network input: `prepare` applies it, `normalize` is its last step."""

    size: int
    """Height and width, px."""
    channels: int
    """Channels of the network: 3 (RGB) or 1 (gray)."""
    mean: tuple[float, ...]
    """Subtracted per channel, in [0, 1]."""
    std: tuple[float, ...]
    """Divided by, per channel."""
    gray: bool = False
    """Whether images are converted to gray (repeated over three channels if the network has three)."""
    order: str = "RGB"
    """Channel order of color images; the only supported one."""
    crop: str = AS_LABELED
    """Crop of the training faces: `as labelled`, or `widened 0.31` after `datasets align`."""
    preprocess: str = "none"
    """`none`, or `ferplus`, which replaces mean and std."""

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 1 <= self.size <= _LARGEST:
            raise WeightsError(f"expected an input of 1 to {_LARGEST} px, found {str(self.size)[:80]}")
        if not all(type(v) in (int, float) and math.isfinite(v) for v in (*self.mean, *self.std)) or not all(
            v > 0 for v in self.std
        ):
            raise WeightsError(f"expected finite means and positive stds, found {self.mean} and {self.std}")
        if self.channels not in (1, 3) or len(self.mean) != self.channels or len(self.std) != self.channels:
            raise WeightsError(
                f"expected 1 or 3 channels with one mean and std each, found {self.channels} channels, "
                f"{len(self.mean)} means, {len(self.std)} stds"
            )
        if self.preprocess not in ("none", "ferplus"):
            raise WeightsError(f"expected preprocessing none or ferplus, found '{self.preprocess}'")
        if self.order != "RGB":
            raise WeightsError(
                f"expected the channel order RGB, found '{self.order}'; turn the input channels of the network's first "
                "layer round, and say RGB"
            )
        if self.crop != AS_LABELED and not _WIDENED.fullmatch(self.crop):
            raise WeightsError(f"expected the crop '{AS_LABELED}' or '{widened(0.31)}', found '{self.crop}'")
        if self.channels == 1 and not self.gray:
            raise WeightsError("expected a network of one channel to take gray images, found gray = false")

    @property
    def widen(self) -> float | None:
        """Margin of the crops around the face's box, as a share of its width; None if unknown."""
        found = _WIDENED.fullmatch(self.crop)
        return float(found[1]) if found else None

    @property
    def stored_channels(self) -> int:
        """Channels of the decoded images: gray images are stored with one channel, not three."""
        return 1 if self.gray else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, S, S) of a decoded image."""
        return (self.stored_channels, self.size, self.size)

    def with_moments(self, moments: Moments) -> InputSpec:
        """Return the same spec for another stream of images, which has its own mean and std."""
        return replace(self, mean=moments.mean, std=moments.std)

    def to_float(self, pixels: Tensor, *, spread: bool = True) -> Tensor:
        """uint8 (n, C, S, S) -> float32 (n, channels, S, S) in [0, 1], gray if the spec says so.

        Without `spread` a gray image keeps its one channel, so augmentation costs a third; `normalize` repeats it.
        """
        if pixels.dtype != torch.uint8 or pixels.shape[1] not in (1, 3) or pixels.shape[2:] != (self.size, self.size):
            raise WeightsError(
                f"expected uint8 images of {self.size}×{self.size} px, found {pixels.dtype} {tuple(pixels.shape)}"
            )
        x = pixels.float().div_(255)
        if self.gray and x.shape[1] == 3:
            x = (x * constant(_LUMA, x.device, x.dtype).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        # not `expand`: the channels would share memory, and augmentation writes in place
        return x.repeat(1, self.channels, 1, 1) if spread and x.shape[1] != self.channels else x

    def normalize(self, x: Tensor) -> Tensor:
        """Float (n, channels or 1, S, S) in [0, 1] -> (n, channels, S, S), zero mean and unit spread, channels last."""
        if self.preprocess == "ferplus":
            even = ferplus(x).expand(-1, self.channels, -1, -1)
            return even.contiguous(memory_format=torch.channels_last)
        shape = (1, self.channels, 1, 1)
        mean, std = (constant(tuple(v), x.device, x.dtype).view(shape) for v in (self.mean, self.std))
        normal = (x - mean) / std
        return normal.contiguous(memory_format=torch.channels_last)

    def prepare(self, pixels: Tensor) -> Tensor:
        """uint8 (n, C, S, S) -> the network's input, without augmentation."""
        return self.normalize(self.to_float(pixels))

    def to_json(self) -> str:
        """Return the spec as metadata of a weights file; `gray` is spelled `grey` there, as in the first version."""
        return json.dumps({"grey" if k == "gray" else k: v for k, v in asdict(self).items()})

    @classmethod
    def from_json(cls, text: str) -> InputSpec:
        """Read a spec from the metadata of a weights file."""
        try:
            values = {"gray" if k == "grey" else k: v for k, v in parse_json(text, "input").items()}
            return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(
                f"expected an input spec in the weights' metadata, found {text[:200]!r}: {str(error)[:200]}"
            ) from None


LEVELS = 256


def ferplus(x: Tensor) -> Tensor:
    """Float (n, C, S, S) in [0, 1] -> the same shape, mean 0 and spread 1 in each channel of each image."""
    flat = leveled(x)
    basis, inverse = _plane(x.shape[2], x.shape[3])
    basis, inverse = (to_device(part, flat.device).to(flat.dtype) for part in (basis, inverse))
    n, c, height, width = x.shape
    rows = flat.view(n * c, height * width)
    rest = rows - rows @ inverse.T @ basis.T
    # a uniform picture has no spread; it stays uniform
    spread = rest.std(dim=1, correction=0, keepdim=True).clamp_min(1e-3)
    return (rest / spread).view(n, c, height, width)


def leveled(x: Tensor) -> Tensor:
    """Histogram equalization: each value becomes the share of pixels that are no brighter. (n, C, H, W) in [0, 1]."""
    n, c = x.shape[:2]
    level = (x.clamp(0, 1) * (LEVELS - 1)).round().long().view(n * c, -1)
    histogram = torch.zeros(n * c, LEVELS, device=x.device).scatter_add_(
        1, level, torch.ones_like(level, dtype=torch.float32)
    )
    shares = histogram.cumsum(dim=1) / level.shape[1]
    return shares.gather(1, level).view(x.shape).to(torch.float32)


@lru_cache(maxsize=8)
def _plane(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Columns x, y, 1 for every pixel (H·W, 3), and their pseudo-inverse (3, H·W)."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    basis = torch.stack([x.reshape(-1), y.reshape(-1), torch.ones(height * width)], dim=1)
    return basis, torch.linalg.pinv(basis)
