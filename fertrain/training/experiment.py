"""One run from settings to report: the only place where training, evaluation and report meet.

>>> run(RunConfig(data=DataConfig(labeled="ferplus"), out="runs/first"))  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rmset.errors import UsageError
from rmset.files import sha256_of
from rmset.progress import Progress, silent

from ..config.run import RunConfig
from ..config.serialization import deciding, settings_of
from ..datasets.base import Split
from ..datasets.images import Images, in_memory
from ..datasets.registry import UNLABELED, images_of, open_labeled, open_split, reported, resolve
from ..datasets.subsets import write_index
from ..errors import UnknownNameError
from ..evaluation import evaluate, report
from ..evaluation.metrics import Scores
from ..losses.supervised import scheme_named
from ..methods import METHODS, Method, create
from ..models.classifier import Classifier
from ..models.factory import build, require_model
from ..models.label_embedding import read_vectors, words_of
from ..models.transfer import Loaded, load_into
from ..models.weights import save, write_tensors
from ..run_folder import RunFolder
from ..transforms.augment import augmentation
from ..transforms.mixup import mix
from ..unlabeled.candidates import check_kind
from ..unlabeled.sources import REST
from .batches import TrainLoader, within
from .checkpoint import Checkpoints
from .data import LabeledData, open_labeled_data, open_unlabeled
from .loggers import Curves, curves, require
from .loop import Epoch, accelerator_for, fit
from .optim import OPTIMIZERS, SCHEDULES

Say = Callable[[str], None]
_ON_TEST = "accuracy_on_reported_split"


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
    check(config)
    torch.manual_seed(config.seed)
    dataset = open_labeled(config.data.labeled)
    labels = tuple(dataset.order.classes)
    model = build(config.model.name, len(labels), config.model.image_size, pretrained=config.model.pretrained)
    if config.model.head == "embedding":
        words = words_of(labels, config.model.words)
        model.speak(read_vectors(Path(config.model.vectors or ""), words))
    method = create(model, config, scheme_named(config.data.scheme))
    folder = RunFolder.create(Path(config.out), overwrite=config.overwrite)
    loaded = _started(config, model, labels, say)
    data = open_labeled_data(config, dataset, model.channels, progress, say)
    accelerator = accelerator_for(config, depthwise=model.depthwise)
    beside = open_unlabeled(config, method.phases, data, progress, say)
    loader = TrainLoader(
        data.learn, beside.anchors, beside.images, batch_size=config.optim.batch_size, seed=config.seed,
        workers=config.workers, device=accelerator.device, channels_last=config.channels_last,
    )  # fmt: skip
    phases = within(beside.phases, config.optim.images, loader.images_per_step)
    if config.optim.images is not None:
        # whole steps in every epoch: of a small budget they leave some over, or take some more
        passing = sum(p.epochs * loader.steps(p) * loader.images_per_step(p) for p in phases)
        say(f"budget: {config.optim.images:,} images, {passing:,.0f} of them in whole steps")
    folder.begin()
    measured = {
        **data.measured, "precision": "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    }  # fmt: skip
    if data.chosen is not None:
        measured["train"] = {**measured["train"], "labels_sha256": write_index(data.chosen, folder.labels)}
    if config.model.weights and loaded:
        measured["weights_sha256"] = sha256_of(Path(config.model.weights))
        measured["weights"] = loaded.record()
    if beside.measured:
        measured["unlabelled_stream"] = beside.measured
    folder.write_config({**settings_of(config), "measured": measured, "made_with": _made_with(accelerator.device)})
    counted = _Counted(config, data, folder)

    def held_out_accuracy() -> float:
        judged = evaluate.judge(
            model, labels, data.spec, data.held, data.held_images, workers=config.workers
        )  # fmt: skip
        return judged.scores.overall_accuracy

    def observe(epoch: Epoch, drawn: Sequence[Curves]) -> Epoch:
        if config.data.report_best_on_test and not math.isnan(epoch.heldout_accuracy):
            judged = counted.judge(model, labels, "after an epoch, for --report-best-on-test")
            epoch = replace(epoch, shares={**epoch.shares, _ON_TEST: judged.scores.overall_accuracy})
        for curve in drawn:
            curve.write(epoch.epoch, epoch.row())
        return epoch

    def keep(history: list[Epoch]) -> None:
        _keep(folder, method, labels, data, history)

    checkpoints = Checkpoints(folder.checkpoint, _deciding(config, measured))
    with curves(config, folder.path) as drawn:
        fitted = fit(
            method, loader, held_out_accuracy, config, accelerator, phases=phases, keep=keep,
            observe=partial(observe, drawn=drawn), say=say, progress=progress, checkpoints=checkpoints,
        )  # fmt: skip
    _keep(folder, method, labels, data, fitted.history)
    chosen = fitted.best
    held = f"{config.data.labeled}:train held-out part ({len(data.held):,} images, rule {data.held.rule})"
    selected = f"{held}, epoch {chosen.epoch} of {len(fitted.history)}" if chosen else "nothing: no epoch was run"
    judged = counted.judge(model, labels, "at the end of the run", progress, check=True)
    scores = judged.scores
    metrics = {**judged.to_json(), "selected_on": selected, "times_counted": counted.times}
    if config.data.report_best_on_test and fitted.history:
        best = max(fitted.history, key=lambda epoch: epoch.shares.get(_ON_TEST, 0.0))
        metrics["best_on_test"] = {
            "overall_accuracy": best.shares[_ON_TEST], "epoch": best.epoch,
            "warning": f"chosen on {scores.split} itself, which flatters; not comparable with overall_accuracy",
        }  # fmt: skip
        say(f"best on test, chosen on {scores.split} itself: {best.shares[_ON_TEST]:.2%} in epoch {best.epoch}")
    folder.write_metrics(metrics)
    checkpoints.remove()
    report.write(folder, evaluate.thumbnails(judged, data.spec))
    say(f"{scores}; epoch chosen on {selected}")
    return RunResult(folder.path, metrics, scores)


def check(config: RunConfig) -> None:
    """Refuse settings that can only be a mistake, before anything is read.

    Raises:
        UsageError: says which.
    """
    if config.method not in METHODS:
        raise UnknownNameError("method", config.method, METHODS)
    if not config.out:
        raise UsageError("expected a folder for the run, found none; give --out")
    if config.precision not in ("auto", "fp32", "bf16"):
        raise UsageError(f"expected precision auto, fp32 or bf16, found '{config.precision}'")
    if config.device not in ("auto", "cpu"):
        raise UsageError(
            f"expected device auto (CUDA or MPS if there is one, else the processor) or cpu, found '{config.device}'; "
            "CUDA_VISIBLE_DEVICES=1 takes another card"
        )
    if not 0 <= config.seed < 2**63:
        raise UsageError(f"expected a seed from 0 to 2^63 - 1, found {config.seed}")
    if config.optim.batch_size < 2 or config.model.image_size < 16 or min(config.optim.epochs, default=-1) < 0:
        raise UsageError(
            f"expected a batch of 2 or more, images of 16 px or more and no negative epochs, found batch "
            f"{config.optim.batch_size}, {config.model.image_size} px, epochs {list(config.optim.epochs)}"
        )
    if config.model.head not in ("linear", "embedding"):
        raise UsageError(f"expected the head linear or embedding, found '{config.model.head}'")
    if config.model.head == "embedding" and (not config.model.vectors or config.method != "supervised"):
        raise UsageError(
            "expected --vectors FILE and the method supervised for the head embedding, found "
            f"{config.model.vectors or 'no file'} and {config.method}"
        )
    o = config.optim
    for what, name, known in (("optimizer", o.optimizer, OPTIMIZERS), ("schedule", o.schedule, SCHEDULES)):
        if name not in known:
            raise UnknownNameError(what, name, known)
    require(config)
    require_model(config.model.name)
    scheme_named(config.data.scheme)
    mix(config.mix, config.mix_alpha)
    for augment in (config.augment, config.strong):
        augmentation(augment)
    if not 0 <= o.label_smoothing < 1 or not 0 <= o.ema < 1 or o.accumulate < 1 or config.checkpoint_steps < 1:
        raise UsageError(
            f"expected smoothing and ema from 0 to below 1, accumulate and checkpoint steps from 1, found "
            f"{o.label_smoothing}, {o.ema}, {o.accumulate}, {config.checkpoint_steps}"
        )
    if config.data.scheme == "ml" and (o.label_smoothing or config.mix != "none"):
        raise UsageError("expected no smoothing and no mix with the scheme ml, which counts any positive share")
    if not 0 < config.data.holdout < 1:
        raise UsageError(f"expected a held-out share between 0 and 1, found {config.data.holdout}")
    if not 0 <= config.data.unlabeled_fraction <= 1:
        raise UsageError(
            f"expected a share of the unlabeled images from 0 to 1, found {config.data.unlabeled_fraction}"
        )
    if config.method == "rmfer":
        check_kind(config.rmfer)
    if o.images is not None and o.images < 1:
        raise UsageError(f"expected a budget of one image or more, found {o.images}")
    for source in (config.data.labeled, config.data.unlabeled):
        if source and source not in (REST, UNLABELED):
            resolve(source)


def _started(config: RunConfig, model: Classifier, labels: tuple[str, ...], say: Say) -> Loaded | None:
    """Take the weights that the settings name; None if they name none."""
    m = config.model
    if not m.weights:
        return None
    loaded = load_into(model, Path(m.weights), labels, part=m.weights_part, partial=m.weights_partial)
    for line in loaded.told(m.weights):
        say(line)
    return loaded


def _keep(folder: RunFolder, method: Method, labels: tuple[str, ...], data: LabeledData, history: list[Epoch]) -> None:
    """Write the weights as they are now, and the history that led to them."""
    save(method.model, labels, data.spec, folder.weights)
    own = {f"model.{k}" for k in method.model.state_dict()}
    rest = {k: v for k, v in method.module.state_dict().items() if k not in own}
    if method.module is not method.model:
        write_tensors(rest, folder.method_weights, {"format": "pt"})
    folder.write_history([epoch.row() for epoch in history])


def _deciding(config: RunConfig, measured: Mapping[str, Any]) -> str:
    """A hash of all that decides the weights."""
    return hashlib.sha256(json.dumps([deciding(config), measured], default=str).encode()).hexdigest()


def _made_with(device: torch.device) -> dict[str, str]:
    """What rounding depends on: the same settings give the same bits on the same machine with the same libraries."""
    packages = {name: version(name) for name in ("rmset", "torch", "timm")}
    return {"device": str(device), "processor": platform.machine(), "python": platform.python_version(), **packages}


class _Counted:
    """The split that is reported. It is opened when it is first counted, and every count is written down."""

    def __init__(self, config: RunConfig, data: LabeledData, folder: RunFolder) -> None:
        self.config, self.data, self.folder, self.times = config, data, folder, 0
        self._opened: tuple[Split, Images] | None = None

    def judge(
        self, model: Classifier, labels: tuple[str, ...], why: str, progress: Progress = silent, *, check: bool = False
    ) -> evaluate.EvalResult:
        """Judge its images; with `check` after proving that predictions do not depend on their batch."""
        config, data = self.config, self.data
        name = reported(data.dataset, config.data.report_on)
        if name is None:
            part = f"{config.data.labeled}:train held-out part"
            if check:
                evaluate.check_invariance(model, data.spec, data.held_images)
            return evaluate.judge(
                model, labels, data.spec, data.held, data.held_images, part=part, workers=config.workers
            )
        if self._opened is None:
            split = open_split(data.dataset, name, config.data.eval_rule)
            files, shape = images_of(split, data.spec), data.spec.shape
            self._opened = split, in_memory(files, shape, config.memory_mb, progress, f"{name} images")
        split, images = self._opened
        if check:
            evaluate.check_invariance(model, data.spec, images)
        judged = evaluate.judge(model, labels, data.spec, split, images, workers=config.workers, progress=progress)
        scores = judged.scores
        self.times = self.folder.note_evaluation(scores.split, scores.rule, scores.overall_accuracy, why)
        return judged
