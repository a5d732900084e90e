"""Augmentations of torchvision, made to draw from an explicit generator: RandAugment and random erasing.

torchvision draws from torch's global generator. Here it is seeded for each image out of the generator given, and
put back afterwards, so that a batch comes out the same however it was decoded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor


def randaugment(x: Tensor, generator: Generator) -> Tensor:
    """Two of torchvision's operations at magnitude 9 on each image (Cubuk et al., 2020), by their defaults."""
    from torchvision.transforms import v2

    coloured = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
    pixels = (coloured * 255).round().to(torch.uint8)
    return _each(v2.RandAugment(), pixels, generator)[:, : x.shape[1]].to(x.dtype) / 255


def erasing(x: Tensor, generator: Generator) -> Tensor:
    """A rectangle of half of the images becomes grey (Zhong et al., 2020), 2 to 33 % of their area."""
    from torchvision.transforms import v2

    # mid-grey rather than black: it lies near the mean, so that what is covered says nothing
    return _each(v2.RandomErasing(p=0.5, value=0.5), x, generator)


def _each(transform: Any, x: Tensor, generator: Generator) -> Tensor:
    seeds = torch.randint(2**62, (len(x),), generator=generator).tolist()
    with torch.random.fork_rng(devices=[]):
        out = []
        for image, seed in zip(x, seeds, strict=True):
            # not torch.manual_seed, which also reseeds every other device: slow, and nobody would put those back
            torch.default_generator.manual_seed(seed)
            out.append(transform(image))
    return torch.stack(out)
