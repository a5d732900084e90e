"""The folder that a run writes, and that every later command reads.

config.toml           everything needed to repeat the run, hashes of the data included
model.safetensors     f_FER ∘ f_Feat, with label order and input spec in its metadata
method.safetensors    what else the method learned (projection, attention head); only for looking at it
labels.csv            the images learned from, where a budget chose them
history.csv           one row an epoch
evaluations.csv       one row each time that a split which chose nothing was counted: how often it was looked at
resume.pt             where a run stands that is not finished
metrics.json          scores; written last, so a run that has it is finished
*.png, report.html    pictures
"""

from __future__ import annotations

import csv
import json
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmset.errors import UsageError

from .config.run import RunConfig
from .config.serialization import config_from, to_toml
from .errors import FertrainError
from .files import whole, write_json, write_text


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path
    """The folder."""

    @property
    def weights(self) -> Path:
        """What runs at test."""
        return self.path / "model.safetensors"

    @property
    def method_weights(self) -> Path:
        """What else learned."""
        return self.path / "method.safetensors"

    @property
    def labels(self) -> Path:
        """Index file of the label budget."""
        return self.path / "labels.csv"

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished run stands."""
        return self.path / "resume.pt"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @classmethod
    def create(cls, path: Path, *, overwrite: bool) -> RunFolder:
        """A folder for a new run; refuses one that holds a finished run, unless `begin` may replace it later."""
        folder = cls(path)
        if (path / "metrics.json").exists() and not overwrite:
            raise UsageError(f"expected a new folder for the run, found a finished run in {path}; "
                             "choose another `out`, or replace it with `overwrite`")  # fmt: skip
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise FertrainError(f"expected a folder to write the run to, found {path}: {error.strerror}") from None
        return folder

    def begin(self) -> None:
        """Take a finished run's results away; called once nothing but the training itself can fail any more."""
        if (self.path / "metrics.json").exists():
            for name in ("metrics.json", "evaluations.csv", "resume.pt"):
                (self.path / name).unlink(missing_ok=True)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The folder of an earlier run."""
        if not (path / "model.safetensors").is_file():
            raise UsageError(
                f"expected a run folder with model.safetensors, found {'none' if path.is_dir() else 'no folder'} "
                f"at {path}; `fertrain supervised` and `fertrain semi` write them"
            )
        return cls(path)

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Settings, and what was measured of the data."""
        write_text(self.path / "config.toml", to_toml(values))

    def config(self) -> RunConfig:
        """The settings."""
        return config_from(self.config_values())

    def config_values(self) -> dict[str, Any]:
        """Settings and measures as they stand in the file."""
        try:
            return tomllib.loads((self.path / "config.toml").read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise FertrainError(f"expected a readable config.toml in {self.path}, found: {error}") from None

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """One row an epoch; columns are those of all rows, as phases log different things."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with whole(self.path / "history.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)

    def history(self) -> list[dict[str, str]]:
        """Rows as written."""
        path = self.path / "history.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def note_evaluation(self, split: str, rule: str, overall: float, why: str) -> int:
        """Write down that a split was counted; returns how often it was, this time included.

        A number that was looked at many times while settings were changed is no longer a test.
        """
        rows = [*self.evaluations(), {"split": split, "rule": rule, "overall_accuracy": f"{overall:.6f}", "why": why}]
        with whole(self.path / "evaluations.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return sum(row["split"] == split for row in rows)

    def evaluations(self) -> list[dict[str, str]]:
        """Rows as written."""
        path = self.path / "evaluations.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def write_metrics(self, values: Mapping[str, Any]) -> None:
        """Scores; call it last."""
        write_json(self.path / "metrics.json", values)

    def metrics(self) -> dict[str, Any]:
        """Scores as written."""
        try:
            loaded: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FertrainError(f"expected the metrics.json of a finished run in {self.path}, found: {error}") from None
        return loaded


def new_path(config: RunConfig) -> Path:
    """A folder below `runs` for a run that was given none, by time, method and network."""
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{config.method}-{config.model.name}"


def told_apart(paths: Sequence[Path]) -> list[str]:
    """Names of runs: as many last folders of their paths as tell them apart, `delay/seed-0` where `seed-0` does not.

    Raises:
        UsageError: a run stands there twice.
    """
    parts = [path.resolve().parts for path in paths]
    if twice := [path for k, path in enumerate(paths) if parts[k] in parts[:k]]:
        raise UsageError(f"expected each run once, found {twice[0]} twice")
    deep = 1
    while len({each[-deep:] for each in parts}) < len(parts):
        deep += 1
    return ["/".join(each[-deep:]) for each in parts]
