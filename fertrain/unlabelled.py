"""From settings to the unlabelled streams of a run: which images, how normalised, and what to do with none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from .config import RunConfig
from .datasets.candidates import Anchors, RandomCandidates, check_kind, open_anchors
from .datasets.images import in_memory
from .datasets.unlabelled import Source, open_source
from .inference import measure
from .methods import Phase
from .prepare import Prepared
from .streams import AnchorStream, UnlabelledStream
from .transforms import augmentation


@dataclass(frozen=True)
class Beside:
    """What stands beside the labelled images of a run."""

    phases: tuple[Phase, ...]
    """Those of the method, less those that nothing is there for."""
    anchors: AnchorStream | None = None
    """For phases with anchors."""
    images: UnlabelledStream | None = None
    """For phases with views."""
    measured: dict[str, Any] = field(default_factory=dict)
    """Counts, hash, mean and std; empty if there are none."""


def prepare_unlabelled(
    config: RunConfig, phases: Sequence[Phase], data: Prepared, progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> Beside:  # fmt: skip
    """Open, decode and measure the unlabelled images that the phases ask for.

    A run with the fraction 0 has none: phases that see nothing else are left out, the others keep their loss on
    labelled images. An unlabelled set smaller than a step asks for is seen whole in every step.

    Raises:
        UsageError: none were named, or candidates were asked for that need a mashup where there is none.
    """
    name, fraction = config.data.unlabeled, config.data.unlabeled_fraction
    wanted = tuple(phases)
    if not any(phase.needs_unlabelled for phase in wanted):
        return Beside(wanted)
    check_kind(config.rmfer)
    if fraction == 0:
        left_out = [phase.name for phase in wanted if phase.epochs and not phase.labelled]
        say("no unlabelled images: fraction 0" + (f"; left out: {', '.join(left_out)}" if left_out else ""))
        return Beside(tuple(phase if phase.labelled else replace(phase, epochs=0) for phase in wanted))
    if name is None:
        raise UsageError(
            f"expected --unlabeled for the method {config.method}, found none; `--unlabeled rmset` will do"
        )
    labeled, root = config.data.labeled, config.data.root
    source = open_source(name, root, fraction, config.seed, data.contract, labeled, data.rest)
    with_anchors = any(phase.anchors and phase.epochs for phase in wanted)
    chosen = _anchors(config, source) if with_anchors else None
    images = in_memory(source.images, data.contract.shape, config.memory_mb, progress, "unlabelled images")
    own = data.contract.with_moments(measure(images, data.contract))
    weak, strong = augmentation(config.augment), augmentation(config.strong)
    measured = {**source.measured, "fraction": fraction, "mean": own.mean, "std": own.std, "grey": own.grey}
    if chosen is not None:
        measured |= {"anchors": len(chosen), **chosen.measured}
    say(_described(source, chosen))
    if source.warning:
        say(source.warning)
    beside = UnlabelledStream(images, own, weak, strong)
    for phase in wanted:
        if phase.views and phase.epochs and len(images) < phase.views.ratio * config.optim.batch_size:
            say(
                f"{phase.name}: {len(images):,} unlabelled images are fewer than the "
                f"{phase.views.ratio * config.optim.batch_size:,} of a step; every step sees them all"
            )
    stream = AnchorStream(chosen, images, own, weak) if chosen is not None else None
    return Beside(wanted, stream, beside if any(p.views and p.epochs for p in wanted) else None, measured)


def _anchors(config: RunConfig, source: Source) -> Anchors:
    settings = config.rmfer
    if source.crops is not None:
        return open_anchors(source.crops, settings, config.seed)
    if settings.candidates != "random":
        raise UsageError(
            f"expected an RMset root for --candidates {settings.candidates}, found {source.name}; nobody reacts with "
            "anybody there, take --candidates random"
        )
    return Anchors(RandomCandidates(len(source.images), settings.max_candidates), config.seed)


def _described(source: Source, anchors: Anchors | None) -> str:
    m = source.measured
    if source.crops is not None:
        text = f"unlabelled: {source.crops.described()}"
        if anchors is None:
            return text
        lost = anchors.measured.get("people_without_delay", 0)
        note = f"; {lost:,} people without a known delay keep their clock" if lost else ""
        return f"{text}; {len(anchors):,} of the crops can be anchors{note}"
    text = f"unlabelled: {m['images']:,} images, {source.name} (rule {m['rule']})"
    strange = {"only there": m.get("classes_only_here"), "not there": m.get("classes_missing_here")}
    notes = [f"{', '.join(classes)} {where}" for where, classes in strange.items() if classes]
    return text + (f"; labels not read, classes differ: {'; '.join(notes)}" if notes else "")
