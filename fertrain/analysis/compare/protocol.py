"""Cross-validation over subjects as one table: k folds, or leave-one-subject-out.

Every fold is a separate run in `out/fold-K`; finished ones are kept, so the same command resumes. The last row sums
the confusion matrices: every image is counted once, by a network that was not trained on its subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, Say, quiet, silent

from ...config.run import RunConfig
from ...config.serialization import deciding
from ...datasets.folds import Folded, folds_of
from ...datasets.registry import open_labeled
from ...evaluation.metrics import Scores, scores_from
from ...files import write_csv, write_json
from ...run_folder import RunFolder
from ...training.experiment import run


@dataclass(frozen=True)
class Protocol:
    """Results of all folds."""

    rows: list[dict[str, Any]]
    """One row per fold; the last one over all images, with the spread of the folds."""
    pooled: Scores
    """Over all images."""
    files: list[Path]
    """folds.csv and folds.json."""


def run_folds(config: RunConfig, wanted: str, progress: Progress = silent, say: Say = quiet) -> Protocol:
    """Train and evaluate every fold.

    Args:
        config: settings of all folds; `out` is the folder of the table.
        wanted: number of folds, or `subjects`.
        progress: progress callback.
        say: callback for one-line messages.

    Raises:
        UsageError: the set does not name its subjects; a folder holds a finished run with other settings.
    """
    data = open_labeled(config.data.labeled)
    scores: dict[str, Scores] = {}
    rows: list[dict[str, Any]] = []
    for fold in folds_of(data, wanted):
        number = fold.partition("/")[0]
        own = replace(
            config, data=replace(config.data, fold=fold, report_on="test"), out=str(Path(config.out) / f"fold-{number}")
        )
        say(f"fold {fold}")
        scores[fold] = _scores(own, progress, say)
        subjects = Folded(data, fold).subjects
        rows.append(_row(number, subjects, scores[fold]))
    pooled = _pooled(list(scores.values()))
    each = [s.overall_accuracy for s in scores.values()]
    spread = {"overall_mean": mean(each), "overall_std": stdev(each) if len(each) > 1 else None}
    rows = [{**row, "overall_mean": None, "overall_std": None} for row in rows]
    rows.append({**_row("all", [], pooled), **spread})
    return Protocol(rows, pooled, _written(Path(config.out), rows, pooled, wanted))


def _scores(config: RunConfig, progress: Progress, say: Say) -> Scores:
    folder = RunFolder(Path(config.out))
    if not (folder.path / "metrics.json").is_file() or config.overwrite:
        return run(config, progress, say).scores
    if deciding(folder.config()) != deciding(config):
        raise UsageError(f"expected a run with these settings in {folder.path}, found another; give another `out`")
    say("finished already, kept")
    return scores_from(folder.metrics())


def _pooled(scores: Sequence[Scores]) -> Scores:
    confusion = np.sum([s.confusion for s in scores], axis=0)
    return Scores(confusion, scores[0].labels, "all folds", scores[0].rule)


def _row(fold: str, subjects: Sequence[str], scores: Scores) -> dict[str, Any]:
    return {
        "fold": fold, "subjects": " ".join(subjects), "n": scores.n, "overall_accuracy": scores.overall_accuracy,
        "average_accuracy": scores.average_accuracy,
    }  # fmt: skip


def _written(out: Path, rows: Sequence[dict[str, Any]], pooled: Scores, wanted: str) -> list[Path]:
    table, values = out / "folds.csv", out / "folds.json"
    write_csv(table, rows)
    write_json(values, {"folds": wanted, "rows": list(rows), "pooled": pooled.to_json()})
    return [table, values]
