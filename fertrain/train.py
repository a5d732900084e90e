"""The loop: phases, epochs, steps. It knows no method's name.

The epoch is chosen on a held-out part of the training images. Each phase starts from the best state of the one
before, and the run's result is the best state of the last phase, so that a result always went through all of them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from rmset.progress import Progress, silent

from .config import RunConfig
from .errors import TrainingError
from .feed import Feed
from .methods import Batch, Method, Phase, StepOutput
from .optim import Stepper, optimizer_for, rate_at

State = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """One row of history.csv."""

    phase: str
    """The method's phase."""
    epoch: int
    """Counted over the whole run, from 1."""
    lr: float
    """Learning rate of the last step."""
    loss: float
    """Mean over the steps."""
    heldout_accuracy: float
    """On the held-out part of the training images."""
    images_per_s: float
    """Labelled images a second, evaluation left out."""
    seconds: float
    """Of the epoch, evaluation left out."""
    logs: dict[str, float] = field(default_factory=dict)
    """Means of what the method logged."""

    def row(self) -> dict[str, object]:
        """Flat, for a table."""
        plain = {k: v for k, v in vars(self).items() if k != "logs"}
        return {**plain, **{f"loss_{k}": v for k, v in self.logs.items()}}


@dataclass(frozen=True)
class Fitted:
    """What the loop leaves behind; the method's module holds the chosen weights."""

    history: list[Epoch]
    """Every epoch."""
    best: Epoch | None
    """The epoch whose weights were taken; None if there was none."""


def accelerator_for(config: RunConfig, *, depthwise: bool) -> Accelerator:
    """Device and precision. Accelerate keeps them in global state, which belongs to one run only here."""
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision="no")
    chosen = config.precision
    if chosen == "auto":
        chosen = "bf16" if _bf16_is_faster(accelerator.device, depthwise=depthwise) else "fp32"
    if chosen == "bf16":
        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision="bf16")
    return accelerator


def _bf16_is_faster(device: torch.device, *, depthwise: bool) -> bool:
    """Bfloat16 instructions make it twice as fast; without them, or for depthwise convolutions, it is slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return (
        device.type == "cpu"
        and not depthwise
        and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


def fit(
    method: Method,
    feed: Feed,
    score: Callable[[], float],
    config: RunConfig,
    accelerator: Accelerator,
    *,
    keep: Callable[[list[Epoch]], None] = lambda history: None,  # noqa: ARG005
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
    progress: Progress = silent,
) -> Fitted:
    """Train through all phases.

    Args:
        method: what is learnt, and how.
        feed: the batches.
        score: accuracy of `method.model` on the held-out part, as it is now.
        config: optimiser and schedule.
        accelerator: device and precision.
        keep: called with the history whenever the module holds the best state so far.
        say: told one line an epoch.
        progress: told every step.

    Raises:
        TrainingError: the loss is no longer a number. The module is back at its last good state, and `keep` was
            called with it.
    """
    history: list[Epoch] = []
    best: Epoch | None = None
    method.module.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for phase in method.phases:
        if phase.epochs == 0:
            continue
        best, best_state = None, _snapshot(method)
        method.begin(phase)
        optimizer = accelerator.prepare(optimizer_for(method.module, phase, config.optim))
        rho = config.optim.sam_rho if phase.optimizer == "sam" else None
        stepper = Stepper(optimizer, method.module, sam_rho=rho)
        for in_phase in range(phase.epochs):
            try:
                epoch = _epoch(method, phase, in_phase, len(history), feed, stepper, config, accelerator, progress)
            except TrainingError:
                method.module.load_state_dict(best_state)
                keep(history)
                raise
            epoch = Epoch(**{**vars(epoch), "heldout_accuracy": score()})
            history.append(epoch)
            say(
                f"{phase.name} {in_phase + 1}/{phase.epochs}: loss {epoch.loss:.4f}, "
                f"held-out accuracy {epoch.heldout_accuracy:.2%}, {epoch.images_per_s:.0f} images/s"
            )
            if best is None or epoch.heldout_accuracy > best.heldout_accuracy:
                best, best_state = epoch, _snapshot(method)
                keep(history)
        method.module.load_state_dict(best_state)
    return Fitted(history, best)


def _epoch(
    method: Method,
    phase: Phase,
    in_phase: int,
    done: int,
    feed: Feed,
    stepper: Stepper,
    config: RunConfig,
    accelerator: Accelerator,
    progress: Progress,
) -> Epoch:
    """One pass over the labelled images."""
    method.module.train()
    sums: dict[str, float] = defaultdict(float)
    total, images, rate, started = 0.0, 0, phase.lr, time.perf_counter()
    for step, batch in enumerate(feed.epoch(done, phase.anchors)):
        rate = rate_at(in_phase * feed.steps + step, feed.steps, phase, config.optim)

        def closure(batch: Batch = batch, step: int = step, rate: float = rate) -> StepOutput:
            with accelerator.autocast():
                output = method.loss(batch)
            if not torch.isfinite(output.loss):
                raise TrainingError(
                    f"expected a finite loss, found {output.loss.item()} in phase {phase.name}, epoch {done + 1}, "
                    f"step {step + 1} of {feed.steps} at learning rate {rate:.2g}; the last good state is kept, "
                    "try again with a lower --lr"
                )
            accelerator.backward(output.loss)
            return output

        output = stepper(closure, rate)
        method.after_step()
        total += output.loss.item()
        for name, value in output.logs.items():
            sums[name] += value
        images += len(batch.images)
        progress(f"{phase.name} epoch {in_phase + 1}/{phase.epochs}", step + 1, feed.steps)
    seconds = time.perf_counter() - started
    logs = {name: value / feed.steps for name, value in sums.items()}
    return Epoch(phase.name, done + 1, rate, total / feed.steps, 0.0, images / seconds, seconds, logs)


def _snapshot(method: Method) -> State:
    return {k: v.detach().clone() for k, v in method.module.state_dict().items()}
