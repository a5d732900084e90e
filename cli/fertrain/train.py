"""`fertrain supervised` and `fertrain semi`: settings out of options, then one call."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fertrain.config import RunConfig
from rmset.errors import UsageError

from ..console import Format, FormatOption, emit, progress, say, set_quiet
from . import options as o


def supervised(
    labeled: o.Labeled,
    scheme: o.Scheme = None,
    rule: o.Rule = None,
    eval_rule: o.EvalRule = None,
    model: o.ModelName = None,
    image_size: o.ImageSize = None,
    pretrained: o.Pretrained = False,
    weights: o.Weights = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images.", show_default="20")] = None,
    batch_size: o.BatchSize = None,
    lr: o.LearningRate = None,
    optimizer: o.Optimizer = None,
    schedule: o.Schedule = None,
    augment: o.Augment = None,
    labels: o.Budget = None,
    labels_file: o.LabelsFile = None,
    balanced: Annotated[bool | None, typer.Option(help="Draw every class equally often.")] = None,
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
    report_best_on_test: o.BestOnTest = False,
    tensorboard: o.Tensorboard = False,
    recipe: o.Recipe = None,
    runs: o.Runs = 1,
    seed: o.Seed = None,
    precision: o.Precision = None,
    device: o.Device = None,
    workers: o.Workers = None,
    out: o.Out = None,
    overwrite: o.Overwrite = False,
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Train on labels or votes.

    Example: fertrain supervised --labeled ferplus --scheme cel --model resnet10t --image-size 64 --epochs 1
    --out runs/cel

    The epoch is chosen on a held-out tenth of the training images; the split that is reported is counted once.
    A run that was broken off goes on where it stood when the same command is given again with the same --out.
    """
    config = _settings(
        _start(recipe, RunConfig()),
        top={
            "method": "supervised", "augment": augment, "seed": seed, "precision": precision, "device": device,
            "workers": workers, "overwrite": overwrite or None, "mix": mix, "preprocess": preprocess,
            "channels_last": channels_last, "tensorboard": tensorboard or None,
        },
        data={
            "labeled": labeled, "scheme": scheme, "rule": rule, "eval_rule": eval_rule, "labels": labels,
            "labels_file": labels_file, "balanced": balanced, "holdout": holdout, "report_on": report_on,
            "report_best_on_test": report_best_on_test or None,
        },
        model={
            "name": model, "image_size": image_size, "pretrained": pretrained or None, "weights": weights,
            "head": head, "vectors": vectors, "words": tuple(word) if word else None,
        },
        optim={
            "epochs": None if epochs is None else (epochs,), "batch_size": batch_size, "lr": lr,
            "optimizer": optimizer, "schedule": schedule, "label_smoothing": label_smoothing, "ema": ema,
            "accumulate": accumulate, "patience": patience,
        },
    )  # fmt: skip
    _run(config, out, fmt, quiet, runs)


def semi(
    labeled: o.Labeled,
    unlabeled: Annotated[
        str | None,
        typer.Option(help="rmset (the current root), a name of `datasets list`, or rmset:PATH.", show_default="rmset"),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="rmfer, or supervised to compare with.", show_default="rmfer")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Root that `rmset` means.", show_default="$RMSET_ROOT, else data/rmset")
    ] = None,
    scheme: o.Scheme = None,
    rule: Annotated[
        str | None,
        typer.Option(help="Which training images are kept; `argmax` is what RMFER reports.", show_default="argmax"),
    ] = None,
    eval_rule: o.EvalRule = None,
    model: o.ModelName = None,
    image_size: o.ImageSize = None,
    pretrained: o.Pretrained = False,
    weights: o.Weights = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="One number: so many passes in *each* phase. Or one per phase, for rmfer BASE,IAL,ACL; 0 skips one.",
            show_default="20,30,15",
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Labelled images in a step.", show_default="32")] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Rate of the first phase; IAL takes 0.06 of it, ACL 0.02.", show_default="0.001"),
    ] = None,
    optimizer: o.Optimizer = None,
    schedule: o.Schedule = None,
    augment: o.Augment = None,
    labels: o.Budget = None,
    labels_file: o.LabelsFile = None,
    balanced: Annotated[
        bool | None, typer.Option(help="Draw every class equally often.", show_default="balanced")
    ] = None,
    holdout: o.Holdout = None,
    report_on: o.ReportOn = None,
    recipe: o.Recipe = None,
    tau: Annotated[float | None, typer.Option(help="Temperature τ.", show_default="1.0")] = None,
    lambda1: Annotated[float | None, typer.Option(help="Weight of the attention loss.", show_default="1.2")] = None,
    lambda2: Annotated[float | None, typer.Option(help="Weight of the contrastive loss.", show_default="1.0")] = None,
    gamma: Annotated[float | None, typer.Option(help="Share of the candidates kept.", show_default="0.1")] = None,
    d: Annotated[
        int | None, typer.Option("--d", help="Positives: at most so many steps away.", show_default="5")
    ] = None,
    d_far: Annotated[
        int | None, typer.Option(help="Negatives: more than so many steps away.", show_default="30")
    ] = None,
    anchors: Annotated[int | None, typer.Option(help="Anchors in a step.", show_default="1")] = None,
    candidates: Annotated[
        str | None,
        typer.Option(help="mashup, or random: the control without the mashup's priors.", show_default="mashup"),
    ] = None,
    self_mask: Annotated[str | None, typer.Option(help="exclude, epsilon or off.", show_default="exclude")] = None,
    seed: o.Seed = None,
    precision: o.Precision = None,
    device: o.Device = None,
    workers: o.Workers = None,
    out: o.Out = None,
    overwrite: o.Overwrite = False,
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Train on labels and on RMset together.

    Example: fertrain semi --labeled ferplus --labels 4000 --unlabeled rmset --method rmfer --model resnet10t
    --image-size 64 --epochs 1 --out runs/rmfer

    RMFER has three phases: base (labels alone), IAL (attention within the batch), ACL (contrast on RMset). Each
    starts from the best state of the one before; the result is the best state of the last.
    """
    chosen = method or "rmfer"
    start = RunConfig()
    start = replace(
        start,
        method=chosen,
        data=replace(start.data, rule="argmax", balanced=True, unlabeled="rmset"),
        optim=replace(start.optim, batch_size=32, epochs=(20, 30, 15) if chosen == "rmfer" else (20,)),
        augment="one-of",
    )
    config = _settings(
        _start(recipe, start),
        top={
            "method": method, "augment": augment, "seed": seed, "precision": precision, "device": device,
            "workers": workers, "overwrite": overwrite or None,
        },
        data={
            "labeled": labeled, "unlabeled": unlabeled, "root": root, "scheme": scheme, "rule": rule,
            "eval_rule": eval_rule, "labels": labels, "labels_file": labels_file, "balanced": balanced,
            "holdout": holdout, "report_on": report_on,
        },
        model={"name": model, "image_size": image_size, "pretrained": pretrained or None, "weights": weights},
        optim={
            "epochs": _epochs(epochs), "batch_size": batch_size, "lr": lr, "optimizer": optimizer,
            "schedule": schedule,
        },
        rmfer={
            "tau": tau, "lambda1": lambda1, "lambda2": lambda2, "gamma": gamma, "d": d, "d_far": d_far,
            "anchors": anchors, "candidates": candidates, "self_mask": self_mask,
        },
    )  # fmt: skip
    _run(config, out, fmt, quiet)


def _epochs(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected whole numbers of epochs like 20 or 20,30,15 for --epochs, found '{text}'") from None


def _start(name: str | None, otherwise: RunConfig) -> RunConfig:
    if name is None:
        return otherwise
    from fertrain.recipes import recipe

    return recipe(name).config


def _settings(start: RunConfig, top: dict[str, Any], **groups: dict[str, Any]) -> RunConfig:
    """The start, with every option that was given."""
    changes = {k: v for k, v in top.items() if v is not None}
    for name, group in groups.items():
        given = {k: str(v) if isinstance(v, Path) else v for k, v in group.items() if v is not None}
        changes[name] = replace(getattr(start, name), **given)
    return replace(start, **changes)


def _run(config: RunConfig, out: Path | None, fmt: Format, quiet: bool, runs: int = 1) -> None:
    from fertrain.compare import group, table
    from fertrain.experiment import run
    from fertrain.repeat import run_many

    if quiet:
        set_quiet(True)
    # the time makes a name of its own, the rest says what it is
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{config.method}-{config.model.name}"
    folder = out or Path("runs") / name
    config = replace(config, out=str(folder))
    with progress() as bar:
        results = [run(config, bar, say)] if runs == 1 else run_many(config, runs, bar, say)
    rows = [
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
