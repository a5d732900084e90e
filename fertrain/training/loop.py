"""The training loop: phases, epochs, steps; independent of the method.

The epoch is chosen on a held-out part of the training images. Each phase starts from the best state of the previous
one, and the result is the best state of the last phase, so every result has passed all phases. A phase in which the
head does not learn has no held-out accuracy; its last state is used.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from rmset.progress import Progress, Say, quiet, silent

from .. import ranks
from ..config import OptimConfig
from ..errors import TrainingError
from ..methods import Batch, Method, Phase, StepOutput
from .averaged import Averaged
from .batches import TrainLoader
from .checkpoint import Checkpoints, Position, Tally
from .optim import EMA, Stepper, optimizer_for, rate_at
from .pending import Pending, refuse_infinite, wide

State = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """One row of history.csv."""

    phase: str
    """The method's phase."""
    epoch: int
    """Epoch of the whole run, from 1."""
    lr: float
    """Learning rate of the last step."""
    loss: float
    """Mean loss over the steps."""
    heldout_accuracy: float
    """Accuracy on the held-out part of the training images; NaN in a phase without it."""
    images: int
    """Network inputs, every view counted."""
    images_per_s: float
    """Network inputs per second, without evaluation."""
    seconds: float
    """Duration of the epoch, without evaluation."""
    logs: dict[str, float] = field(default_factory=dict)
    """Means of the loss's parts."""
    shares: dict[str, float] = field(default_factory=dict)
    """Means of the method's other shares, each from 0 to 1; accuracies of other images."""

    def row(self) -> dict[str, object]:
        """Flat, for a table."""
        plain = {k: v for k, v in vars(self).items() if k not in ("logs", "shares")}
        parts = {"loss": self.logs, "share": self.shares}
        return {**plain, **{f"{kind}_{k}": v for kind, values in parts.items() for k, v in values.items()}}


@dataclass(frozen=True)
class Fitted:
    """Result of the loop; the method's module holds the chosen weights."""

    history: list[Epoch]
    """Every epoch."""
    best: Epoch | None
    """The epoch whose weights were chosen; None if no epoch was run."""


def accelerator_for(device: str = "auto", precision: str = "auto", *, depthwise: bool) -> Accelerator:
    """Choose device and precision. Accelerate's global state is reset for each run."""
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
    if precision == "auto":
        precision = "bf16" if _bf16_is_faster(accelerator.device, depthwise=depthwise) else "fp32"
    if precision == "bf16":
        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16")
    return accelerator


def _bf16_is_faster(device: torch.device, *, depthwise: bool) -> bool:
    """Whether bfloat16 pays: twice as fast with instructions for it, slower without or for depthwise convolutions."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return (
        device.type == "cpu"
        and not depthwise
        and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


def fit(
    method: Method,
    loader: TrainLoader,
    score: Callable[[], float],
    optim: OptimConfig,
    accelerator: Accelerator,
    *,
    phases: Sequence[Phase] | None = None,
    keep: Callable[[list[Epoch]], None] = lambda history: None,  # noqa: ARG005
    observe: Callable[[Epoch], Epoch] = lambda epoch: epoch,
    say: Say = quiet,
    progress: Progress = silent,
    checkpoints: Checkpoints | None = None,
) -> Fitted:
    """Train through all phases.

    Args:
        method: objective and network.
        loader: the batches.
        score: returns the current accuracy of `method.model` on the held-out part.
        optim: optimizer and schedule.
        accelerator: device and precision.
        phases: phases of the method, adapted to the budget and the available data.
        keep: called with the history whenever the module holds the best state so far.
        observe: called with every epoch while the module holds the evaluated weights; may add to its logs.
        say: callback for one line per epoch.
        progress: progress callback, called at every step.
        checkpoints: checkpoint file, to resume from and write to.

    Raises:
        TrainingError: the loss is not finite. The module is reset to its last good state, and `keep` was called
            with it.
    """
    method.module.to(accelerator.device, memory_format=loader.layout)  # type: ignore[call-overload]
    ranks.prepare(method.module)
    resumed = checkpoints.load(say) if checkpoints else None
    history = [Epoch(**row) for row in resumed.position.history] if resumed else []
    best: Epoch | None = None
    for index, given in enumerate(method.phases if phases is None else phases):
        phase = loader.counted(given)
        if phase.epochs == 0 or (resumed and index < resumed.position.phase):
            continue
        best, best_state, first, tally, best_at = None, _snapshot(method), 0, Tally(), -1
        steps = loader.steps(phase)
        method.begin(phase)
        optimizer = accelerator.prepare(optimizer_for(method.module, phase, optim))
        average = EMA(method.module, optim.ema)
        if resumed:
            at = resumed.position
            resumed.restore(method.module, optimizer, average)
            first, tally, best_state, resumed = at.in_phase, at.tally, at.best_state, None
            if at.best is not None:
                best, best_at = history[at.best], first - (len(history) - at.best)
            say(f"goes on in phase {phase.name}, epoch {first + 1}, after {tally.batches} of {steps} batches")
        rho = optim.sam_rho if phase.optimizer == "sam" else None
        stepper = Stepper(optimizer, method.module, sam_rho=rho)
        every = checkpoints.every if checkpoints else 0
        averaged = Averaged(method.module)
        work = _Work(method, loader, stepper, average, averaged, optim, accelerator, progress, every)

        def mark(
            in_phase: int, tally: Tally, index: int = index, optimizer: Any = optimizer, average: EMA = average
        ) -> None:
            if checkpoints:
                rows = [vars(epoch) for epoch in history]
                at = Position(index, in_phase, tally, rows, history.index(best) if best else None, best_state)  # noqa: B023
                checkpoints.save(at, method.module, optimizer, average)

        for in_phase in range(first, phase.epochs):
            if phase.judged and optim.patience and in_phase - max(best_at, 0) > optim.patience:
                say(f"{phase.name}: no better held-out accuracy for {optim.patience} epochs; stopped early")
                break
            try:
                epoch = work.epoch(phase, in_phase, len(history), tally, mark)
                _refuse_nan(method, f"phase {phase.name}, epoch {len(history) + 1}")
            except TrainingError:
                method.module.load_state_dict(best_state)
                keep(history)
                raise
            with average.applied():
                epoch = observe(replace(epoch, heldout_accuracy=score() if phase.judged else math.nan))
                history.append(epoch)
                if best is None or not phase.judged or epoch.heldout_accuracy > best.heldout_accuracy:
                    best, best_state, best_at = epoch, _snapshot(method), in_phase
                    keep(history)
            judged = f", held-out accuracy {epoch.heldout_accuracy:.2%}" if phase.judged else ""
            say(
                f"{phase.name} {in_phase + 1}/{phase.epochs}: loss {epoch.loss:.4f}{judged}, "
                f"{epoch.images_per_s:.0f} images/s"
            )
            tally = Tally()
            mark(in_phase + 1, tally)
        method.module.load_state_dict(best_state)
    return Fitted(history, best)


@dataclass(frozen=True)
class _Work:
    """Shared objects of all epochs."""

    method: Method
    loader: TrainLoader
    stepper: Stepper
    average: EMA
    averaged: Averaged
    optim: OptimConfig
    accelerator: Accelerator
    progress: Progress
    checkpoint_every: int

    def epoch(self, phase: Phase, in_phase: int, done: int, tally: Tally, mark: Callable[[int, Tally], None]) -> Epoch:
        """Run one epoch, or the rest of an interrupted one."""
        together = self.optim.accumulate
        total = self.loader.steps(phase)
        steps = -(-total // together)
        self.method.module.train()
        rate, started = phase.lr, time.perf_counter()
        batches = self.loader.epoch(done, phase, in_phase, tally.batches)
        pending = Pending(self.accelerator.device)
        while group := list(itertools.islice(batches, together)):
            rate = rate_at(in_phase * steps + tally.steps, steps, phase, self.optim)
            place = f"phase {phase.name}, epoch {done + 1}, step {tally.steps + 1} of {steps}"
            where = f"{place} at learning rate {rate:.2g}"
            look = partial(self._look, group, where)
            output = self.stepper(look, rate)
            self.method.after_step()
            self.average.update()
            pending.add(output, where, tally)
            tally.steps += 1
            tally.batches += len(group)
            tally.images += sum(batch.passes for batch in group)
            self.progress(f"{phase.name} epoch {in_phase + 1}/{phase.epochs}", tally.batches, total)
            if self.checkpoint_every and tally.steps % self.checkpoint_every == 0 and tally.batches < total:
                now = time.perf_counter()
                tally.seconds, started = tally.seconds + now - started, now
                pending.flush(tally)
                mark(in_phase, tally)
        pending.flush(tally)
        tally.seconds += time.perf_counter() - started
        logs, shares = ({k: v / tally.steps for k, v in sums.items()} for sums in (tally.logs, tally.shares))
        speed = tally.images / max(tally.seconds, 1e-9)
        mean = tally.loss / tally.steps
        return Epoch(phase.name, done + 1, rate, mean, 0.0, tally.images, speed, tally.seconds, logs, shares)

    def _look(self, group: Sequence[Batch], where: str) -> StepOutput:
        """Compute loss and gradient of one step: the mean over its batches."""
        total: Tensor | None = None
        logs: dict[str, float | Tensor] = defaultdict(float)
        shares: dict[str, float | Tensor] = defaultdict(float)
        for k, batch in enumerate(group, 1):
            with self.accelerator.autocast():
                output = self.method.loss(batch)
            if output.loss.device.type == "cpu":
                # on a GPU this would wait for the step; `Pending` looks later
                refuse_infinite(output.loss.item(), where)
            with self.averaged.backward(last=k == len(group)):
                self.accelerator.backward(output.loss / len(group))
            part = output.loss.detach() / len(group)
            total = part if total is None else total + part
            for sums, values in ((logs, output.logs), (shares, output.shares)):
                for name, value in values.items():
                    sums[name] += (wide(value) if isinstance(value, Tensor) else value) / len(group)
        assert total is not None  # a step has at least one batch
        return StepOutput(total, dict(logs), dict(shares))


def _refuse_nan(method: Method, where: str) -> None:
    """Check that the weights are finite: a step can make them NaN after a finite loss."""
    for name, value in method.module.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise TrainingError(
                f"expected finite weights, found NaN or infinity in {name} after {where}; the last good state is kept, "
                "try again with a lower `optim.lr`"
            )


def _snapshot(method: Method) -> State:
    return {k: v.detach().clone() for k, v in method.module.state_dict().items()}
