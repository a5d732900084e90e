"""Speed of a real run relative to its bare training step: `python -m benchmarks.train [--images 512] [--write]`.

For each network: images per second of the real loop (decoded images in memory, augmentation, order, logging), and of
the same step on prepared tensors. The required ratio is 0.9. Both are measured in turns and medians are reported,
because the load of a shared machine varies. Pixels are noise.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.report import Line, publish
from fertrain.config.run import ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.base import Split
from fertrain.datasets.images import InMemory
from fertrain.labels import ORDERS
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Batch, Phase
from fertrain.models.factory import build
from fertrain.training.batches import LabeledStream, TrainLoader
from fertrain.training.data import plain_spec
from fertrain.training.loop import accelerator_for
from fertrain.training.optim import Stepper, optimizer_for
from fertrain.transforms.augment import augmentation

# name, image size, batch: as the issue names them
NETWORKS = (("vgg13", 64, 32), ("resnet18", 64, 64), ("tf_efficientnet_lite0", 80, 64))

BAR = 0.9


class Nowhere:
    """Byte source that is never read."""

    def get(self, name: str) -> bytes:
        raise FileNotFoundError(name)

    def names(self) -> set[str]:
        return set()


@dataclass(frozen=True)
class Measured:
    """Images per second of one network."""

    network: str
    size: int
    batch: int
    precision: str
    real: float
    memory: float
    ratio: float

    def line(self) -> Line:
        """Format a row of the table."""
        precision = {"no": "fp32"}.get(self.precision, self.precision)
        return Line(
            f"{self.network}, {self.size} px, batch {self.batch}, {precision}",
            f"{self.real:.0f} / {self.memory:.0f} images/s = {self.ratio:.2f}",
            "≥ 0.9",
            self.ratio >= BAR,
        )


def measure(name: str, size: int, batch: int, images: int, steps: int, rounds: int, precision: str) -> Measured:
    torch.manual_seed(0)
    config = RunConfig(
        model=ModelConfig(name, image_size=size), optim=OptimConfig(epochs=(1,), batch_size=batch), precision=precision
    )
    model = build(name, 8, size)
    method = METHODS[config.method](model, config, SCHEMES["cel"])
    accelerator = accelerator_for(config.device, config.precision, depthwise=model.depthwise)
    spec = plain_spec(size, model.channels, gray=True)
    pixels = torch.randint(0, 256, (images, 1, size, size), dtype=torch.uint8)
    order = ORDERS["ferplus"]
    targets = np.full((images, 8), 1 / 8, np.float32)
    split = Split(
        "noise", "train", "distribution", order, tuple(map(str, range(images))), targets, Nowhere(), gray=True
    )
    stream = LabeledStream(split, InMemory(pixels), spec, SCHEMES["cel"], augmentation("affine"))
    feed = TrainLoader(stream, batch_size=batch, seed=0, workers=0, device=accelerator.device)
    model.to(accelerator.device, memory_format=torch.channels_last).train()
    phase = Phase("p", 1, 1e-3, "adamw")
    stepper = Stepper(optimizer_for(model, phase, config.optim), model, sam_rho=None)

    def step(given: Batch) -> None:
        def look():
            with accelerator.autocast():
                output = method.loss(given)
            accelerator.backward(output.loss)
            return output

        stepper(look, 1e-3).loss.item()

    ready = next(feed.epoch(0, phase))
    step(ready)  # the first one allocates
    real, memory = [], []
    for turn in range(rounds):
        started, n = time.perf_counter(), 0
        for k, given in enumerate(feed.epoch(turn, phase)):
            if k == steps:
                break
            step(given)
            n += len(given.images)
        real.append(n / (time.perf_counter() - started))
        started = time.perf_counter()
        for _ in range(n // batch):
            step(ready)
        memory.append(n / (time.perf_counter() - started))
    ratio = statistics.median(a / b for a, b in zip(real, memory, strict=True))
    return Measured(
        name, size, batch, str(accelerator.mixed_precision), statistics.median(real), statistics.median(memory), ratio
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--only", help="one network")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/train.md")
    args = parser.parse_args()
    lines = []
    for name, size, batch in NETWORKS:
        if args.only in (None, name):
            lines.append(measure(name, size, batch, args.images, args.steps, args.rounds, args.precision).line())
            print(lines[-1].what, lines[-1].found, flush=True)
    notes = [
        (
            f"images a second of the real loop, of the same step on tensors that are ready, and the median ratio of "
            f"{args.rounds} rounds of {args.steps} steps"
        ),
        (
            f"`python -m benchmarks.train --images {args.images} --steps {args.steps} --rounds {args.rounds}"
            f" --precision {args.precision}`, {torch.get_num_threads()} threads"
        ),
    ]
    publish("train", "A real run against the same step on tensors in memory", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
