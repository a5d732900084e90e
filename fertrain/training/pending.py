"""Numbers of the last steps, read from the device together, so that a step does not wait for the GPU."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import TrainingError
from ..methods import StepOutput
from .checkpoint import Tally

_EVERY = 50
"""Steps between two reads from a GPU."""

Numbers = Mapping[str, float | Tensor]


class Pending:
    """Steps whose loss and logs are not yet in the sums of the epoch.

    Args:
        device: of the losses; on a processor every step is read at once.
    """

    def __init__(self, device: torch.device) -> None:
        self.at_once = device.type == "cpu"
        self._steps: list[tuple[StepOutput, str]] = []

    def add(self, output: StepOutput, where: str, tally: Tally) -> None:
        """Add a step; `where` names it in errors."""
        self._steps.append((output, where))
        if self.at_once or len(self._steps) >= _EVERY:
            self.flush(tally)

    def flush(self, tally: Tally) -> None:
        """Add all numbers to the sums.

        Raises:
            TrainingError: a loss is not finite.
        """
        steps, self._steps = self._steps, []
        held = [v for output, _ in steps for v in (output.loss, *output.logs.values(), *output.shares.values())]
        there = [wide(v.detach()) for v in held if isinstance(v, Tensor)]
        read = iter(torch.stack(there).tolist() if there else [])
        for output, where in steps:
            loss = next(read)
            refuse_infinite(loss, where)
            tally.loss += loss
            for sums, values in ((tally.logs, output.logs), (tally.shares, output.shares)):
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + (next(read) if isinstance(value, Tensor) else value)


def refuse_infinite(loss: float, where: str) -> None:
    """Raise for a loss that is NaN or infinite."""
    if not abs(loss) < float("inf"):
        raise TrainingError(
            f"expected a finite loss, found {loss} in {where}; the last good state is kept, "
            "try again with a lower `optim.lr`"
        )


def wide(x: Tensor) -> Tensor:
    """Convert to float64, so that sums are those of Python's numbers; Apple's GPUs have none."""
    return x.float() if x.device.type == "mps" else x.double()
