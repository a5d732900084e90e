"""Two processes that share a run against two that have one each: `python -m benchmarks.ranks [--write]`.

A pair under `fertrain.ranks` trains with batches of B, each process on half of every batch; two independent runs on as
many cores train with batches of B / 2. Both pairs stand ready and train in turns; a rate is the sum of both processes'
images per second. Pixels are noise in memory, so that the sharing alone is measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import statistics
import time
from multiprocessing.connection import Connection

from benchmarks.report import Line, publish

BAR = 0.9


def work(pipe: Connection, network: str, size: int, batch: int, method_name: str, environment: dict[str, str]) -> None:
    """Train so many steps for each number that comes through the pipe; hand back the seconds, and those of a core."""
    os.environ.update(environment)
    import torch

    from benchmarks.gpu import step_of
    from fertrain import ranks

    torch.set_num_threads(1)
    args = argparse.Namespace(
        network=network, size=size, batch=batch, precision="fp32", device="cpu", anchors=1, optimizer="adamw",
        compile=False,
    )  # fmt: skip
    with ranks.joined("cpu"):
        train, batches, _, _ = step_of(method_name, args)
        while steps := pipe.recv():
            ranks.wait()
            began, busy = time.perf_counter(), time.process_time()
            for _ in range(steps):
                train(next(batches))
            pipe.send((time.perf_counter() - began, time.process_time() - busy))


def pair(args: argparse.Namespace, method: str, batch: int, *, shared: bool) -> list[Connection]:
    """Start two processes, each on a core of its own; they share a run or have one each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    pipes = []
    for k in range(2):
        here, there = context.Pipe()
        own = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        if shared:
            own |= {"RANK": str(k), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        size = batch if shared else batch // 2
        context.Process(target=work, args=(there, args.network, args.size, size, method, own), daemon=True).start()
        pipes.append(here)
    return pipes


def rate(pipes: list[Connection], steps: int, batch: int) -> tuple[float, float]:
    """Labeled images per second of both processes together, and per second of a core."""
    for pipe in pipes:
        pipe.send(steps)
    took = [pipe.recv() for pipe in pipes]
    images = steps * batch / 2
    return sum(images / wall for wall, _ in took), len(took) * images / sum(busy for _, busy in took)


def measure(method: str, batch: int, args: argparse.Namespace) -> Line:
    together, apart = pair(args, method, batch, shared=True), pair(args, method, batch, shared=False)
    rate(together, args.steps, batch)
    rate(apart, args.steps, batch)
    rows = [(rate(together, args.steps, batch), rate(apart, args.steps, batch)) for _ in range(args.rounds)]
    for pipe in together + apart:
        pipe.send(0)
    ratios = [a / b for (a, _), (b, _) in rows]
    ratio = statistics.median(ratios)
    one, two = (statistics.median(wall for wall, _ in column) for column in zip(*rows, strict=True))
    cores = statistics.median(a / b for (_, a), (_, b) in rows)
    return Line(
        f"{method}, {args.network}, {args.size} px, batch {batch}: a shared run against two",
        f"{one:.1f} against {two:.1f} images/s = {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"{cores:.2f} by seconds of a core",
        f"≥ {BAR}",
        ratio >= BAR,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 128], help="of both processes together")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["supervised", "rmfer"])
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/ranks.md")
    args = parser.parse_args()
    lines = [measure(method, batch, args) for method in args.methods for batch in args.batch]
    notes = [f"Medians of {args.rounds} rounds of {args.steps} steps; images per second are those with labels."]
    publish("ranks", "A run in two processes", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
