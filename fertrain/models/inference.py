"""Batch-independent inference in eval mode: logits of many images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from rmset.progress import Progress, silent

from .. import ranks
from ..datasets.images import Images, batches
from ..transforms.input_spec import InputSpec, Moments
from .classifier import Classifier

_MOMENTS_SAMPLE = 2048


@contextmanager
def eval_mode(module: nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """Turn off dropout, batch statistics and, by default, gradients; restore each submodule's mode afterwards.

    Modes are saved per submodule, because part of a network may be frozen while the rest trains.
    """
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.set_grad_enabled(gradients):
            yield
    finally:
        for m, training in modes:
            m.training = training
        # Autocast caches cast weights until its block ends. Those cast here have no graph, and torch 2.9 would reuse
        # them in training within the same block: silently without gradient (pytorch/pytorch#112583, fixed in
        # #165068). Outside of autocast there is nothing to clear.
        torch.clear_autocast_cache()


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch normalization unchanged."""
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def logits(
    model: nn.Module,
    images: Images,
    spec: InputSpec,
    *,
    rows: Sequence[int] | None = None,
    batch_size: int = 256,
    workers: int = 0,
    progress: Progress = silent,
    shared: bool = False,
) -> Tensor:
    """Compute logits, float32 (N, K) on the CPU, in the order of `rows` (all if None).

    With `shared` every process of a data-parallel run computes some of the batches, and all of them get all logits.
    """
    chosen = list(range(len(images)) if rows is None else rows)
    parts = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    if shared and ranks.count() > 1:
        own = [
            (k, logits(model, images, spec, rows=parts[k], batch_size=batch_size, workers=workers))
            for k in range(ranks.index(), len(parts), ranks.count())
        ]
        found = dict(part for each in ranks.of_all(own) for part in each)
        return torch.cat([found[k] for k in range(len(parts))]) if parts else torch.empty(0, 0)
    device = next(model.parameters()).device
    out: list[Tensor] = []
    done = 0
    with eval_mode(model):
        for pixels in batches(images, parts, workers):
            x = spec.prepare(pixels.to(device))
            answer: Tensor = model.test_logits(x) if isinstance(model, Classifier) else model(x)
            out.append(answer.float().cpu())
            done += len(pixels)
            progress("predict", done, len(chosen))
    return torch.cat(out) if out else torch.empty(0, 0)


def channel_stats(images: Images, spec: InputSpec) -> Moments:
    """Mean and std of each channel over an evenly spaced sample of the images, prepared by the spec."""
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), _MOMENTS_SAMPLE)).round().astype(np.int64))
    total, squares, count = torch.zeros(spec.channels), torch.zeros(spec.channels), 0
    for start in range(0, len(rows), 256):
        x = spec.to_float(images.read(rows[start : start + 256].tolist())).double()
        total = total + x.sum(dim=(0, 2, 3))
        squares = squares + x.pow(2).sum(dim=(0, 2, 3))
        count += x.numel() // spec.channels
    mean = total / count
    std = (squares / count - mean**2).clamp_min(1e-8).sqrt()
    # four digits, as in papers, keep the spec readable
    return Moments(tuple(round(v, 4) for v in mean.tolist()), tuple(max(round(v, 4), 1e-4) for v in std.tolist()))
