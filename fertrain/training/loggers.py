"""Loggers for TensorBoard and Weights & Biases; history.csv has the same numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from rmset.errors import UsageError

from .. import ranks
from ..config.run import RunConfig
from ..config.serialization import settings_of


class Curves(Protocol):
    """Interface of a logger."""

    def write(self, epoch: int, row: Mapping[str, object]) -> None:
        """Every number of an epoch."""

    def close(self) -> None:
        """Nothing comes after this."""


class TensorBoard:
    """Event files in the run folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "events"))

    def write(self, epoch: int, row: Mapping[str, object]) -> None:
        """Every number of an epoch."""
        for name, value in _numbers(row).items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Nothing comes after this."""
        self._writer.close()


class WeightsAndBiases:
    """Offline run in the run folder, to be sent by `wandb sync`; sent at once only with WANDB_MODE=online.

    It holds only settings and numbers: no images, no weights, and nothing of the machine's other files.
    """

    def __init__(self, folder: Path, project: str, settings: Mapping[str, Any]) -> None:
        import wandb

        quiet = wandb.Settings(
            console="off", silent=True, disable_code=True, disable_git=True, x_disable_stats=True, x_disable_meta=True
        )
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run: Any = wandb.init(
            project=project, name=folder.name, dir=str(folder), config=dict(settings), mode=mode, settings=quiet
        )

    def write(self, epoch: int, row: Mapping[str, object]) -> None:
        """Every number of an epoch."""
        self._run.log(_numbers(row), step=epoch)

    def close(self) -> None:
        """Nothing comes after this."""
        self._run.finish()


def require(config: RunConfig) -> None:
    """Refuse curves whose package is not installed, before any data are read.

    Raises:
        UsageError: a package is missing; the message names it.
    """
    for name, wanted in (("tensorboard", config.tensorboard), ("wandb", config.wandb)):
        if wanted and find_spec(name) is None:
            raise UsageError(f"expected the package {name} for --{name}, found none; pip install 'rmset[{name}]'")


@contextmanager
def curves(config: RunConfig, folder: Path) -> Iterator[tuple[Curves, ...]]:
    """Open the curves of the settings, and close them however the run ends, so that the next run does not use them."""
    with ExitStack() as opened:
        found: list[Curves] = []
        if not ranks.is_first():
            yield ()
            return
        if config.tensorboard:
            found.append(opened.enter_context(closing(TensorBoard(folder))))
        if config.wandb:
            found.append(opened.enter_context(closing(WeightsAndBiases(folder, config.wandb, settings_of(config)))))
        yield tuple(found)


def _numbers(row: Mapping[str, object]) -> dict[str, float]:
    return {k: v for k, v in row.items() if isinstance(v, (int, float)) and k != "epoch"}
