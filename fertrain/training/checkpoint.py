"""Checkpoints: an interrupted run resumes to bit-identical weights.

The file holds only tensors and plain values, and is read without running code from it. Order, augmentation and draws
are functions of (seed, epoch, step); dropout is not, so the generator's state is saved too, that of every process.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import ranks
from ..errors import TrainingError, WeightsError
from ..files import whole
from ..models.checkpoint_file import read_plain
from .optim import EMA

_LAYOUT = 3
_ROOM = 1 << 20
"""Free bytes below which the disk counts as full."""


@dataclass
class Tally:
    """Sums over the finished part of an epoch."""

    batches: int = 0
    """Labeled batches seen."""
    loss: float = 0.0
    """Sum over optimizer steps."""
    steps: int = 0
    """Optimizer steps."""
    images: int = 0
    """Network inputs."""
    seconds: float = 0.0
    """Seconds spent."""
    logs: dict[str, float] = field(default_factory=dict)
    """Sums of the loss's parts."""
    shares: dict[str, float] = field(default_factory=dict)
    """Sums of the method's shares."""


@dataclass(frozen=True)
class Position:
    """A place in a run."""

    phase: int
    """Index of the method's phase."""
    in_phase: int
    """Epoch of the phase, from 0."""
    tally: Tally
    """Progress within that epoch."""
    history: list[dict[str, Any]]
    """Rows of the finished epochs."""
    best: int | None
    """Index in `history` of this phase's best epoch."""
    best_state: dict[str, Tensor]
    """Weights of the best epoch, or those at the start of the phase."""


class Checkpoints:
    """The checkpoint file: replaced during a run, removed when it is finished."""

    def __init__(self, path: Path, settings: str, every: int = 500) -> None:
        self.path, self.settings, self.every = path, settings, every
        """Settings that determine the weights enter as the hash `settings`: only a file with the same hash is resumed.

        The file is written every `every` steps, and after every epoch.
        """

    def save(self, position: Position, module: nn.Module, optimizer: Any, average: EMA) -> None:
        """Write the file; a kill leaves the old one or the new one. With several processes, the first one writes."""
        own = torch.get_rng_state()
        others = ranks.of_all(own)[1:]
        if not ranks.is_first():
            return
        content = {
            "layout": _LAYOUT,
            "settings": self.settings,
            "position": {**vars(position), "tally": vars(position.tally)},
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.state,
            "average_steps": average.steps,
            "generator": own,
            "generators_of_others": others,
            "generators_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with whole(self.path) as part, part.open("wb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as error:
                # On a full disk torch's error names its own code; the file system knows the reason.
                if shutil.disk_usage(self.path.parent).free < _ROOM:
                    raise OSError(errno.ENOSPC, "no space left on device", str(self.path)) from None
                found = (str(error).splitlines() or [type(error).__name__])[0][:160]
                raise TrainingError(
                    f"expected to keep the run's place in {self.path}, found: {found}; give it another disk"
                ) from None

    def stands(self) -> str:
        """Classify the file: `none`, `same` (these settings, can be resumed), `other` or `torn`."""
        self._content, self._why = None, ""
        if not self.path.exists():
            return "none"
        try:
            # Opening a FIFO would block.
            content = read_plain(self.path) if self.path.is_file() else None
        except WeightsError:
            content = None
        if not isinstance(content, dict):
            self._why = "is torn, or no checkpoint at all"
        elif content.get("layout") != _LAYOUT:
            self._why = "was written by another version"
        elif content.get("settings") != self.settings:
            self._why = "is of other settings or other images"
            return "other"
        else:
            self._content = content
            return "same"
        return "torn"

    def load(self, say: Callable[[str], None]) -> Resumed | None:
        """Load the checkpoint of an earlier run of the same settings; else return None and `say` the reason.

        Raises:
            WeightsError: the file belongs to this run, but is damaged.
        """
        if self.stands() == "none":
            return None
        content, self._content = self._content, None
        if content is None:
            say(f"{self.path} {self._why}: the run starts from the beginning")
            return None
        try:
            values = content["position"]
            return Resumed(Position(**{**values, "tally": Tally(**values["tally"])}), content, self.path)
        except (KeyError, TypeError, ValueError):
            raise _damaged(self.path) from None

    def remove(self) -> None:
        """Remove the file; the run is finished."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Resumed:
    """A loaded checkpoint."""

    position: Position
    """Position to resume from."""
    content: Mapping[str, Any]
    """The whole file."""
    path: Path
    """Its path."""

    def restore(self, module: nn.Module, optimizer: Any, average: EMA) -> None:
        """Restore weights, optimizer, average and generator.

        Raises:
            WeightsError: the file does not fit the run.
        """
        try:
            self._restore(module, optimizer, average)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError):
            raise _damaged(self.path) from None

    def _restore(self, module: nn.Module, optimizer: Any, average: EMA) -> None:
        module.load_state_dict(self.content["module"])
        optimizer.load_state_dict(self.content["optimizer"])
        average.steps = self.content["average_steps"]
        for name, value in self.content["average"].items():
            average.state[name].copy_(value)
        states = [self.content["generator"], *self.content.get("generators_of_others", [])]
        if ranks.index() < len(states):
            torch.set_rng_state(states[ranks.index()])
        if self.content["generators_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(self.content["generators_cuda"])


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"expected the place of this run in {path}, found a damaged file; remove it to start from the beginning"
    )
