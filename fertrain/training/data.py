"""Images of a run: from settings to the labeled stream, the held-out part, and the unlabeled streams beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, Say, quiet, silent

from ..config import DataConfig, RmferConfig, RunConfig
from ..config.serialization import changed
from ..datasets.base import GIVEN, LabeledSet, Level, Split
from ..datasets.folds import fold_of
from ..datasets.holdout import VALID, hold_out_by
from ..datasets.images import Images, in_memory
from ..datasets.registry import crop_of, images_of, open_entry, open_split, open_target, reported, resolve_labeled
from ..datasets.subsets import class_aware, read_index
from ..errors import DatasetError, UnknownNameError
from ..losses.supervised import SCHEMES, Scheme
from ..methods import Phase
from ..models.inference import channel_stats
from ..run_folder import RunFolder
from ..transforms.input_spec import InputSpec
from ..unlabeled.candidates import Anchors, RandomCandidates, open_anchors
from ..unlabeled.sources import Source, open_source, rest_of
from .batches import AnchorStream, LabeledStream, UnlabeledStream
from .resolve import Resolved


@dataclass(frozen=True)
class LabeledData:
    """Labeled data of a run."""

    dataset: LabeledSet
    """The labeled set."""
    learn: LabeledStream
    """Training images."""
    held: Split
    """The held-out part of the training images, under the evaluation rule."""
    held_images: Images
    """Its pixels."""
    spec: InputSpec
    """Input spec of the network, with the labeled stream's mean and std."""
    rest: Split
    """Images of `train` outside the label budget, under the same rule: neither trained on nor held out."""
    chosen: Split | None
    """Images chosen by a budget or an index file, for the run's labels.csv; None if all are used."""
    measured: dict[str, Any] = field(default_factory=dict)
    """Counts, hashes, means: what config.toml records beside the settings."""
    held_by: str = "name"
    """Grouping of the held-out part; `valid` if it is the set's own split."""

    def held_in_words(self, labeled: str) -> str:
        """Describe the held-out images; `labeled` is the set's name in the settings."""
        images = f"{len(self.held):,} images, rule {self.held.rule}"
        if self.held_by == VALID:
            return f"{labeled}:valid ({images})"
        return f"{labeled}:train held-out part ({images}, by {self.held_by})"


def plain_spec(size: int, channels: int, *, gray: bool, preprocess: str = "none") -> InputSpec:
    """Make a spec before its mean and std are measured."""
    return InputSpec(
        size, channels, (0.0,) * channels, (1.0,) * channels, gray=gray or channels == 1, preprocess=preprocess
    )


def open_labeled_data(
    run: Resolved, dataset: LabeledSet, channels: int, progress: Progress = silent, say: Say = quiet
) -> LabeledData:
    """Choose the labeled images of a run and measure them.

    Args:
        run: resolved config.
        dataset: opened labeled set.
        channels: channels of the network's input.
        progress: callback on the number of decoded images.
        say: callback for one line on the chosen images.
    """
    config, data = run.config, run.config.data
    for finding in dataset.findings():
        if finding.level is Level.WARNING:
            say(f"{data.labeled}: {finding}")
    found = _choose(config, run.scheme, dataset, progress)
    available, train, learn, held, held_by = found.available, found.train, found.learn, found.held, found.held_by
    measured: dict[str, Any] = {"train": {"rule": found.rule, "available": len(available)}}
    if run.label_noise is not None:
        # after the split: what chooses the epoch keeps its labels
        learn, noise = run.label_noise.applied(learn, config.seed)
        measured["train"]["label_noise"] = noise
        say(f"label noise: {noise['changed']:,} of {len(learn):,} labels are wrong on purpose")
    chosen = None if train is available else train
    if len(learn) < 2 or len(held) < 1:
        raise DatasetError(
            f"expected at least two images to learn from and one held out (rule {held.rule}), found {len(learn)} and "
            f"{len(held)} in {data.labeled} train; give more labels or a larger `data.holdout`"
        )
    measured["train"] |= {
        "learnt_from": len(learn), "held_out": len(held), "held_out_rule": held.rule, "holdout_by": held_by,
        "sha256": learn.sha256(),
        "held_out_sha256": held.sha256(),
    }  # fmt: skip
    spec = plain_spec(config.model.image_size, channels, gray=learn.gray, preprocess=config.preprocess)
    reduced = data.decode == "reduced"
    files, held_files = (images_of(split, spec, reduced=reduced) for split in (learn, held))
    images = in_memory(files, spec.shape, config.memory_mb, progress, "training images")
    held_images = in_memory(held_files, spec.shape, config.memory_mb, progress, "held-out images")
    crop = crop_of(run.labeled.path)
    spec = replace(spec.with_moments(channel_stats(images, spec)), crop=crop)
    measured["labelled_stream"] = {"mean": spec.mean, "std": spec.std, "grey": spec.gray}
    say(
        f"{data.labeled} train: {len(learn):,} images to learn from and {len(held):,} held out by {held_by} "
        f"(rule {found.rule}, scheme {data.scheme})"
    )
    stream = LabeledStream(
        learn, images, spec, run.scheme, run.weak, data.balanced, config.optim.label_smoothing, run.mix
    )  # fmt: skip
    rest = rest_of(available, train.names)
    return LabeledData(dataset, stream, held, held_images, spec, rest, chosen, measured, held_by)


@dataclass(frozen=True)
class _Choice:
    """Labeled images of a run, before any is decoded."""

    available: Split
    """All images of `train` that the rule selects."""
    train: Split
    """Those of the label budget; the same object without one."""
    learn: Split
    held: Split
    held_by: str
    rule: str


def _choose(config: RunConfig, scheme: Scheme, dataset: LabeledSet, progress: Progress) -> _Choice:
    """Select the images to learn from and those that choose the epoch."""
    data = config.data
    available, rule = _training_split(dataset, data, scheme)
    if (counted := reported(dataset, data.report_on)) is not None:
        # a missing split to report must be found before the training, not after it
        open_split(dataset, counted, data.eval_rule)
    train = available
    if data.labels is not None:
        train = train.take(class_aware(train, data.labels, config.seed))
    elif data.labels_file is not None:
        train = train.take(read_index(train, Path(data.labels_file)))
    learn, held, held_by = _held_out(config, dataset, train, counted, progress)
    return _Choice(available, train, learn, held, held_by, rule)


HELD_OUT = "held-out"
"""Name of the images that a run held out, where a split is asked for."""


def split_of(run: RunFolder, on: str, rule: str, progress: Progress = silent) -> Split:
    """Open `NAME[:SPLIT]` under a rule, or with `HELD_OUT` the images that a run held out, where choices are made.

    Raises:
        UsageError: the set is unknown here.
        DatasetError: there is no such split or rule, or the set has changed so that it cannot be read.
    """
    if on != HELD_OUT:
        return open_split(*open_target(on), rule)
    config = run.config()
    held = held_out_part(changed(config, {"data": {"eval_rule": rule}}, "the rule"), progress)
    return held if config.data.holdout_by == VALID else replace(held, split=f"{held.split} held-out part")


def held_out_part(config: RunConfig, progress: Progress = silent) -> Split:
    """Return the images that a run held out, without decoding them.

    Raises:
        UsageError: its labeled set is unknown here.
        DatasetError: the set has changed so that it cannot be read.
    """
    dataset = fold_of(open_entry(resolve_labeled(config.data.labeled)), config.data.fold)
    return _choose(config, SCHEMES[config.data.scheme], dataset, progress).held


def _held_out(
    config: RunConfig, dataset: LabeledSet, train: Split, counted: str | None, progress: Progress
) -> tuple[Split, Split, str]:
    """Split images into those to learn from and those that choose the epoch; also names the grouping."""
    data = config.data
    if data.holdout_by == VALID:
        # the last epoch is not chosen by anyone
        if counted in (VALID, None) and config.optim.keep == "best":
            raise UsageError(
                f"expected another split to report on where `valid` chooses the epoch, found {counted or 'none'} in "
                f"{data.labeled}; take another `data.report_on`, or `data.holdout_by='group'`"
            )
        return train, open_split(dataset, VALID, data.eval_rule), VALID
    learn, held, by = hold_out_by(train, data.holdout, config.seed, data.holdout_by, progress)
    return train.take(learn), _under_eval_rule(dataset, train.take(held), data.eval_rule), by


def _training_split(dataset: LabeledSet, data: DataConfig, scheme: Scheme) -> tuple[Split, str]:
    """Load the training images under the given rule, else the scheme's own rule, or plain labels as given."""
    if dataset.rules() == [GIVEN]:
        if data.scheme != "mv":
            raise UsageError(
                f"expected a data set with votes for the scheme '{data.scheme}', found {dataset.name}, which has "
                "one label per image; use `data.scheme='mv'`"
            )
        return dataset.load("train", GIVEN), GIVEN
    rule = data.rule or scheme.rule
    for given in (rule, data.eval_rule):
        if given not in dataset.rules():
            raise UnknownNameError("rule", given, dataset.rules())
    split = dataset.load("train", rule)
    if data.scheme != "mv" and rule != scheme.rule:
        split = _with_targets(split, dataset.load("train", scheme.rule))
    if data.scheme == "mv":
        # MV uses one label, the most voted class, even on images selected by a softer rule
        peaks = np.eye(len(split.order), dtype=np.float32)[split.classes]
        split = replace(split, targets=peaks)
    return split, rule


def _with_targets(split: Split, own: Split) -> Split:
    """Keep the images selected by both rules, with the targets of the scheme's own rule."""

    def rows(of: Split) -> list[tuple[str, bytes]]:
        # a few names occur on two rows, with different votes
        shares = of.shares if of.shares is not None else of.targets
        return [(name, votes.tobytes()) for name, votes in zip(of.names, shares, strict=True)]

    at = {row: i for i, row in enumerate(rows(own))}
    kept = [(i, at[row]) for i, row in enumerate(rows(split)) if row in at]
    return replace(split.take([i for i, _ in kept]), targets=own.targets[[k for _, k in kept]])


def _under_eval_rule(dataset: LabeledSet, held: Split, rule: str) -> Split:
    """Held-out images selected by the evaluation rule, with its labels."""
    if dataset.rules() == [GIVEN]:
        return held
    names = set(held.names)
    judged = dataset.load("train", rule)
    return judged.take([i for i, name in enumerate(judged.names) if name in names])


@dataclass(frozen=True)
class UnlabeledData:
    """Unlabeled streams of a run."""

    phases: tuple[Phase, ...]
    """Phases of the method that have data."""
    anchors: AnchorStream | None = None
    """Anchors, for phases with contrast."""
    images: UnlabeledStream | None = None
    """Unlabeled images, for phases with views."""
    measured: dict[str, Any] = field(default_factory=dict)
    """Counts, hash, mean and std; empty if there are none."""
    exports: dict[str, str] = field(default_factory=dict)
    """Hash of the shards of each video, if they are crops of a root: tells which runs a removal affects."""


def open_unlabeled(
    run: Resolved, phases: Sequence[Phase], data: LabeledData, progress: Progress = silent, say: Say = quiet
) -> UnlabeledData:
    """Open, decode and measure the unlabeled images that the phases ask for.

    With the fraction 0 there are none: phases that need them are left out, the others keep their labeled loss. An
    unlabeled set smaller than the step's batch is used whole in every step.

    Raises:
        UsageError: no unlabeled set was named, or the candidates need a mashup and the set is none.
    """
    config, fraction = run.config, run.config.data.unlabeled_fraction
    wanted = tuple(phases)
    if not any(phase.needs_unlabeled for phase in wanted):
        return UnlabeledData(wanted)
    if fraction == 0:
        left_out = [phase.name for phase in wanted if phase.epochs and not phase.labeled]
        say("no unlabeled images: fraction 0" + (f"; left out: {', '.join(left_out)}" if left_out else ""))
        return UnlabeledData(tuple(phase if phase.labeled else replace(phase, epochs=0) for phase in wanted))
    if run.unlabeled is None:
        raise UsageError(
            f"expected `data.unlabeled` for the method {config.method}, found none; `data.unlabeled='rmset'` will do"
        )
    source = open_source(
        run.unlabeled, fraction, config.seed, data.spec, data.rest,
        split=config.data.unlabeled_split, split_seed=config.data.split_seed,
    )  # fmt: skip
    with_anchors = any(phase.anchors and phase.epochs for phase in wanted)
    chosen = _anchors(config.rmfer, config.seed, source) if with_anchors else None
    images = in_memory(source.images, data.spec.shape, config.memory_mb, progress, "unlabeled images")
    own = data.spec.with_moments(channel_stats(images, data.spec))
    measured = {**source.measured, "fraction": fraction, "mean": own.mean, "std": own.std, "grey": own.gray}
    if chosen is not None:
        measured |= {"anchors": len(chosen), **chosen.measured}
    say(_described(source, chosen))
    if source.warning:
        say(source.warning)
    beside = UnlabeledStream(images, own, run.weak, run.strong)
    for phase in wanted:
        if phase.views and phase.epochs and len(images) < phase.views.ratio * config.optim.batch_size:
            say(
                f"{phase.name}: {len(images):,} unlabeled images are fewer than the "
                f"{phase.views.ratio * config.optim.batch_size:,} of a step; every step sees them all"
            )
    stream = AnchorStream(chosen, images, own, run.weak) if chosen is not None else None
    exports = source.crops.exports() if source.crops is not None else {}
    views = beside if any(p.views and p.epochs for p in wanted) else None
    return UnlabeledData(wanted, stream, views, measured, exports)


def _anchors(settings: RmferConfig, seed: int, source: Source) -> Anchors:
    if source.crops is not None:
        return open_anchors(source.crops, settings, seed)
    if settings.candidates != "random":
        raise UsageError(
            f"expected an RMset root for `rmfer.candidates='{settings.candidates}'`, found {source.name}, which has no "
            "co-reacting people; use `rmfer.candidates='random'`"
        )
    return Anchors(RandomCandidates(len(source.images), settings.max_candidates), seed)


def _described(source: Source, anchors: Anchors | None) -> str:
    m = source.measured
    if source.crops is not None:
        text = f"unlabeled: {source.crops.described()}"
        if anchors is None:
            return text
        lost = anchors.measured.get("people_without_delay", 0)
        note = f"; {lost:,} people without a known delay keep their clock" if lost else ""
        return f"{text}; {len(anchors):,} of the crops can be anchors{note}"
    text = f"unlabeled: {m['images']:,} images, {source.name} (rule {m['rule']})"
    strange = {"only there": m.get("classes_only_here"), "not there": m.get("classes_missing_here")}
    notes = [f"{', '.join(classes)} {where}" for where, classes in strange.items() if classes]
    return text + (f"; labels not read, classes differ: {'; '.join(notes)}" if notes else "")
