"""Speed of training on a GPU: `python -m benchmarks.gpu [--write]`. One command, minutes, no data: pixels are noise.

Runs supervised and RMFER's last phase with EfficientNet-B2 at 260 px: warms up, times the real loop, profiles ten
steps, and gives images per second and the share of the time in which the GPU has no kernel to run.
`--device cpu --network resnet10t --size 64 --steps 3` tries the script itself on a processor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.report import Line, publish
from fertrain import ranks
from fertrain.config.run import ModelConfig, start_for
from fertrain.datasets.base import Split
from fertrain.datasets.images import InMemory
from fertrain.labels import ORDERS
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Batch, StepOutput
from fertrain.models.compiled import compile_features
from fertrain.models.factory import build
from fertrain.training.averaged import Averaged
from fertrain.training.batches import AnchorStream, LabeledStream, TrainLoader
from fertrain.training.checkpoint import Tally
from fertrain.training.data import plain_spec
from fertrain.training.loop import accelerator_for
from fertrain.training.optim import Stepper, optimizer_for
from fertrain.training.pending import Pending
from fertrain.transforms.augment import augmentation
from fertrain.unlabeled.candidates import Anchors, RandomCandidates

IMAGES = 1024


class Nowhere:
    """Byte source that is never read."""

    def get(self, name: str) -> bytes:
        raise FileNotFoundError(name)

    def names(self) -> set[str]:
        return set()


def idle_share(events: Any, wall: float) -> float | None:
    """Share of the wall time in which no kernel ran, from the profiler's events; None without a GPU."""
    spans = sorted(
        (e.time_range.start, e.time_range.end) for e in events if e.device_type == torch.autograd.DeviceType.CUDA
    )
    if not spans:
        return None
    busy, end = 0.0, float("-inf")
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return 1 - busy / 1e6 / wall


def waits(events: Any) -> int:
    """Count the reads of a number from the device, each of which waits for it."""
    return sum(e.name == "aten::_local_scalar_dense" for e in events)


def step_of(method_name: str, args: argparse.Namespace) -> tuple[Callable[[Batch], None], Iterator[Batch], int, str]:
    """Make a function that trains on a batch, and endless batches of the real loader."""
    torch.manual_seed(0)
    start = start_for(method_name)
    config = replace(
        start, model=ModelConfig(args.network, image_size=args.size), precision=args.precision,
        optim=replace(start.optim, batch_size=args.batch, epochs=(1,), optimizer=args.optimizer),
        rmfer=replace(start.rmfer, anchors=args.anchors),
    )  # fmt: skip
    model = build(args.network, 8, args.size)
    method = METHODS[method_name](model, config, SCHEMES["mv"])
    accelerator = accelerator_for(args.device, args.precision, depthwise=model.depthwise)
    device = accelerator.device
    spec = plain_spec(args.size, 3, gray=False)
    pixels = torch.randint(0, 256, (IMAGES, 3, args.size, args.size), dtype=torch.uint8)
    targets = np.eye(8, dtype=np.float32)[np.arange(IMAGES) % 8]
    split = Split("noise", "train", "argmax", ORDERS["affectnet8"], tuple(map(str, range(IMAGES))), targets, Nowhere())
    images, weak = InMemory(pixels), augmentation("one-of")
    stream = LabeledStream(split, images, spec, SCHEMES["mv"], weak)
    anchors = AnchorStream(Anchors(RandomCandidates(IMAGES, 50), 0), images, spec, weak)
    loader = TrainLoader(stream, anchors, batch_size=args.batch, seed=0, workers=0, device=device)
    for phase in method.phases:
        method.begin(loader.counted(phase))
    phase = replace(loader.counted(method.phases[-1]), steps=10_000)
    method.module.to(device, memory_format=torch.channels_last).train()
    ranks.prepare(method.module)
    if args.compile:
        with accelerator.autocast():
            compile_features(model, args.size, args.batch, print)
    rho = config.optim.sam_rho if phase.optimizer == "sam" else None
    stepper = Stepper(optimizer_for(method.module, phase, config.optim), method.module, sam_rho=rho)
    averaged, pending, tally = Averaged(method.module), Pending(device), Tally()

    def train(batch: Batch) -> None:
        def look() -> StepOutput:
            with accelerator.autocast():
                output = method.loss(batch)
            with averaged.backward():
                accelerator.backward(output.loss)
            return output

        pending.add(stepper(look, 1e-5), "a step", tally)
        method.after_step()

    inputs = round(loader.images_per_step(phase))
    return train, loader.epoch(0, phase), inputs, str(device)


def measure(method: str, args: argparse.Namespace) -> list[Line]:
    train, batches, inputs, device = step_of(method, args)

    def run(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            train(next(batches))
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - began

    run(args.warm)
    took = run(args.steps)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.startswith("cuda") else [])]
    with profile(activities=activities) as seen:
        wall = run(10 if args.steps >= 10 else args.steps)
    idle = idle_share(seen.events(), wall)
    name = f"{method}, {args.network}, {args.size} px, batch {args.batch}, {args.optimizer}"
    print(seen.key_averages().table(sort_by="self_cuda_time_total" if idle is not None else "self_cpu_time_total",
                                    row_limit=15))  # fmt: skip
    reads = waits(seen.events())
    return [
        Line(name, f"{inputs * args.steps / took:,.0f} network inputs/s, {1000 * took / args.steps:.0f} ms a step"),
        Line(f"{method}: share of the time the GPU waits", "no GPU" if idle is None else f"{idle:.1%}"),
        Line(f"{method}: numbers read from the GPU in the profiled steps", "no GPU" if idle is None else str(reads)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu"])
    parser.add_argument("--network", default="tf_efficientnet_b2")
    parser.add_argument("--size", type=int, default=260)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--anchors", type=int, default=4)
    parser.add_argument("--optimizer", default="adamw", choices=["adamw", "adam", "sgd", "sam"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/gpu.md")
    args = parser.parse_args()
    lines = [line for method in ("supervised", "rmfer") for line in measure(method, args)]
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    notes = [f"{where}; torch {torch.__version__}; {'compiled' if args.compile else 'not compiled'}"]
    publish("gpu", "Training on a GPU", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
