"""`fertrain supervised` and `fertrain semi`: options, settings, one call."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from fertrain.config.run import RunConfig

from ..console import Format, FormatOption, emit, progress, say, set_quiet
from . import options as o
from .settings import settings


def supervised(
    labeled: o.Labeled,
    scheme: o.Scheme = None,
    rule: o.Rule = None,
    eval_rule: o.EvalRule = None,
    model: o.ModelName = None,
    image_size: o.ImageSize = None,
    pretrained: o.Pretrained = None,
    weights: o.Weights = None,
    epochs: o.Epochs = None,
    images: o.Images = None,
    batch_size: o.BatchSize = None,
    lr: o.LearningRate = None,
    optimizer: o.Optimizer = None,
    schedule: o.Schedule = None,
    augment: o.Augment = None,
    labels: o.Budget = None,
    labels_file: o.LabelsFile = None,
    balanced: o.Balanced = None,
    holdout: o.Holdout = None,
    report_on: o.ReportOn = None,
    mix: o.Mix = None,
    preprocess: o.Preprocess = None,
    label_smoothing: o.Smoothing = None,
    head: o.Head = None,
    vectors: o.Vectors = None,
    word: o.Words = None,
    ema: o.Ema = None,
    accumulate: o.Accumulate = None,
    patience: o.Patience = None,
    channels_last: o.ChannelsLast = None,
    report_best_on_test: o.BestOnTest = None,
    tensorboard: o.Tensorboard = None,
    wandb: o.Wandb = None,
    sets: o.Sets = None,
    recipe: o.Recipe = None,
    runs: o.Runs = 1,
    seed: o.Seed = None,
    precision: o.Precision = None,
    device: o.Device = None,
    workers: o.Workers = None,
    out: o.Out = None,
    overwrite: o.Overwrite = None,
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Train on labels or votes.

    Example: fertrain supervised --labeled ferplus --scheme cel --model resnet10t --image-size 64 --epochs 1
    --out runs/cel

    The epoch is chosen on a held-out tenth of the training images; the split that is reported is counted once.
    A run that was broken off goes on where it stood when the same command is given again with the same --out.
    """
    given = {**locals(), "method": "supervised"}
    _run(settings(_recipe(recipe) or RunConfig(), given), out, fmt, quiet, runs)


def semi(
    labeled: o.Labeled,
    unlabeled: o.Unlabeled = None,
    unlabeled_fraction: o.Fraction = None,
    method: o.Method = None,
    root: o.Root = None,
    scheme: o.Scheme = None,
    rule: o.SemiRule = None,
    eval_rule: o.EvalRule = None,
    model: o.ModelName = None,
    image_size: o.ImageSize = None,
    pretrained: o.Pretrained = None,
    weights: o.Weights = None,
    epochs: o.SemiEpochs = None,
    images: o.Images = None,
    batch_size: o.SemiBatchSize = None,
    lr: o.SemiLearningRate = None,
    optimizer: o.Optimizer = None,
    schedule: o.Schedule = None,
    augment: o.Augment = None,
    strong: o.Strong = None,
    labels: o.Budget = None,
    labels_file: o.LabelsFile = None,
    balanced: o.SemiBalanced = None,
    holdout: o.Holdout = None,
    report_on: o.ReportOn = None,
    mix: o.Mix = None,
    preprocess: o.Preprocess = None,
    label_smoothing: o.Smoothing = None,
    head: o.Head = None,
    vectors: o.Vectors = None,
    word: o.Words = None,
    ema: o.Ema = None,
    accumulate: o.Accumulate = None,
    patience: o.Patience = None,
    channels_last: o.ChannelsLast = None,
    report_best_on_test: o.BestOnTest = None,
    tensorboard: o.Tensorboard = None,
    wandb: o.Wandb = None,
    tau: o.Tau = None,
    lambda1: o.Lambda1 = None,
    lambda2: o.Lambda2 = None,
    gamma: o.Gamma = None,
    d: o.Near = None,
    d_far: o.Far = None,
    anchors: o.Anchors = None,
    candidates: o.Candidates = None,
    delays: o.Delays = None,
    self_mask: o.SelfMask = None,
    sets: o.Sets = None,
    recipe: o.Recipe = None,
    runs: o.Runs = 1,
    seed: o.Seed = None,
    precision: o.Precision = None,
    device: o.Device = None,
    workers: o.Workers = None,
    out: o.Out = None,
    overwrite: o.Overwrite = None,
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Train on labels and on unlabeled images together.

    Example: fertrain semi --labeled ferplus --labels 4000 --unlabeled rmset --method rmfer --model resnet10t
    --image-size 64 --epochs 1 --out runs/rmfer

    RMFER has three phases: base (labels alone), IAL (attention within the batch), ACL (contrast on RMset). Each
    starts from the best state of the one before; the result is the best state of the last. The rivals run in the
    same loop, on the same streams; --images gives all of them the same work.
    """
    given = dict(locals())
    _run(settings(_recipe(recipe) or _semi_start(method or "rmfer"), given), out, fmt, quiet, runs)


def _semi_start(method: str) -> RunConfig:
    """Where `semi` differs from the defaults: RMFER's authors' batch, balance, augmentation and epochs for all."""
    start = RunConfig(method=method, augment="one-of")
    return replace(
        start,
        data=replace(start.data, rule="argmax", balanced=True, unlabeled="rmset"),
        optim=replace(start.optim, batch_size=32, epochs=(20, 30, 15) if method == "rmfer" else (20,)),
    )


def _recipe(name: str | None) -> RunConfig | None:
    if name is None:
        return None
    from fertrain.config.recipes import recipe

    return recipe(name).config


def _run(config: RunConfig, out: Path | None, fmt: Format, quiet: bool, runs: int) -> None:
    from fertrain.analysis.compare.ablation import run_many
    from fertrain.analysis.compare.significance import group, table
    from fertrain.training.experiment import run

    if quiet:
        set_quiet(True)
    # the time makes a name of its own, the rest says what it is
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{config.method}-{config.model.name}"
    folder = out or Path("runs") / name
    config = replace(config, out=str(folder))
    with progress() as bar:
        results = [run(config, bar, say)] if runs == 1 else run_many(config, runs, bar, say)
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
