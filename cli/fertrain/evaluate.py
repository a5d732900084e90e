"""`fertrain evaluate`: a finished run on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, QuietOption, document, emit, progress, say
from .options import scales


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    on: Annotated[
        str,
        typer.Option(
            help="NAME or NAME:SPLIT; without a split `test`, else `valid`. held-out: what the run held out of its "
            "training images, for choices."
        ),
    ],
    eval_rule: Annotated[str, typer.Option(help="Rule that selects images by votes.")] = "majority",
    slices: Annotated[
        bool, typer.Option("--slices", help="Also by light, sharpness, size, pose and subject, worst first.")
    ] = False,
    corruptions: Annotated[
        bool, typer.Option("--corruptions", help="Also on corrupted images: 7 kinds at 5 strengths, worst first.")
    ] = False,
    corrupted_images: Annotated[int, typer.Option(min=1, help="Most images used for --corruptions.")] = 1000,
    flip_test: Annotated[
        bool | None,
        typer.Option(
            "--flip-test/--no-flip-test", help="Average an image and its horizontal flip.", show_default="as the run"
        ),
    ] = None,
    test_scales: Annotated[
        str | None,
        typer.Option(
            metavar="X[,X…]",
            help="Average an image resized to each of these shares of its side.",
            show_default="as the run",
        ),
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Evaluate a run on a split, after verifying on a sample that predictions do not depend on the batch.

    Example: fertrain evaluate runs/cel --on ferplus:valid --slices --corruptions

    Slices and corruptions are also added to the run's report.html, model_card.md and robustness.json, unless
    --flip-test or --test-scales differs from the run. --format csv prints the classes only.
    """
    from fertrain.evaluation.evaluate import evaluate_run
    from fertrain.run_folder import RunFolder
    from fertrain.training.data import split_of

    with progress() as bar:
        scores, invariance, values = evaluate_run(
            run, split_of(RunFolder.open(run), on, eval_rule, bar), bar, slices=slices,
            corruptions=corruptions, corrupted_images=corrupted_images, flip_test=flip_test,
            test_scales=None if test_scales is None else scales(test_scales),
        )  # fmt: skip
    say(str(scores))
    say(f"batch invariance: logits of {invariance.images} images agree to {invariance.largest:.1g}")
    if fmt is Format.JSON:
        document(values)
        return
    rows = [{"class": name, **numbers} for name, numbers in scores.per_class.items()]
    total = {
        "class": "all", "n": scores.n, "recall": scores.overall_accuracy,
        "precision": None, "f1": None,
    }  # fmt: skip
    emit([*rows, total], fmt)
    for name in ("slices", "corruptions"):
        if values.get(name) and fmt is Format.TABLE:
            emit(values[name], fmt, title=f"{name}, worst first")


def probe(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    on: Annotated[str, typer.Option(help="Any labeled set: NAME, or KIND:PATH.")],
    k: Annotated[int, typer.Option(min=1, help="Nearest neighbors.")] = 20,
    eval_rule: Annotated[str, typer.Option(help="Rule that selects images by votes.")] = "majority",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the part that chooses the probe's penalty.")] = 0,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Evaluate a run's frozen features on any set: a linear probe, and nearest neighbors.

    Example: fertrain probe runs/simclr --on rafdb --k 20

    The probe trains on the set's split `train` and is evaluated on `test`, else `valid`; its classes may differ from
    the
    run's.
    """
    from fertrain.evaluation.probe import probe as judge

    with progress() as bar:
        rows = judge(run, on, k=k, rule=eval_rule, seed=seed, progress=bar)
    emit(rows, fmt)
