"""Networks on the processor with freed memory kept, against glibc's defaults.

    python -m benchmarks.allocator [--threads 2] [--write]

Two processes, one of each kind, take turns in every round, so that other load affects both alike.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from multiprocessing.connection import Connection

import torch
from torch.nn.functional import cross_entropy

from benchmarks.report import Line, publish, timing_parser
from fertrain.allocator import keep_freed_memory
from fertrain.models.factory import build

# network, image size in px, images
NETWORKS = [
    ("tf_efficientnet_lite0", 80, 64), ("tf_efficientnet_lite0", 48, 64), ("resnet10t", 48, 32), ("resnet18", 64, 32),
    ("vgg13", 64, 32), ("deep-emotion", 48, 64),
]  # fmt: skip
STEPS = 3


def serve(pipe: Connection, keep: bool, threads: int, name: str, size: int, n: int, training: bool) -> None:
    """Do `STEPS` steps at every request; answer wall and CPU seconds of one, and the peak memory in MiB."""
    if keep:
        keep_freed_memory()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build(name, 8, size).to(memory_format=torch.channels_last).train(training)
    images = torch.rand(n, network.channels, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 8, (n,))
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        if training:
            optimizer.zero_grad()
            cross_entropy(network(images), labels).backward()
            optimizer.step()
        else:
            with torch.inference_mode():
                network(images)

    while pipe.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        pipe.send((wall / STEPS, cpu / STEPS, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def compared(threads: int, name: str, size: int, n: int, *, training: bool, rounds: int) -> Line:
    """Compare one network in one use."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for keep in (False, True):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, keep, threads, name, size, n, training)))
        processes[-1].start()
        pipes.append(ours)

    def both() -> list[tuple[float, float, float]]:
        answers = []
        for pipe in pipes:
            pipe.send(True)
            answers.append(pipe.recv())
        return answers

    both()  # warm
    plain, kept = zip(*(both() for _ in range(rounds)), strict=True)
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(False)
        process.join()

    def ratio(index: int) -> float:
        return float(statistics.median(a[index] / b[index] for a, b in zip(plain, kept, strict=True)))

    before, after = (1000 * statistics.median(answer[0] for answer in answers) for answers in (plain, kept))
    return Line(
        f"{'a training step' if training else 'prediction'}, {name}, {size} px, {n} images",
        f"{before:.0f}, {after:.0f} ms: {ratio(0):.2f} × (CPU time {ratio(1):.2f} ×); peak "
        f"{plain[-1][2]:.0f}, {kept[-1][2]:.0f} MiB",
    )


def main() -> None:
    """Parse and run."""
    args = timing_parser(__doc__, threads=torch.get_num_threads(), rounds=9).parse_args()
    lines = [
        compared(args.threads, *network, training=training, rounds=args.rounds)
        for training in (True, False)
        for network in NETWORKS
    ]
    notes = [
        f"{args.threads} threads, medians of {args.rounds} rounds of {STEPS} steps: glibc's defaults, ours, ratio.",
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}.",
    ]
    publish("allocator", "Freed memory kept for the next step", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
