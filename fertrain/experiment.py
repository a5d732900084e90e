"""One run from settings to report: the only place where training, evaluation and report meet.

>>> run(RunConfig(data=DataConfig(labeled="ferplus"), out="runs/first"))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from . import evaluate, report
from .config import RunConfig
from .datasets.images import ImageFiles, in_memory
from .datasets.labelled import Split
from .feed import Feed
from .losses.votes import scheme_named
from .methods import METHODS, Method, create
from .metrics import Scores
from .models import Recogniser, build
from .models.weights import load, load_into, save, write_tensors
from .prepare import Prepared, prepare, prepare_anchors
from .runs import RunFolder
from .train import Epoch, accelerator_for, fit

Say = Callable[[str], None]


def _nobody(line: str) -> None:
    """Hears nothing."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to."""

    folder: Path
    """The run folder."""
    metrics: dict[str, Any]
    """As in metrics.json."""
    scores: Scores
    """The same, as an object."""


def run(config: RunConfig, progress: Progress = silent, say: Say = _nobody) -> RunResult:
    """Train, choose, count once, and write the run folder.

    Args:
        config: everything that matters; the same settings give the same weights.
        progress: told how far long work is.
        say: told one line now and then.

    Raises:
        UsageError: a name that nobody has, or settings that contradict each other.
        FertrainError: data or weights that are not what they should be, or a loss that is no number.
    """
    _check(config)
    torch.manual_seed(config.seed)
    labels = _order(config)
    model = build(config.model.name, len(labels), config.model.image_size, pretrained=config.model.pretrained)
    method = create(model, config, scheme_named(config.data.scheme))
    folder = RunFolder.create(Path(config.out), overwrite=config.overwrite)
    if config.model.weights:
        loaded = load_into(model, Path(config.model.weights), labels)
        head = "head included" if loaded.head else "head starts anew"
        say(f"{config.model.weights}: {loaded.used} tensors used, {loaded.left} keep their start, {head}")
    data = prepare(config, model.channels, folder, progress, say)
    accelerator = accelerator_for(config, depthwise=model.depthwise)
    anchors = None
    if any(phase.anchors and phase.epochs for phase in method.phases):
        anchors, data.measured["unlabelled_stream"] = prepare_anchors(config, data.contract, progress)
        crops = data.measured["unlabelled_stream"]["crops"]
        say(f"{config.data.unlabeled}: {crops:,} crops, {len(anchors.anchors):,} anchors")
    data.measured["precision"] = accelerator.mixed_precision
    folder.write_config({**asdict(config), "measured": data.measured})
    feed = Feed(
        data.learn, anchors, batch_size=config.optim.batch_size, seed=config.seed, workers=config.workers,
        device=accelerator.device,
    )  # fmt: skip

    def held_out_accuracy() -> float:
        return evaluate.score(model, labels, data.contract, data.held, data.held_images).overall_accuracy

    def keep(history: list[Epoch]) -> None:
        _keep(folder, method, labels, data, history)

    fitted = fit(method, feed, held_out_accuracy, config, accelerator, keep=keep, say=say, progress=progress)
    _keep(folder, method, labels, data, fitted.history)
    chosen = fitted.best
    held = f"{config.data.labeled}:train held-out part ({len(data.held):,} images, rule {data.held.rule})"
    selected = f"{held}, epoch {chosen.epoch} of {len(fitted.history)}" if chosen else "nothing: no epoch was run"
    scores = _count(config, data, model, labels, progress)
    metrics = {**scores.to_json(), "selected_on": selected}
    folder.write_metrics(metrics)
    report.write(folder)
    say(f"{scores}; epoch chosen on {selected}")
    return RunResult(folder.path, metrics, scores)


def evaluate_run(
    path: Path, on: str, eval_rule: str = "majority", progress: Progress = silent
) -> tuple[Scores, evaluate.Invariance, dict[str, Any]]:
    """Count a finished run on `NAME[:SPLIT]`, after the invariance check on a sample.

    Returns:
        The scores, what the invariance check found, and both as JSON values.
    """
    folder = RunFolder.open(path)
    model, labels, contract = load(folder.weights)
    dataset, split_name = open_target(on)
    split = evaluate.open_split(dataset, split_name, eval_rule)
    images = evaluate.images_of(split, contract)
    invariance = evaluate.check_invariance(model, contract, images)
    scores = evaluate.score(model, labels, contract, split, images, progress=progress)
    values = {
        **scores.to_json(),
        "selected_on": folder.metrics()["selected_on"] if (path / "metrics.json").exists() else None,
        "run": str(path),
        "invariance": {"images": invariance.images, "largest_difference": invariance.largest},
    }
    return scores, invariance, values


def open_target(on: str) -> tuple[Any, str]:
    """The data set and the split of `NAME[:SPLIT]`; without SPLIT `test` if there is one, else `valid`."""
    from .datasets.registry import KINDS, open_labelled

    name, _, split = on.rpartition(":")
    # `folder:/path` is a data set by itself, and no split is called like a path
    if not name or (name in KINDS and "/" in split):
        name, split = on, ""
    dataset = open_labelled(name)
    return dataset, split or next((s for s in ("test", "valid") if s in dataset.splits()), "test")


def _check(config: RunConfig) -> None:
    """Refuse settings that can only be a mistake, before anything is read."""
    if config.method not in METHODS:
        create(build("vgg13", 2), config, scheme_named("mv"))
    if not config.out:
        raise UsageError("expected a folder for the run, found none; give --out")
    if config.precision not in ("auto", "fp32", "bf16"):
        raise UsageError(f"expected precision auto, fp32 or bf16, found '{config.precision}'")
    if config.optim.batch_size < 2 or config.model.image_size < 16 or min(config.optim.epochs, default=-1) < 0:
        raise UsageError(
            f"expected a batch of 2 or more, images of 16 px or more and no negative epochs, found batch "
            f"{config.optim.batch_size}, {config.model.image_size} px, epochs {list(config.optim.epochs)}"
        )
    if not 0 < config.data.holdout < 1:
        raise UsageError(f"expected a held-out share between 0 and 1, found {config.data.holdout}")


def _order(config: RunConfig) -> tuple[str, ...]:
    """Classes of the labelled set: the head's outputs, in this order."""
    from .datasets.registry import open_labelled

    return tuple(open_labelled(config.data.labeled).order.classes)


def _keep(folder: RunFolder, method: Method, labels: tuple[str, ...], data: Prepared, history: list[Epoch]) -> None:
    """Write the weights as they are now, and the history that led to them."""
    save(method.model, labels, data.contract, folder.weights)
    own = {f"model.{k}" for k in method.model.state_dict()}
    rest = {k: v for k, v in method.module.state_dict().items() if k not in own}
    if method.module is not method.model:
        write_tensors(rest, folder.method_weights, {"format": "pt"})
    folder.write_history([epoch.row() for epoch in history])


def _count(config: RunConfig, data: Prepared, model: Recogniser, labels: tuple[str, ...], progress: Progress) -> Scores:
    """Scores on the split that is reported: touched here, once, after everything was chosen."""
    wanted = config.data.report_on
    found = next((s for s in ("test", "valid") if s in data.dataset.splits()), None)
    name = wanted or found
    if name is None:
        part = f"{config.data.labeled}:train held-out part"
        return evaluate.score(model, labels, data.contract, data.held, data.held_images, part=part)
    split: Split = evaluate.open_split(data.dataset, name, config.data.eval_rule)
    files = ImageFiles(split.source, split.names, data.contract.size, grey=data.contract.grey)
    images = in_memory(files, data.contract.shape, config.memory_mb, progress, f"{name} images")
    evaluate.check_invariance(model, data.contract, images)
    return evaluate.score(model, labels, data.contract, split, images, progress=progress)
