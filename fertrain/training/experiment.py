"""One run, from settings to report: training, evaluation, report.

run(RunConfig(data=DataConfig(labeled="ferplus"), out="runs/first"))
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rmset.errors import UsageError
from rmset.files import sha256_of
from rmset.progress import Progress, Say, quiet, silent

from .. import ranks
from ..config.run import RunConfig
from ..config.serialization import deciding, settings_of
from ..datasets.base import Split
from ..datasets.folds import fold_of
from ..datasets.images import Images, in_memory
from ..datasets.registry import images_of, open_entry, open_split, reported
from ..datasets.subsets import index_hash, write_index
from ..evaluation import evaluate, model_card, report
from ..evaluation.calibration import calibration
from ..evaluation.metrics import Scores
from ..methods import Method
from ..models.checkpoint_file import read_file
from ..models.classifier import Classifier
from ..models.compiled import compile_features
from ..models.factory import build_tried
from ..models.image_size import require_test_scales
from ..models.label_embedding import read_vectors, words_of
from ..models.transfer import Loaded, load_into
from ..models.weights import load, save, write_tensors
from ..run_folder import RunFolder
from .batches import TrainLoader, as_set, seed_of, within
from .checkpoint import Checkpoints
from .data import LabeledData, open_labeled_data, open_unlabeled
from .loggers import Curves, curves
from .loop import Epoch, accelerator_for, fit
from .resolve import resolve

_ON_TEST = "accuracy_on_reported_split"


@dataclass(frozen=True)
class RunResult:
    """Result of a run."""

    folder: Path
    """The run folder."""
    metrics: dict[str, Any]
    """As in metrics.json."""
    scores: Scores
    """The same, as an object."""


def run(config: RunConfig, progress: Progress = silent, say: Say = quiet) -> RunResult:
    """Train, choose the epoch, evaluate once, and write the run folder.

    Args:
        config: all settings; the same ones give the same weights.
        progress: progress callback.
        say: callback for one-line messages.

    Raises:
        UsageError: an unknown name, or settings that contradict each other.
        FertrainError: unreadable or unfitting data or weights, or a loss that is not finite.
    """
    with ExitStack() as held, ranks.joined(config.device):
        if not ranks.is_first():
            progress, say = silent, quiet
        # a default name has the time in it
        return _run(replace(config, out=ranks.agreed(config.out)), progress, say, held)


def _run(config: RunConfig, progress: Progress, say: Say, held: ExitStack) -> RunResult:
    """Run inside the folder's lock; everything it holds is freed on return."""
    if not config.out:
        raise UsageError("expected a folder for the run, found none; give `out`")
    parts = resolve(config)
    torch.manual_seed(config.seed)
    dataset = fold_of(open_entry(parts.labeled), config.data.fold)
    labels = tuple(dataset.order.classes)
    model = build_tried(config.model.name, len(labels), config.model.image_size, config.model.pretrained)
    model.flip_test, model.test_scales = config.model.flip_test, config.model.test_scales
    require_test_scales(model, config.model.image_size, model.test_scales)
    if config.model.head == "embedding":
        words = words_of(labels, config.model.words)
        model.speak(read_vectors(Path(config.model.vectors or ""), words))
    method = parts.method(model, config, parts.scheme)
    folder = RunFolder(Path(config.out))
    if ranks.is_first():
        folder = RunFolder.create(Path(config.out), overwrite=config.overwrite)
        held.enter_context(folder.locked())
    loaded = _started(config, model, labels, say)
    begun = _continued(config, method, labels)
    data = open_labeled_data(parts, dataset, model.channels, progress, say)
    accelerator = accelerator_for(config.device, config.precision, depthwise=model.depthwise)
    beside = open_unlabeled(parts, method.phases, data, progress, say)
    loader = TrainLoader(
        data.learn, beside.anchors, beside.images, batch_size=config.optim.batch_size, seed=config.seed,
        workers=config.workers, device=accelerator.device, channels_last=config.channels_last,
        threads=config.reading == "threads", block=config.data.block,
    )  # fmt: skip
    phases = within(as_set(beside.phases, config.optim), config.optim.images, loader.images_per_step)
    loader.check_shares(phases)
    if config.optim.images is not None:
        # every epoch has whole steps, so a small budget is met only approximately
        passing = sum(p.epochs * loader.steps(p) * loader.images_per_step(p) for p in phases)
        say(f"budget: {config.optim.images:,} images, {passing:,.0f} of them in whole steps")
    measured = {
        **data.measured, "precision": "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    }  # fmt: skip
    if config.augment != config.augmentation:
        measured["augment"] = config.augmentation
    if data.chosen is not None:
        measured["train"] = {**measured["train"], "labels_sha256": index_hash(data.chosen)}
    if config.model.weights and loaded:
        measured["weights_sha256"] = sha256_of(Path(config.model.weights))
        measured["weights"] = loaded.record()
    if begun:
        measured["run_sha256"] = begun
    if config.method == "ldl" and config.ldl.graphs:
        measured["graphs_sha256"] = [sha256_of(Path(path)) for path in config.ldl.graphs]
    if beside.measured:
        measured["unlabelled_stream"] = beside.measured
    checkpoints = Checkpoints(folder.checkpoint, _deciding(config, measured), config.checkpoint_steps)
    stands = checkpoints.stands()
    ranks.wait()
    if ranks.is_first():
        folder.begin(stands=stands, settings=deciding(config), overwrite=config.overwrite)
        if data.chosen is not None:
            write_index(data.chosen, folder.labels)
        # The exports do not decide the weights beyond the hash that is measured.
        origin = {"unlabelled_exports": beside.exports} if beside.exports else {}
        made_with = _made_with(accelerator.device)
        folder.write_config({**settings_of(config), "measured": {**measured, **origin}, "made_with": made_with})
    counted = _Counted(config, data, folder)

    def held_out_accuracy() -> float:
        judged = evaluate.judge(
            model, labels, data.spec, data.held, data.held_images, workers=config.workers, shared=True
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
        if ranks.is_first():
            _keep(folder, method, labels, data, history)

    if config.compile:
        model.to(accelerator.device)
        with accelerator.autocast():
            compile_features(model, config.model.image_size, config.optim.batch_size, say)
    _own_draws(config.seed)
    with curves(config, folder.path) as drawn:
        fitted = fit(
            method, loader, held_out_accuracy, config.optim, accelerator, phases=phases, keep=keep,
            observe=partial(observe, drawn=drawn), say=say, progress=progress, checkpoints=checkpoints,
        )  # fmt: skip
    keep(fitted.history)
    chosen = fitted.best
    if chosen is None:
        selected = "nothing: no epoch was run"
    elif config.optim.keep == "last":
        selected = f"nothing: the last of {len(fitted.history)} epochs"
    else:
        selected = f"{data.held_in_words(config.data.labeled)}, epoch {chosen.epoch} of {len(fitted.history)}"
    judged = counted.judge(model, labels, "at the end of the run", progress, check=True)
    scores = judged.scores
    metrics = {**judged.to_json(), "selected_on": selected, "times_counted": counted.times}
    unlearned = evaluate.judge(
        model, labels, data.spec, data.held, data.held_images, workers=config.workers, shared=True
    )  # fmt: skip
    metrics["temperature"] = calibration(
        unlearned.probabilities, unlearned.split.classes, judged.probabilities, judged.split.classes,
        fitted_on=data.held_in_words(config.data.labeled),
    )  # fmt: skip
    if config.data.report_best_on_test and fitted.history:
        best = max(fitted.history, key=lambda epoch: epoch.shares.get(_ON_TEST, 0.0))
        metrics["best_on_test"] = {
            "overall_accuracy": best.shares[_ON_TEST], "epoch": best.epoch,
            "warning": f"chosen on {scores.split} itself, which flatters; not comparable with overall_accuracy",
        }  # fmt: skip
        say(f"best on test, chosen on {scores.split} itself: {best.shares[_ON_TEST]:.2%} in epoch {best.epoch}")
    if ranks.is_first():
        report.write(folder, metrics, evaluate.thumbnails(judged, data.spec))
        model_card.write(folder, metrics)
        folder.write_metrics(metrics)
        checkpoints.remove()
    # the others may read the folder from here on
    ranks.wait()
    say(f"{scores}; epoch chosen on {selected}")
    return RunResult(folder.path, metrics, scores)


def _own_draws(seed: int) -> None:
    """Give every process but the first its own random numbers, or all would drop out alike."""
    if not ranks.is_first():
        torch.manual_seed(seed_of(seed, 14, ranks.index(), ranks.count()))


def _started(config: RunConfig, model: Classifier, labels: tuple[str, ...], say: Say) -> Loaded | None:
    """Load the weights named in the settings; None if there are none."""
    m = config.model
    if not m.weights:
        return None
    loaded = load_into(model, Path(m.weights), labels, part=m.weights_part, partial=m.weights_partial)
    for line in loaded.lines(m.weights):
        say(line)
    return loaded


def _continued(config: RunConfig, method: Method, labels: tuple[str, ...]) -> list[str]:
    """Load all weights of the run to go on from, as if its phases had been run here; returns their hashes."""
    if config.model.run is None:
        return []
    folder = RunFolder.open(Path(config.model.run))
    other = folder.config()
    same = (other.method, other.model.name, other.model.image_size) == (
        config.method, config.model.name, config.model.image_size
    )  # fmt: skip
    if not same or load(folder.weights)[1] != labels:
        raise UsageError(
            f"expected a run of {config.method} with {config.model.name} at {config.model.image_size} px and the "
            f"classes {', '.join(labels)} to go on from, found another in {folder.path}"
        )
    for phase in itertools.takewhile(lambda phase: phase.epochs == 0, method.phases):
        method.begin(phase)
    files = [path for path in (folder.weights, folder.method_weights) if path.is_file()]
    state = {f"model.{name}": value for name, value in read_file(files[0])[0].items()}
    for path in files[1:]:
        state |= read_file(path)[0]
    method.module.load_state_dict(state if method.module is not method.model else read_file(files[0])[0])
    return [sha256_of(path) for path in files]


def _keep(folder: RunFolder, method: Method, labels: tuple[str, ...], data: LabeledData, history: list[Epoch]) -> None:
    """Write the current weights and the history so far."""
    save(method.model, labels, data.spec, folder.weights)
    own = {f"model.{k}" for k in method.model.state_dict()}
    rest = {k: v for k, v in method.module.state_dict().items() if k not in own}
    if method.module is not method.model:
        write_tensors(rest, folder.method_weights, {"format": "pt"})
    folder.write_history([epoch.row() for epoch in history])


def _deciding(config: RunConfig, measured: Mapping[str, Any]) -> str:
    """Hash everything that determines the weights."""
    return hashlib.sha256(json.dumps([deciding(config), measured], default=str).encode()).hexdigest()


def _made_with(device: torch.device) -> dict[str, str]:
    """Record processor and library versions, because rounding depends on them."""
    packages = {name: version(name) for name in ("rmset", "torch", "timm")}
    return {"device": str(device), "processor": platform.machine(), "python": platform.python_version(), **packages}


class _Counted:
    """The reported split, opened on first use; every evaluation is logged."""

    def __init__(self, config: RunConfig, data: LabeledData, folder: RunFolder) -> None:
        self.config, self.data, self.folder, self.times = config, data, folder, 0
        self._opened: tuple[Split, Images] | None = None

    def judge(
        self, model: Classifier, labels: tuple[str, ...], why: str, progress: Progress = silent, *, check: bool = False
    ) -> evaluate.EvalResult:
        """Evaluate the split; `check` first verifies that predictions do not depend on the batch."""
        config, data = self.config, self.data
        name = reported(data.dataset, config.data.report_on)
        if name is None:
            part = f"{config.data.labeled}:train held-out part"
            if check:
                evaluate.check_invariance(model, data.spec, data.held_images)
            return evaluate.judge(
                model, labels, data.spec, data.held, data.held_images, part=part, workers=config.workers, shared=True
            )
        if self._opened is None:
            split = open_split(data.dataset, name, config.data.eval_rule)
            files = images_of(split, data.spec, reduced=config.data.decode == "reduced")
            shape = data.spec.shape
            self._opened = split, in_memory(files, shape, config.memory_mb, progress, f"{name} images")
        split, images = self._opened
        if check:
            evaluate.check_invariance(model, data.spec, images)
        judged = evaluate.judge(
            model, labels, data.spec, split, images, workers=config.workers, progress=progress, shared=True
        )  # fmt: skip
        scores = judged.scores
        if ranks.is_first():
            self.times = self.folder.note_evaluation(
                scores.split, scores.rule, scores.overall_accuracy, why, once=check
            )  # fmt: skip
        return judged
