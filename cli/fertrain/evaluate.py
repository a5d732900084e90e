"""`fertrain evaluate`: a finished run on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, QuietOption, document, emit, progress, say


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    on: Annotated[str, typer.Option(help="NAME or NAME:SPLIT; without a split `test`, else `valid`.")],
    eval_rule: Annotated[str, typer.Option(help="Which images are counted, where there are votes.")] = "majority",
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Count a run on a split, after proving on a sample that predictions do not depend on their batch.

    Example: fertrain evaluate runs/cel --on ferplus:valid --format json
    """
    from fertrain.evaluation.evaluate import evaluate_run

    with progress() as bar:
        scores, invariance, values = evaluate_run(run, on, eval_rule, bar)
    say(str(scores))
    say(f"alone or in company: logits of {invariance.images} images agree to {invariance.largest:.1g}")
    if fmt is Format.JSON:
        document(values)
        return
    rows = [{"class": name, **numbers} for name, numbers in scores.per_class.items()]
    total = {
        "class": "all", "n": scores.n, "recall": scores.overall_accuracy,
        "precision": None, "f1": None,
    }  # fmt: skip
    emit([*rows, total], fmt)
