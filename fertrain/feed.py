"""From streams to batches: what stands side by side in a step. Every draw is a function of (seed, epoch, step)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .methods import AnchorBatch, Batch, Phase, Unlabelled
from .streams import AnchorStream, LabelledStream, Place, UnlabelledStream, seed_of


class Feed:
    """The batches of a run."""

    def __init__(
        self,
        labelled: LabelledStream,
        anchors: AnchorStream | None = None,
        unlabelled: UnlabelledStream | None = None,
        *,
        batch_size: int,
        seed: int,
        workers: int,
        device: torch.device,
        channels_last: bool = True,
    ) -> None:
        self.labelled, self.anchors, self.unlabelled = labelled, anchors, unlabelled
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.batch_size, self.seed, self.workers, self.device = batch_size, seed, workers, device

    def steps(self, phase: Phase) -> int:
        """Batches in an epoch; a last one that is not full is left out, unless it is the only one."""
        if phase.steps is not None:
            return phase.steps
        if not phase.labelled and phase.views and self.unlabelled:
            return len(self.unlabelled.images) // self.unlabelled.batch_size(phase.views, self.batch_size)
        return max(1, len(self.labelled.split) // self.batch_size)

    def images_per_step(self, phase: Phase) -> float:
        """Images that pass through the network in a step, each view of each; candidates of anchors on average."""
        total = float(min(self.batch_size, len(self.labelled.split))) if phase.labelled else 0.0
        if phase.views and self.unlabelled:
            total += phase.views.passes(self.unlabelled.batch_size(phase.views, self.batch_size))
        if phase.anchors and self.anchors:
            total += phase.anchors * self.anchors.images_per_anchor()
        return total

    def epoch(self, epoch: int, phase: Phase, in_phase: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: counted over the whole run, so that no two phases see the same draws.
            phase: says what stands beside the labelled images.
            in_phase: the epoch's number in its phase, from 0.
            start: the first batch wanted; those before it were seen by a run that was broken off.
        """
        steps = self.steps(phase)
        place = Place(self.seed, epoch, range(start, steps), self.workers, self.device, self.layout)
        beside = zip(self._unlabelled(place, phase), self._anchors(place, phase), strict=False)
        stream = self.labelled
        labelled = stream.batches(place, self.batch_size) if phase.labelled else stream.nothing(place)
        for step, (x, y), (unlabelled, anchors) in zip(place.steps, labelled, beside, strict=False):
            before = in_phase * steps + step
            done = before / (max(1, phase.epochs) * steps)
            n = len(x) + sum(len(anchor.images) for anchor in anchors)
            if unlabelled is not None and phase.views is not None:
                n += phase.views.passes(unlabelled.size)
            yield Batch(x, y, anchors, unlabelled, seed_of(self.seed, 11, epoch, step), in_phase, before, done, n)

    def _unlabelled(self, place: Place, phase: Phase) -> Iterator[Unlabelled | None]:
        if phase.views is None or self.unlabelled is None:
            return iter([None] * len(place.steps))
        n = self.unlabelled.batch_size(phase.views, self.batch_size)
        return self.unlabelled.batches(place, phase.views, n)

    def _anchors(self, place: Place, phase: Phase) -> Iterator[tuple[AnchorBatch, ...]]:
        if phase.anchors == 0 or self.anchors is None:
            return iter([()] * len(place.steps))
        return self.anchors.batches(place, phase.anchors)
