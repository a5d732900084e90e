"""The run folder: written by training, read by all later commands.

config.toml           everything needed to repeat the run, hashes of the data included
model.safetensors     the network f_FER ∘ f_Feat, with label order and input spec in its metadata
method.safetensors    other trained parts of the method (projection, attention head); for analysis only
labels.csv            the training images, if a label budget chose them
history.csv           one row per epoch
robustness.json       accuracy by slice and on corrupted images, if measured
people.json           retrieval on people never seen, if a grid on people made the run
model_card.md         what was measured, as text
evaluations.csv       log of evaluations on reported splits: repeated looks make a test score optimistic
resume.pt             checkpoint of an unfinished run
.lock                 held by the process that writes the run; .counting.lock: while an evaluation is noted
metrics.json          scores; written last, so a run that has it is finished
*.png, report.html    pictures
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmset.bounded import read_json, read_text, read_toml
from rmset.errors import RmsetError, UnreadableError, UsageError
from rmset.locks import hold
from rmset.outputs import plain_errors

from .config.run import RunConfig
from .config.serialization import config_from, deciding, to_toml
from .errors import FertrainError
from .files import whole, write_json, write_text

_RESULTS = (
    "metrics.json", "model.safetensors", "method.safetensors", "labels.csv", "history.csv", "evaluations.csv",
    "resume.pt", "report.html", "robustness.json", "model_card.md", "people.json",
    "confusion.png", "reliability.png", "curves.png", "config.toml",
)  # fmt: skip
"""Files of a run, in the order of removal: without the first, the run is unfinished."""


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path
    """The folder."""

    @property
    def weights(self) -> Path:
        """Path of the network's weights."""
        return self.path / "model.safetensors"

    @property
    def method_weights(self) -> Path:
        """Path of the method's other weights."""
        return self.path / "method.safetensors"

    @property
    def labels(self) -> Path:
        """Path of the label budget's index file."""
        return self.path / "labels.csv"

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint."""
        return self.path / "resume.pt"

    @property
    def report(self) -> Path:
        """Path of the report."""
        return self.path / "report.html"

    @classmethod
    def create(cls, path: Path, *, overwrite: bool) -> RunFolder:
        """Return a folder for a new run; raises if it holds a finished run, unless `overwrite` is set."""
        folder = cls(path)
        if (path / "metrics.json").exists() and not overwrite:
            # A kill between the last two steps of a run leaves its checkpoint, which is not needed any more.
            folder.checkpoint.unlink(missing_ok=True)
            raise UsageError(f"expected a new folder for the run, found a finished run in {path}; "
                             "choose another `out`, or replace it with `overwrite`")  # fmt: skip
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise FertrainError(f"expected a folder to write the run to, found {path}: {error.strerror}") from None
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for the one process that writes the run; the system releases it when the process dies.

        Raises:
            RootError: another process writes a run there.
        """
        with hold(self.path / ".lock", f"run folder {self.path}"):
            yield

    def begin(self, *, stands: str, settings: Mapping[str, Any], overwrite: bool) -> None:
        """Remove the results of an earlier run; called after all checks, just before training.

        Args:
            stands: state of the checkpoint: `none`, `same` (these settings, can be resumed), `other` or `torn`.
            settings: settings that determine the weights.
            overwrite: whether a run of other settings may be replaced.

        Raises:
            UsageError: the folder holds an unfinished run of other settings, and `overwrite` is not set.
        """
        finished = (self.path / "metrics.json").exists()
        if stands == "none" and not finished and self.weights.exists():
            stands = "same" if self._decided_by(settings) else "other"
        if stands == "other" and not finished and not overwrite:
            raise UsageError(
                f"expected no run, or an unfinished one of these settings and images, found one of others in "
                f"{self.path}; choose another `out`, or replace it with `overwrite`"
            )
        if finished or stands == "other":
            for name in _RESULTS:
                (self.path / name).unlink(missing_ok=True)

    def _decided_by(self, settings: Mapping[str, Any]) -> bool:
        try:
            return deciding(self.config()) == settings
        except RmsetError:
            return False

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the folder of an earlier run."""
        if not (path / "model.safetensors").is_file():
            raise UsageError(
                f"expected a run folder with model.safetensors, found {'none' if path.is_dir() else 'no folder'} "
                f"at {path}; `fertrain supervised` and `fertrain semi` write them"
            )
        return cls(path)

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Write the settings, and measurements of the data."""
        write_text(self.path / "config.toml", to_toml(values))

    def config(self) -> RunConfig:
        """Return the settings."""
        return config_from(self.config_values())

    def config_values(self) -> dict[str, Any]:
        """Return settings and measurements as in the file."""
        try:
            return read_toml(self.path / "config.toml")
        except (FileNotFoundError, UnreadableError) as error:
            raise FertrainError(f"expected a readable config.toml in {self.path}, found: {error}") from None

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write one row per epoch; the columns are the union over all rows, because phases log different values."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with whole(self.path / "history.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)

    def history(self) -> list[dict[str, str]]:
        """Rows as written."""
        return self._rows("history.csv", ("phase", "epoch"), ("loss", "heldout_accuracy"))

    def note_evaluation(self, split: str, rule: str, overall: float, why: str, *, once: bool = False) -> int:
        """Log an evaluation of a split; returns the number so far, this one included.

        Repeated looks while tuning make a test score optimistic.

        Args:
            split: which images.
            rule: which of them count.
            overall: the accuracy that was found.
            why: on what occasion.
            once: whether an equal last row is that of this occasion, from a process that was killed after writing it.
        """
        row = {"split": split, "rule": rule, "overall_accuracy": f"{overall:.6f}", "why": why}
        with self.counting():
            rows = self.evaluations()
            if not (once and rows[-1:] == [row]):
                rows.append(row)
            with whole(self.path / "evaluations.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(row), lineterminator="\n", extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
        return sum(row["split"] == split for row in rows)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Let one process at a time note an evaluation, or write of them in the page; the others wait for their turn.

        Raises:
            RootError: another process takes longer than a minute, or the folder cannot be written to.
        """
        with ExitStack() as stack:
            with plain_errors(self.path, "another run folder"):
                stack.enter_context(hold(self.path / ".counting.lock", f"run folder {self.path}", patience=60.0))
            yield

    def evaluations(self) -> list[dict[str, str]]:
        """Rows as written."""
        return self._rows("evaluations.csv", ("split", "rule", "why"), ("overall_accuracy",))

    def robustness(self) -> dict[str, dict[str, Any]]:
        """Return what `fertrain evaluate --slices --corruptions` measured, by split; empty if nothing.

        Raises:
            FertrainError: the file is damaged.
        """
        try:
            found = read_json(self.path / "robustness.json")
        except FileNotFoundError:
            return {}
        except UnreadableError as error:
            raise FertrainError(f"{error}; remove it and measure again") from None
        if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
            raise FertrainError(f"expected measurements by split in {self.path / 'robustness.json'}, found others")
        return found

    def note_robustness(self, split: str, values: Mapping[str, Any]) -> None:
        """Add measurements of a split; earlier ones of the same kind are replaced."""
        with self.counting():
            every = self.robustness()
            write_json(self.path / "robustness.json", {**every, split: {**every.get(split, {}), **values}})

    def _rows(self, name: str, texts: Sequence[str], numbers: Sequence[str]) -> list[dict[str, str]]:
        """Return the rows of a table in the folder, each with these columns; empty if there is no such file."""
        try:
            text = read_text(self.path / name)
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
            for row in rows:
                if None in row or any(row[column] is None for column in (*texts, *numbers)):
                    raise ValueError("a row of another length")
                for column in numbers:
                    float(row[column])
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, csv.Error) as error:
            found = error if isinstance(error, UnreadableError) else repr(error)
            raise FertrainError(
                f"expected a table with {', '.join((*texts, *numbers))} in {self.path / name}, found: {found}"
            ) from None
        return rows

    def write_metrics(self, values: Mapping[str, Any]) -> None:
        """Write the scores; call it last, because it marks the run as finished."""
        write_json(self.path / "metrics.json", values)

    def metrics(self) -> dict[str, Any]:
        """Scores as written.

        Raises:
            FertrainError: the file is missing or invalid.
        """
        try:
            loaded = read_json(self.path / "metrics.json")
        except (FileNotFoundError, UnreadableError) as error:
            raise FertrainError(f"expected the metrics.json of a finished run in {self.path}, found: {error}") from None
        if fault := _fault(loaded):
            raise FertrainError(f"expected the scores of a finished run in {self.path / 'metrics.json'}, found {fault}")
        found: dict[str, Any] = loaded
        return found

    def temperature(self) -> float:
        """Temperature that calibrates the probabilities; 1 if the run has fitted none.

        Raises:
            FertrainError: metrics.json holds something else in its place.
        """
        if not (self.path / "metrics.json").exists():
            return 1.0
        found = self.metrics().get("temperature", {"value": 1.0})
        value = found.get("value") if isinstance(found, dict) else found
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise FertrainError(
                f"expected a temperature above 0 in {self.path / 'metrics.json'}, found {str(value)[:80]}; train the "
                "run again"
            )
        return float(value)


_COUNT, _SHARE = 2**53, 1 + 1e-9


def _fault(metrics: object) -> str:
    """Describe the fault in the content of a metrics.json; empty if it is valid."""
    if not isinstance(metrics, dict):
        return f"{type(metrics).__name__}"
    if missing := {"n", "overall_accuracy", "average_accuracy", "confusion", "labels", "split", "rule"} - set(metrics):
        return f"no {', '.join(sorted(missing))}"
    labels, confusion = metrics["labels"], metrics["confusion"]
    if not isinstance(labels, list) or not labels or not all(isinstance(name, str) for name in labels):
        return "labels that are no list of names"
    rows = confusion if isinstance(confusion, list) else []
    if len(rows) != len(labels) or not all(isinstance(row, list) and len(row) == len(labels) for row in rows):
        return "a confusion matrix of another size than the labels"
    if not all(type(value) is int and 0 <= value < _COUNT for row in rows for value in row):
        return "a confusion matrix that holds no counts"
    if type(metrics["n"]) is not int or not 0 <= metrics["n"] < _COUNT:
        return f"n = {metrics['n']!r}"[:80]
    for name in ("overall_accuracy", "average_accuracy"):
        value = metrics[name]
        if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= _SHARE:
            return f"{name} = {value!r}"[:80]
    for name in ("split", "rule", "selected_on"):
        if not isinstance(metrics.get(name, ""), str):
            return f"{name} = {metrics[name]!r}"[:80]
    return ""


def new_path(config: RunConfig) -> Path:
    """Return a default folder below `runs`, named by time, method and network."""
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{config.method}-{config.model.name}"


def told_apart(paths: Sequence[Path]) -> list[str]:
    """Return short unique names of runs: the last folders of their paths, as many as needed, such as `delay/seed-0`.

    Raises:
        UsageError: a run is listed twice.
    """
    parts = [path.resolve().parts for path in paths]
    if twice := [path for k, path in enumerate(paths) if parts[k] in parts[:k]]:
        raise UsageError(f"expected each run once, found {twice[0]} twice")
    deep = 1
    while len({each[-deep:] for each in parts}) < len(parts):
        deep += 1
    return ["/".join(each[-deep:]) for each in parts]
