"""Where a run stands, so that a run that was broken off comes to the same weights as one that was not.

The file holds tensors and plain values only, and is read without running any code that it may contain. Order,
augmentation and draws are functions of (seed, epoch, step); dropout is not, so the generator's state is kept too.
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

from ..errors import TrainingError, WeightsError
from ..files import whole
from ..models.checkpoint_file import read_plain
from .optim import EMA

_LAYOUT = 3
_ROOM = 1 << 20
"""bytes; a disk with less is full"""


@dataclass
class Tally:
    """Sums over the part of an epoch that is done."""

    batches: int = 0
    """Labeled batches seen."""
    loss: float = 0.0
    """Sum over optimizer steps."""
    steps: int = 0
    """Optimizer steps."""
    images: int = 0
    """Images that the network looked at."""
    seconds: float = 0.0
    """Time spent."""
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
    """How far that epoch is."""
    history: list[dict[str, Any]]
    """Rows of the epochs that are done."""
    best: int | None
    """Index in `history` of this phase's best epoch."""
    best_state: dict[str, Tensor]
    """Weights of the best epoch, or those that the phase began with."""


class Checkpoints:
    """One file that is replaced as a run goes on, and removed when it is finished."""

    def __init__(self, path: Path, settings: str, every: int = 500) -> None:
        self.path, self.settings, self.every = path, settings, every
        """`settings` is a hash of everything that decides the weights; another one's file is not resumed. The file is
        written after `every` so many steps, and after every epoch."""

    def save(self, position: Position, module: nn.Module, optimizer: Any, average: EMA) -> None:
        """Write the file; a kill leaves the old one or the new one."""
        content = {
            "layout": _LAYOUT,
            "settings": self.settings,
            "position": {**vars(position), "tally": vars(position.tally)},
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.state,
            "average_steps": average.steps,
            "generator": torch.get_rng_state(),
            "generators_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with whole(self.path) as part, part.open("wb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as error:
                # On a full disk torch tells where in its own code it was; the file system tells why.
                if shutil.disk_usage(self.path.parent).free < _ROOM:
                    raise OSError(errno.ENOSPC, "no space left on device", str(self.path)) from None
                found = (str(error).splitlines() or [type(error).__name__])[0][:160]
                raise TrainingError(
                    f"expected to keep the run's place in {self.path}, found: {found}; give it another disk"
                ) from None

    def stands(self) -> str:
        """Classify the file: `none`, `same` (of these settings, can be resumed), `other` or `torn`."""
        self._content, self._why = None, ""
        if not self.path.exists():
            return "none"
        try:
            # Opening a FIFO would wait for a writer.
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
        """Load the checkpoint of an earlier run; None if there is none with the same settings, and `say` why.

        Raises:
            WeightsError: the file is of this run, and damaged.
        """
        if self.stands() == "none":
            return None
        content, self._content = self._content, None
        if content is None:
            say(f"{self.path} {self._why}: the run begins anew")
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
    """A checkpoint that was read."""

    position: Position
    """Where to go on."""
    content: Mapping[str, Any]
    """The whole file."""
    path: Path
    """Where it lies."""

    def restore(self, module: nn.Module, optimizer: Any, average: EMA) -> None:
        """Put weights, optimizer, average and generator back.

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
        torch.set_rng_state(self.content["generator"])
        if self.content["generators_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(self.content["generators_cuda"])


def _damaged(path: Path) -> WeightsError:
    return WeightsError(f"expected the place of this run in {path}, found a damaged file; remove it to begin anew")
