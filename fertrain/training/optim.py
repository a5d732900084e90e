"""Optimizers by name, learning rates by step, SAM, and the moving average of the weights.

SAM takes the gradient at the worst point within ρ (Foret et al., 2021). With averaging, the average is evaluated and
saved instead of the trained weights: w̄ ← d w̄ + (1 − d) w with d = min(decay, (1 + t) / (10 + t)) after step t, so
early weights are soon forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..config.run import OptimConfig
from ..methods import Phase, StepOutput
from ..models.inference import frozen_statistics

Closure = Callable[[], StepOutput]
"""Closure that computes the loss of the current batch and its gradients."""

_WARM_UP = 0.05
_ONE_CYCLE_RISE, _ONE_CYCLE_START = 0.3, 1 / 25  # Smith & Topin, 2018, with the defaults of torch and fastai

Groups = list[dict[str, Any]]


def _adamw(groups: Groups, lr: float, config: OptimConfig) -> torch.optim.Optimizer:  # noqa: ARG001
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def _adam(groups: Groups, lr: float, config: OptimConfig) -> torch.optim.Optimizer:  # noqa: ARG001
    return torch.optim.Adam(groups, lr=lr, fused=True)


def _sgd(groups: Groups, lr: float, config: OptimConfig) -> torch.optim.Optimizer:
    # on processors the fused one rounds otherwise than earlier versions did
    on_gpu = any(p.is_cuda for group in groups for p in group["params"])
    return torch.optim.SGD(
        groups, lr=lr, momentum=config.momentum, dampening=config.dampening, fused=True if on_gpu else None
    )


OPTIMIZERS = {"adamw": _adamw, "adam": _adam, "sgd": _sgd, "sam": _adam}
"""Optimizers by name; `sam` is Adam with the second pass of `Stepper`."""


def optimizer_for(module: nn.Module, phase: Phase, config: OptimConfig) -> torch.optim.Optimizer:
    """Make the optimizer of a phase; biases and normalization layers are not decayed."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups: Groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[phase.optimizer](groups, phase.lr, config)


Schedule = Callable[[int, int, float], float]
"""(step, steps of the whole phase, highest rate) -> learning rate."""


def _constant(step: int, total: int, highest: float) -> float:  # noqa: ARG001
    return highest


def _cosine(step: int, total: int, highest: float) -> float:
    warm = max(1, round(_WARM_UP * total))
    return highest * (step + 1) / warm if step < warm else highest * _half_wave((step - warm) / max(1, total - warm))


def _one_cycle(step: int, total: int, highest: float) -> float:
    rise = max(1, round(_ONE_CYCLE_RISE * total))
    if step < rise:
        part = 0.5 * (1 - math.cos(math.pi * (step + 1) / rise))
        return highest * (_ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * part)
    return highest * _half_wave((step - rise) / max(1, total - rise))


def _half_wave(x: float) -> float:
    """Cosine from 1 to 0 for x in [0, 1]."""
    return 0.5 * (1 + math.cos(math.pi * x))


def rate_at(step: int, steps_per_epoch: int, phase: Phase, config: OptimConfig) -> float:
    """Learning rate of a step, counted from the phase's start."""
    if config.schedule == "steps" and config.steps:
        # the rates are for a phase with rate `lr`; a phase with a share of `lr` takes that share of them
        share = phase.lr / config.lr if config.lr else 1.0
        return share * _piece(step, steps_per_epoch, config)
    return SCHEDULES[config.schedule](step, max(1, phase.epochs * steps_per_epoch), phase.lr)


def _piece(step: int, steps_per_epoch: int, config: OptimConfig) -> float:
    last = 0
    for epochs, rate in config.steps:
        last += epochs * steps_per_epoch
        if step < last:
            return rate
    return config.steps[-1][1]


SCHEDULES: dict[str, Schedule] = {
    "cosine": _cosine, "one-cycle": _one_cycle, "constant": _constant, "steps": _constant,
}  # fmt: skip
"""Schedules by name; `steps` without steps is constant."""


class Stepper:
    """One step of an optimizer; for SAM (Foret et al., 2021) the gradient is taken at the worst point nearby."""

    def __init__(self, optimizer: torch.optim.Optimizer, module: nn.Module, *, sam_rho: float | None) -> None:
        self.optimizer, self.module, self.sam_rho = optimizer, module, sam_rho

    def __call__(self, closure: Closure, rate: float) -> StepOutput:
        """Update the weights once; returns the loss of the first pass."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        output = closure()
        if self.sam_rho is not None:
            with self._climbed(self.sam_rho), frozen_statistics(self.module):
                self.optimizer.zero_grad()
                closure()
        self.optimizer.step()
        return output

    @contextmanager
    def _climbed(self, rho: float) -> Iterator[None]:
        """Move the weights to w + ρ g/‖g‖ for the body; then restore w, with the gradients of that point."""
        moved = [p for p in self.module.parameters() if p.grad is not None]
        with torch.no_grad():
            norm = torch.stack([_norm(p) for p in moved]).norm() + 1e-12
            before = [p.detach().clone() for p in moved]
            for p in moved:
                if p.grad is not None:
                    p.add_(p.grad * (rho / norm))
        try:
            yield
        finally:
            with torch.no_grad():
                for p, w in zip(moved, before, strict=True):
                    p.copy_(w)


def _norm(p: Tensor) -> Tensor:
    return p.grad.norm() if p.grad is not None else p.new_zeros(())


class EMA:
    """The moving average of a module's weights and running statistics; does nothing with decay 0."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.steps = module, decay, 0
        self.state: dict[str, Tensor] = (
            {k: v.detach().clone() for k, v in module.state_dict().items()} if decay > 0 else {}
        )

    @torch.no_grad()
    def update(self) -> None:
        """Add the weights after a step to the average."""
        if not self.state:
            return
        self.steps += 1
        d = min(self.decay, (1 + self.steps) / (10 + self.steps))
        now = self.module.state_dict()
        moving = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[name] for name in moving], [now[name] for name in moving], 1 - d)
        for name in now.keys() - set(moving):
            self.state[name].copy_(now[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the average in the module for the body; then restore its own weights."""
        if not self.state:
            yield
            return
        own = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.module.load_state_dict(self.state)
        try:
            yield
        finally:
            self.module.load_state_dict(own)
