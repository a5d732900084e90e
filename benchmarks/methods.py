"""Cost of a step of each method relative to supervised training: time, memory, and speed with real batches.

    python -m benchmarks.methods --model tf_efficientnet_lite0 --size 80 --batch 32
    python -m benchmarks.methods --model tf_efficientnet_b2 --size 260 --batch 8 --steps 2 --only fixmatch

Each method runs in its own process and gives three numbers. The time of a step on a batch in memory, compared with a
supervised step on the same labeled images (in turns, medians). The peak memory of its steps above that of the process
before. The share of this speed that remains when batches come from the loader (decoded images in memory, augmentation,
order); also by CPU time, which other processes on the machine change little. Methods
with several phases are measured in the most expensive one. Pixels are noise, so losses mean nothing. A
confidence threshold of 0 accepts every guess, which is the largest cost of a step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import RESULTS, commit, machine
from fertrain.config.run import ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.base import Split
from fertrain.datasets.images import InMemory
from fertrain.labels import ORDERS
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Batch, Phase
from fertrain.models.factory import build
from fertrain.training.batches import AnchorStream, LabeledStream, TrainLoader, UnlabeledStream
from fertrain.training.data import plain_spec
from fertrain.training.loop import accelerator_for
from fertrain.training.optim import Stepper, optimizer_for
from fertrain.transforms.augment import augmentation
from fertrain.unlabeled.candidates import Anchors, RandomCandidates

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
COSTLIEST = {"rmfer": "acl", "simclr": "pretrain", "moco": "pretrain", "byol": "pretrain", "simsiam": "pretrain"}


class Nowhere:
    """Byte source that is never read."""

    def get(self, name: str) -> bytes:
        raise FileNotFoundError(name)

    def names(self) -> set[str]:
        return set()


def mib(key: str) -> float | None:
    """VmRSS or VmHWM of this process in MiB; None on systems without it."""
    if not STATUS.is_file():
        return None
    line = next((line for line in STATUS.read_text().splitlines() if line.startswith(key)), None)
    return int(line.split()[1]) / 1024 if line else None


def noise_feed(config: RunConfig, channels: int, batch: int, images: int, device: torch.device) -> TrainLoader:
    size = config.model.image_size
    spec = plain_spec(size, channels, gray=False)
    pixels = InMemory(torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8))
    order = ORDERS["affectnet8"]
    targets = np.eye(8, dtype=np.float32)[np.arange(images) % 8]
    split = Split("noise", "train", "given", order, tuple(map(str, range(images))), targets, Nowhere())
    weak, strong = augmentation(config.augment), augmentation(config.strong)
    anchors = Anchors(RandomCandidates(images, min(config.rmfer.max_candidates, (images - 1) // 2)), 0)
    return TrainLoader(
        LabeledStream(split, pixels, spec, SCHEMES["mv"], weak),
        AnchorStream(anchors, pixels, spec, weak),
        UnlabeledStream(pixels, spec, weak, strong),
        batch_size=batch, seed=0, workers=0, device=device,
    )  # fmt: skip


def steps_of(
    config: RunConfig, name: str, phase_name: str | None, images: int
) -> tuple[Callable[[Batch], None], Phase, int]:
    """Return one step of a method as in the training loop, its phase, and the network's input channels."""
    torch.manual_seed(0)
    model = build(config.model.name, 8, config.model.image_size)
    accelerator = accelerator_for(config.device, config.precision, depthwise=model.depthwise)
    method = METHODS[name](model, replace(config, method=name), SCHEMES["mv"])
    phase = next(p for p in method.phases if phase_name in (None, p.name))
    method.module.to(accelerator.device, memory_format=torch.channels_last).train()
    for earlier in method.phases[: method.phases.index(phase) + 1]:
        method.begin(replace(earlier, labeled_names=tuple(map(str, range(images))), unlabeled_images=images))
    rho = config.optim.sam_rho if phase.optimizer == "sam" else None
    stepper = Stepper(optimizer_for(method.module, phase, config.optim), method.module, sam_rho=rho)

    def step(batch: Batch) -> None:
        def look():
            with accelerator.autocast():
                output = method.loss(batch)
            accelerator.backward(output.loss)
            return output

        stepper(look, 1e-3).loss.item()
        method.after_step()

    return step, phase, model.channels


def cpu_shares(step: Callable[[Batch], None], batches: Iterator[Batch], times: int) -> tuple[float, float]:
    """Least CPU seconds to make a batch, and to learn it: other processes change them little."""
    made, learned = [], []
    for _ in range(times):
        begun = time.process_time()
        batch = next(batches)
        ready = time.process_time()
        step(batch)
        made.append(ready - begun)
        learned.append(time.process_time() - ready)
    return min(made), min(learned)


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(args: argparse.Namespace) -> dict[str, object]:
    config = RunConfig(
        model=ModelConfig(args.model, image_size=args.size), precision=args.precision, augment="one-of",
        optim=OptimConfig(epochs=(1,), batch_size=args.batch, optimizer=args.optimizer),
    )  # fmt: skip
    config = replace(
        config,
        rmfer=replace(config.rmfer, anchors=args.anchors),
        fixmatch=replace(config.fixmatch, threshold=0.0),
        uda=replace(config.uda, threshold=0.0),
        ada_cm=replace(config.ada_cm, margin=0.0),
    )
    step, phase, channels = steps_of(config, args.child, COSTLIEST.get(args.child), args.images)
    device = accelerator_for(config.device, config.precision, depthwise=False).device
    feed = noise_feed(config, channels, args.batch, args.images, device)
    ready = next(feed.epoch(0, replace(phase, steps=1)))
    if CLEAR.exists():
        CLEAR.write_text("5")  # forgets the most memory so far
    before = mib("VmRSS")
    for _ in range(2):
        step(ready)
    most = mib("VmHWM")
    base, labels, _ = steps_of(config, "supervised", None, args.images)
    plain = next(feed.epoch(0, replace(labels, steps=1)))
    base(plain)
    own, supervised, fed = [], [], []
    for turn in range(args.rounds):
        own += [timed(lambda: step(ready)) for _ in range(args.steps)]
        supervised += [timed(lambda: base(plain)) for _ in range(args.steps)]
        batches = feed.epoch(turn + 1, replace(phase, steps=args.steps))
        fed += [timed(lambda given=batches: step(next(given))) for _ in range(args.steps)]
    made, learned = cpu_shares(step, feed.epoch(args.rounds + 1, replace(phase, steps=args.steps)), args.steps)
    seconds = statistics.median(own)
    return {
        "method": args.child, "phase": phase.name, "images": ready.passes, "step_s": round(seconds, 3),
        "times_supervised": round(seconds / statistics.median(supervised), 2),
        "images_per_s": round(ready.passes / seconds, 1),
        "peak_mib": None if before is None or most is None else round(most - before),
        "fed_ratio": round(seconds / statistics.median(fed), 3),
        "fed_cpu_ratio": round(learned / (made + learned), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=80)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--anchors", type=int, default=1, help="of RMFER, in a step")
    parser.add_argument("--optimizer", default="adamw", choices=["adamw", "adam", "sgd", "sam"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--only", nargs="*", default=list(METHODS))
    parser.add_argument("--write", metavar="NAME", help="keep the table in benchmarks/results/NAME.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args)))
        return
    lines = [
        f"# {args.model} at {args.size} px, {args.batch} labeled images, {args.optimizer}, {args.precision}", "",
        f"Commit {commit()}, {machine()}: `python -m benchmarks.methods {' '.join(sys.argv[1:])}`", "",
        ("| method | phase | images in a step | step, s | × supervised | images/s | memory, MiB | fed / in memory "
        "| by CPU time |"),
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    print("\n".join(lines))
    for name in args.only:
        command = [sys.executable, "-m", "benchmarks.methods", *sys.argv[1:], "--child", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines.append(f"| {name} | {done.stderr.strip().splitlines()[-1]} |")
        else:
            row = json.loads(done.stdout.splitlines()[-1])
            lines.append("| " + " | ".join("" if v is None else str(v) for v in row.values()) + " |")
        print(lines[-1], flush=True)
    if args.write:
        (RESULTS / f"{args.write}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
