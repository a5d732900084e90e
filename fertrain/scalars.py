"""Curves for TensorBoard, for those who keep it open beside a run; the same numbers stand in history.csv."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmset.errors import UsageError


class Scalars:
    """An event file in the run folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                "expected the package tensorboard for --tensorboard, found none; pip install 'rmset[tensorboard]'"
            ) from None
        self._writer: Any = SummaryWriter(str(folder / "events"))

    def write(self, epoch: int, row: Mapping[str, object]) -> None:
        """Every number of an epoch."""
        for name, value in row.items():
            if isinstance(value, (int, float)) and name != "epoch":
                self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
