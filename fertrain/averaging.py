"""Exponential moving average of weights: what is judged and kept is the average, what learns is not.

w̄ ← d w̄ + (1 − d) w,   d = min(decay, (1 + t) / (10 + t)) after step t, so that the start is soon forgotten
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
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
        """The module holds the average inside, and what it learnt again afterwards."""
        if not self.state:
            yield
            return
        own = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.module.load_state_dict(self.state)
        try:
            yield
        finally:
            self.module.load_state_dict(own)
