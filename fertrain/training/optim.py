"""Optimizers by name, learning rates by step, SAM, and the moving average of the weights.

SAM takes the gradient at the worst point within ρ (Foret et al., 2021). The average, not the weights that learn, is
evaluated and kept: w̄ ← d w̄ + (1 − d) w with d = min(decay, (1 + t) / (10 + t)) after step t, which soon forgets the
start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..config.run import OptimConfig
from ..errors import UnknownNameError
from ..methods import Phase, StepOutput

Closure = Callable[[], StepOutput]
"""Computes the loss of the current batch and its gradients."""

OPTIMIZERS = ("adamw", "adam", "sgd", "sam")
SCHEDULES = ("cosine", "one-cycle", "constant", "steps")
_WARM_UP = 0.05
_ONE_CYCLE_RISE, _ONE_CYCLE_START = 0.3, 1 / 25  # Smith & Topin, 2018, with the defaults of torch and fastai


def optimizer_for(module: nn.Module, phase: Phase, config: OptimConfig) -> torch.optim.Optimizer:
    """The optimizer of a phase; biases and normalization layers are not decayed."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if phase.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=phase.lr, fused=True)
    if phase.optimizer in ("adam", "sam"):
        return torch.optim.Adam(groups, lr=phase.lr, fused=True)
    if phase.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=phase.lr, momentum=config.momentum, dampening=config.dampening)
    raise UnknownNameError("optimizer", phase.optimizer, OPTIMIZERS)


def rate_at(step: int, steps_per_epoch: int, phase: Phase, config: OptimConfig) -> float:
    """Learning rate of a step, counted from the phase's start."""
    if config.schedule == "constant" or (config.schedule == "steps" and not config.steps):
        return phase.lr
    if config.schedule == "steps":
        # the rates are those of a phase that runs at `lr`; one that runs at a share of it takes that share of them
        share = phase.lr / config.lr if config.lr else 1.0
        last = 0
        for epochs, rate in config.steps:
            last += epochs * steps_per_epoch
            if step < last:
                return share * rate
        return share * config.steps[-1][1]
    if config.schedule == "one-cycle":
        total = max(1, phase.epochs * steps_per_epoch)
        rise = max(1, round(_ONE_CYCLE_RISE * total))
        if step < rise:
            part = 0.5 * (1 - math.cos(math.pi * (step + 1) / rise))
            return phase.lr * (_ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * part)
        return phase.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
    if config.schedule == "cosine":
        total = max(1, phase.epochs * steps_per_epoch)
        warm = max(1, round(_WARM_UP * total))
        if step < warm:
            return phase.lr * (step + 1) / warm
        return phase.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
    raise UnknownNameError("schedule", config.schedule, SCHEDULES)


class Stepper:
    """One step of an optimizer; for SAM (Foret et al., 2021) the gradient is taken at the worst point nearby."""

    def __init__(self, optimizer: torch.optim.Optimizer, module: nn.Module, *, sam_rho: float | None) -> None:
        self.optimizer, self.module, self.sam_rho = optimizer, module, sam_rho

    def __call__(self, closure: Closure, rate: float) -> StepOutput:
        """Move the weights once; returns what the first look at the batch said."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        output = closure()
        if self.sam_rho is not None:
            with self._climbed(self.sam_rho), _statistics_kept(self.module):
                self.optimizer.zero_grad()
                closure()
        self.optimizer.step()
        return output

    @contextmanager
    def _climbed(self, rho: float) -> Iterator[None]:
        """Weights at w + ρ g/‖g‖; back at w, with the gradients found up there, afterwards."""
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


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch normalization works on the batch but does not count it a second time."""
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


class EMA:
    """The moving average of a module's weights and running statistics; does nothing with decay 0."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.steps = module, decay, 0
        self.state: dict[str, Tensor] = (
            {k: v.detach().clone() for k, v in module.state_dict().items()} if decay > 0 else {}
        )

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        if not self.state:
            return
        self.steps += 1
        d = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - d)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module holds the average inside, and what it learned again afterwards."""
        if not self.state:
            yield
            return
        own = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.module.load_state_dict(self.state)
        try:
            yield
        finally:
            self.module.load_state_dict(own)
