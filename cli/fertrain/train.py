"""`fertrain supervised` and `fertrain semi`: options, settings, one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fertrain.config import RunConfig, start_for
from fertrain.config.methods import FROM_LABELS
from rmset.errors import UsageError

from .. import console
from ..console import Format, FormatOption, QuietOption, emit, progress, say
from . import options as o


@o.with_settings("supervised")
def supervised(
    recipe: o.Recipe = None,
    sets: o.Sets = None,
    runs: o.Runs = 1,
    folds: o.Folds = None,
    out: o.Out = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
    *,
    given: Mapping[str, Any],
) -> None:
    """Train on labels or votes.

    Example: fertrain supervised --labeled ferplus --scheme cel --model resnet10t --image-size 64 --epochs 1
    --out runs/cel

    The epoch is chosen on a held-out tenth of the training images; the reported split is evaluated once.
    To resume an interrupted run, give the same command with the same --out.
    """
    method = given.get("method", "supervised")
    if method not in FROM_LABELS:
        raise UsageError(
            f"expected a method that learns from labels alone ({', '.join(FROM_LABELS)}), found {method}; `fertrain "
            "semi` has those with unlabeled images"
        )
    start = replace(_recipe(recipe) or start_for(method), method=method)
    _run(o.method_settings(start, given, sets), out, fmt, runs, folds)


@o.with_settings("semi")
def semi(
    recipe: o.Recipe = None,
    sets: o.Sets = None,
    runs: o.Runs = 1,
    folds: o.Folds = None,
    out: o.Out = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
    *,
    given: Mapping[str, Any],
) -> None:
    """Train on labels and on unlabeled images together.

    Example: fertrain semi --labeled ferplus --labels 4000 --unlabeled rmset --method rmfer --model resnet10t
    --image-size 64 --epochs 1 --out runs/rmfer

    RMFER has three phases: base (labels only), IAL (attention within the batch), ACL (contrast on RMset). Each starts
    from the best state of the previous one; the result is the best state of the last. The rivals use the same loop and
    streams; --images gives all of them the same amount of work.
    """
    start = _recipe(recipe) or start_for(given.get("method", "rmfer"))
    _run(o.method_settings(start, given, sets), out, fmt, runs, folds)


def _recipe(name: str | None) -> RunConfig | None:
    if name is None:
        return None
    from fertrain.config.recipes import recipe

    return recipe(name).config


def _run(config: RunConfig, out: Path | None, fmt: Format, runs: int, folds: str | None) -> None:
    from fertrain.analysis.compare.ablation import run_many
    from fertrain.analysis.compare.significance import group, table
    from fertrain.run_folder import new_path
    from fertrain.training.experiment import run

    folder = out or new_path(config)
    config = replace(config, out=str(folder))
    if folds is not None:
        _run_folds(config, folds, runs, fmt)
        return
    with progress() as bar:
        results = [run(config, bar, o.talk)] if runs == 1 else run_many(config, runs, bar, o.talk)
    rows: list[dict[str, Any]] = [
        {
            "run": str(result.folder), "split": result.scores.split, "rule": result.scores.rule, "n": result.scores.n,
            "overall_accuracy": result.scores.overall_accuracy, "average_accuracy": result.scores.average_accuracy,
            "selected_on": result.metrics["selected_on"],
        }
        for result in results
    ]  # fmt: skip
    emit(rows, fmt)
    if runs > 1:
        summary = table([group(folder)])[0]
        say(f"{summary['runs']} runs: {summary['mean']:.2%} ± {summary['std']:.2%} overall")
    say(f"report: {results[-1].folder / 'report.html'}")


def _run_folds(config: RunConfig, folds: str, runs: int, fmt: Format) -> None:
    from fertrain.analysis.compare.protocol import run_folds

    console.require_one_process("--folds")
    if runs != 1:
        raise UsageError(f"expected --folds or --runs, found both; --seed takes other seeds than {config.seed}")
    with progress() as bar:
        done = run_folds(config, folds, bar, o.talk)
    emit(done.rows, fmt)
    say(f"{len(done.rows) - 1} folds: {done.pooled}; written: {', '.join(str(path) for path in done.files)}")
