"""Augmentation of whole batches: float (B, C, S, S) in [0, 1] in, the same out, from an explicit generator.

All random numbers come from that generator on the CPU, so augmentation is the same on every device and with any
number of workers. RandAugment, AutoAugment and random erasing are torchvision's. They draw from torch's global
generator, which is seeded for each image from the given generator and restored afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from ..devices import constant, to_device
from ..errors import UnknownNameError
from .draws import draw_rows

Augmentation = Callable[[Tensor, Generator], Tensor]


@dataclass(frozen=True)
class AffineRange:
    """Ranges of affine augmentation; the defaults are those of the FERPlus tools."""

    shift: float = 0.08
    """Largest shift, as a share of the image's side."""
    scale: float = 1.05
    """Largest scale; width and height are scaled independently, between its inverse and itself."""
    rotation: float = 20.0
    """Largest rotation, degrees."""
    skew: float = 0.05
    """Largest horizontal shear."""


@dataclass(frozen=True)
class JitterRange:
    """Ranges of color jitter; the defaults are those of the RMFER authors' code."""

    brightness: float = 0.25
    """Factor in 1 ± this."""
    contrast: float = 0.25
    """Factor in 1 ± this."""
    saturation: float = 0.25
    """Factor in 1 ± this."""
    hue: float = 0.125
    """Hue shift in ± this, as a share of the color circle."""


def none(x: Tensor, generator: Generator) -> Tensor:  # noqa: ARG001 - all augmentations are called alike
    """Return the batch itself."""
    return x


def flip(x: Tensor, generator: Generator) -> Tensor:
    """Mirror each image with probability ½."""
    chosen = draw_rows(len(x), generator, lambda n: torch.rand(n, generator=generator)) < 0.5
    chosen = to_device(chosen, x.device)
    return torch.where(chosen.view(-1, 1, 1, 1), x.flip(-1), x)


def affine_matrices(n: int, generator: Generator, ranges: AffineRange) -> Tensor:
    """Draw maps from output to input coordinates in [-1, 1]: (n, 2, 3)."""
    draw = draw_rows(n, generator, lambda n: torch.rand(n, 6, generator=generator)) * 2 - 1
    angle = draw[:, 0] * math.radians(ranges.rotation)
    sx, sy = ranges.scale ** draw[:, 1], ranges.scale ** draw[:, 2]
    skew = draw[:, 3] * ranges.skew
    cos, sin = torch.cos(angle), torch.sin(angle)
    linear = torch.stack([cos * sx, (skew * cos - sin) * sy, sin * sx, (skew * sin + cos) * sy], dim=1)
    # coordinates span 2, so a shift of `shift` sides is twice that
    return torch.cat([linear.view(n, 2, 2), (draw[:, 4:] * 2 * ranges.shift).view(n, 2, 1)], dim=2)


def affine(x: Tensor, generator: Generator, ranges: AffineRange | None = None) -> Tensor:
    """Shift, scale, rotation and skew, then a mirror image with probability ½ (FERPlus); borders repeat."""
    theta = to_device(affine_matrices(len(x), generator, ranges or AffineRange()), x.device).to(x.dtype)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return flip(moved, generator)


def crop(x: Tensor, generator: Generator, least: float = 0.2) -> Tensor:
    """Crop a square of `least` to all of the area, resize it to the old size, and mirror it with probability ½.

    Essential for SimCLR, MoCo, BYOL and SimSiam on photographs (MoCo: 20 % at least; SimCLR 8 %). A part of a face may
    not show its expression, so cropping is off by default.
    """
    draw = draw_rows(len(x), generator, lambda n: torch.rand(n, 3, generator=generator))
    side = (least + (1 - least) * draw[:, 0]).sqrt()
    # coordinates span 2: a square of this side has room to move by ± (1 − side)
    shift = (draw[:, 1:] * 2 - 1) * (1 - side).unsqueeze(1)
    linear = torch.eye(2) * side.view(-1, 1, 1)
    theta = to_device(torch.cat([linear, shift.unsqueeze(2)], dim=2), x.device).to(x.dtype)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return flip(F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False), generator)


def grayed(x: Tensor) -> Tensor:
    """Remove color but keep the channels; images of one channel are already gray."""
    if x.shape[1] == 1:
        return x
    luma = constant((0.299, 0.587, 0.114), x.device, x.dtype).view(1, 3, 1, 1)
    return (x * luma).sum(dim=1, keepdim=True).expand_as(x)


def jitter(x: Tensor, generator: Generator, ranges: JitterRange | None = None) -> Tensor:
    """Brightness, contrast, saturation and hue, each image by its own factors, in this order.

    The hue is turned in the YIQ plane, which is linear and so runs on a batch; torchvision turns it in HSV.
    """
    r, n = ranges or JitterRange(), len(x)
    draw = draw_rows(n, generator, lambda n: torch.rand(n, 4, generator=generator)) * 2 - 1
    brightness, contrast, saturation = (
        to_device(1 + draw[:, k] * strength, x.device).to(x.dtype).view(n, 1, 1, 1)
        for k, strength in enumerate((r.brightness, r.contrast, r.saturation))
    )
    x = (x * brightness).clamp(0, 1)
    middle = grayed(x).mean(dim=(1, 2, 3), keepdim=True)
    x = (middle + (x - middle) * contrast).clamp(0, 1)
    if x.shape[1] == 1:
        return x
    gray = grayed(x)
    x = (gray + (x - gray) * saturation).clamp(0, 1)
    return _turn_hue(x, draw[:, 3] * r.hue * 2 * math.pi)


def _turn_hue(x: Tensor, angle: Tensor) -> Tensor:
    """Rotate each image's colors by an angle (n,), radians, around the gray axis."""
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    turn = torch.zeros(len(x), 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -torch.sin(angle), torch.sin(angle)
    matrix = to_device(torch.linalg.inv(to_yiq) @ turn @ to_yiq, x.device).to(x.dtype)
    return torch.einsum("nij,njhw->nihw", matrix, x).clamp(0, 1)


def one_of(x: Tensor, generator: Generator) -> Tensor:
    """One of grayscale, flip and color jitter for each image (RMFER authors' code)."""
    choice = draw_rows(len(x), generator, lambda n: torch.randint(3, (n,), generator=generator))
    choice = to_device(choice, x.device).view(-1, 1, 1, 1)
    jittered = jitter(x, generator)
    return torch.where(choice == 0, grayed(x), torch.where(choice == 1, x.flip(-1), jittered))


def randaugment(x: Tensor, generator: Generator) -> Tensor:
    """Two of torchvision's operations at magnitude 9 on each image (Cubuk et al., 2020), by their defaults."""
    from torchvision.transforms import v2

    return _colored(v2.RandAugment(), x, generator)


def autoaugment(x: Tensor, generator: Generator) -> Tensor:
    """One of torchvision's 25 learned pairs of operations on each image (Cubuk et al., 2019), found on ImageNet."""
    from torchvision.transforms import v2

    return _colored(v2.AutoAugment(), x, generator)


def erasing(x: Tensor, generator: Generator) -> Tensor:
    """Make a rectangle of half of the images gray (Zhong et al., 2020), 2 to 33 % of their area."""
    # mid-gray rather than black: near the mean, it carries no information
    return erase(x, generator, largest=0.33, value=0.5)


def erase(x: Tensor, generator: Generator, *, largest: float, value: float) -> Tensor:
    """Fill a rectangle of half of the images with a value: 2 % to `largest` of their area (torchvision's)."""
    from torchvision.transforms import v2

    return _each(v2.RandomErasing(p=0.5, scale=(0.02, largest), value=value), x, generator)


def _colored(transform: Any, x: Tensor, generator: Generator) -> Tensor:
    """Run a transform of uint8 RGB images on each image."""
    colored = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
    pixels = (colored * 255).round().to(torch.uint8)
    return _each(transform, pixels, generator)[:, : x.shape[1]].to(x.dtype) / 255


def _each(transform: Any, x: Tensor, generator: Generator) -> Tensor:
    seeds = draw_rows(len(x), generator, lambda n: torch.randint(2**62, (n,), generator=generator)).tolist()
    with torch.random.fork_rng(devices=[]):
        out = []
        for image, seed in zip(x, seeds, strict=True):
            # not torch.manual_seed: it also reseeds every other device, which is slow and would not be undone
            torch.default_generator.manual_seed(seed)
            out.append(transform(image))
    return torch.stack(out)


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": none,
    "flip": flip,
    "affine": affine,
    "crop": crop,
    "one-of": one_of,
    "randaugment": randaugment,
    "autoaugment": autoaugment,
    "erasing": erasing,
}
"""Augmentations by name."""


def augmentation(name: str) -> Augmentation:
    """Look up an augmentation, or a chain of several: "affine+erasing"."""
    parts = [part.strip() for part in name.split("+")]
    for part in parts:
        if part not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", part, AUGMENTATIONS)
    chosen = [AUGMENTATIONS[part] for part in parts]

    def in_turn(x: Tensor, generator: Generator) -> Tensor:
        for step in chosen:
            x = step(x, generator)
        return x

    return chosen[0] if len(chosen) == 1 else in_turn
