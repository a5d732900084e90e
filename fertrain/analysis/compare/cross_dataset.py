"""Cross-data-set evaluation: every run on every data set, over their common classes, matched by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rmset.progress import Progress, silent

from ...datasets.registry import images_of, open_split, open_target, require_images
from ...datasets.subsets import common, without
from ...evaluation import evaluate, report
from ...models.weights import load
from ...run_folder import RunFolder


def cross(
    runs: Sequence[Path], targets: Sequence[str], eval_rule: str = "majority", progress: Progress = silent
) -> list[dict[str, Any]]:
    """One row per run and target: images and classes counted, and both accuracies.

    Images of a class unknown to the run are left out; outputs for a class that the data set lacks are ignored. The
    columns `classes` and `left_out` record this for each row.
    """
    rows: list[dict[str, Any]] = []
    for path in runs:
        folder = RunFolder.open(path)
        model, labels, spec = load(folder.weights)
        for target in targets:
            data, name = open_target(target)
            split = open_split(data, name, eval_rule)
            order = common(split.order, labels)
            narrowed = require_images(without(split, order))
            images = images_of(narrowed, spec)
            scores = evaluate.judge(model, labels, spec, narrowed, images, progress=progress).scores
            folder.note_evaluation(scores.split, scores.rule, scores.overall_accuracy, "fertrain cross")
            report.recount(folder)
            rows.append({
                "run": str(path), "trained_on": folder.config().data.labeled, "on": scores.split, "rule": scores.rule,
                "n": scores.n, "classes": len(order), "left_out": " ".join(
                    c for c in split.order.classes if c not in order.classes
                ), "overall_accuracy": scores.overall_accuracy, "average_accuracy": scores.average_accuracy,
            })  # fmt: skip
    return rows
