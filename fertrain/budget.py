"""An image budget: methods compared on as many images through the network, not on as many epochs.

A step of FixMatch sees fifteen images for each labelled one, a step of supervised training one. Under a budget every
epoch of every phase sees the same number of images; its steps are as many as that makes. Runs then differ in steps,
not in work, and choose among as many epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .methods import Phase


def within(phases: Sequence[Phase], images: int | None, per_step: Callable[[Phase], float]) -> tuple[Phase, ...]:
    """The phases with as many steps in an epoch as the budget gives them; unchanged without a budget.

    Args:
        phases: of the method.
        images: that go through the network in the whole run, each view of each counted.
        per_step: images of a step.
    """
    epochs = sum(phase.epochs for phase in phases)
    if images is None or epochs == 0:
        return tuple(phases)
    share = images / epochs
    return tuple(
        replace(phase, steps=max(1, round(share / per_step(phase)))) if phase.epochs else phase for phase in phases
    )
