"""Estimated time of a run, from a few steps of each phase on random pixels."""

from __future__ import annotations

import time

import torch

from ...config.run import RunConfig
from ...losses.supervised import SCHEMES
from ...methods import METHODS, AnchorBatch, Batch, Phase
from ...models.factory import build
from ...training.loop import accelerator_for
from ...training.optim import Stepper, optimizer_for

_STEPS = 3


def seconds_per_run(config: RunConfig, classes: int) -> float:
    """Measure some steps of every phase, and return the seconds of all steps of a run.

    Loading, evaluation and report are not counted. Anchors are taken to have as many candidates as may be drawn.

    Args:
        config: settings, with `optim.epoch_steps`.
        classes: of the labeled set.
    """
    model = build(config.model.name, classes, config.model.image_size)
    accelerator = accelerator_for(config.device, config.precision, depthwise=model.depthwise)
    method = METHODS[config.method](model, config, SCHEMES[config.data.scheme])
    method.module.to(accelerator.device)
    method.module.train()
    size, most = config.model.image_size, config.rmfer.max_candidates
    total = 0.0
    for phase in method.phases:
        if phase.epochs == 0:
            continue
        method.begin(phase)
        stepper = Stepper(accelerator.prepare(optimizer_for(method.module, phase, config.optim)), method.module,
                          sam_rho=config.optim.sam_rho if phase.optimizer == "sam" else None)  # fmt: skip
        batch = _batch(phase, config.optim.batch_size, classes, size, model.channels, most, accelerator.device)

        def look(batch: Batch = batch) -> object:
            with accelerator.autocast():
                output = method.loss(batch)
            accelerator.backward(output.loss)
            return output

        for step in range(1 + _STEPS):
            if step == 1:
                began = time.perf_counter()
            stepper(look, 0.0)  # type: ignore[arg-type]
            method.after_step()
        total += (time.perf_counter() - began) / _STEPS * phase.epochs * (config.optim.epoch_steps or 1)
    return total


def _batch(
    phase: Phase, n: int, classes: int, size: int, channels: int, most: int, device: torch.device
) -> Batch:  # fmt: skip
    def noise(n: int) -> torch.Tensor:
        return torch.rand(n, channels, size, size, device=device).contiguous(memory_format=torch.channels_last)

    targets = torch.full((n, classes), 1 / classes, device=device)
    return Batch(noise(n), targets, tuple(AnchorBatch(noise(1 + 2 * most), most) for _ in range(phase.anchors)))
