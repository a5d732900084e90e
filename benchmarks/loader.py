"""Speed of `CropLoader`'s decoded batches compared with a bare loop on as many processes."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection

import cv2
import numpy as np
import torch

from benchmarks.report import Line, in_turn, ratio
from fertrain.transforms.augment import one_of
from fertrain.unlabeled.crops import CropDataset
from fertrain.unlabeled.loader import CropBatches, CropLoader
from rmset.read.crops import CropStore

NOTES = [
    "The bare loop has its encoded pictures in memory and keeps nothing; the loader reads them and hands batches over.",
]
# Enough steps for several seconds per pass: starting and draining the workers is a fixed cost of every epoch.
BATCH, STEPS, WORKERS = 64, 480, 2


def _bare(pipe: Connection, data: CropDataset, share: list[tuple[list[bytes], np.ndarray]]) -> None:
    """Run a worker of the bare loop: it decodes its share once per message from the pipe."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    while pipe.recv():
        for pictures, rows in share:
            data.decoded(pictures, rows)
        pipe.send(True)


def measure(store: CropStore, rounds: int) -> list[Line]:
    """Lines of the table."""
    data = CropDataset(store.root)
    loader = CropLoader(data, BATCH, workers=WORKERS)
    loader.order = CropBatches(min(len(store), BATCH * STEPS), batch=BATCH)
    # Forked, so that both sides share the parent's data, and only the work is measured.
    context = multiprocessing.get_context("fork")
    steps = list(CropBatches(min(len(store), BATCH * STEPS), batch=BATCH))
    pipes, processes = [], []
    for worker in range(WORKERS):
        here, there = context.Pipe()
        share = [(store.read(step.rows), step.rows) for step in steps[worker::WORKERS]]
        process = context.Process(target=_bare, args=(there, data, share), daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)

    def bare() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    def ours() -> None:
        for _ in loader:
            pass

    ours()
    bare()
    took = in_turn(2 * rounds, ours=ours, bare=bare)
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(False)
        process.join()
    times, count = ratio(took, "ours", "bare"), len(steps) * BATCH
    rates = {name: count / statistics.median(t) for name, t in took.items()}
    ratios = [b / a for a, b in zip(took["ours"], took["bare"], strict=True)]
    found = f"{times:.2f} ({rates['ours']:,.0f} against {rates['bare']:,.0f} images/s"
    found += f"; rounds {min(ratios):.2f} to {max(ratios):.2f})"
    line = Line(
        f"CropLoader, {WORKERS} workers, times as fast as a bare loop on {WORKERS} processes",
        found,
        "≥ 0.85",
        times >= 0.85,
    )
    return [line, *_costs(store, data)]


def _costs(store: CropStore, data: CropDataset) -> list[Line]:
    """Time of decoding and of augmentation on one thread, microseconds per picture."""
    torch.set_num_threads(1)
    rows = np.linspace(0, len(store) - 1, BATCH).astype(int)
    pictures = store.read(rows)
    batch = data.decoded(pictures, rows).float() / 255
    # The fastest round: a cost is reported, not compared, and other load only adds to it.
    took = in_turn(
        7,
        decode=lambda: data.decoded(pictures, rows),
        augment=lambda: one_of(batch, torch.Generator().manual_seed(0)),
    )
    cost = {name: 1e6 * min(t) / BATCH for name, t in took.items()}
    torch.set_num_threads(torch.get_num_interop_threads())
    return [
        Line(f"decoding one {data.size} × {data.size} JPEG", f"{cost['decode']:.0f} µs"),
        Line(
            "one of grayscale, flip, color jitter, as in training",
            f"{cost['augment']:.0f} µs, {cost['augment'] / cost['decode']:.1f} × decoding",
        ),
    ]


def first_batch(store: CropStore) -> float:
    """Seconds until a loader's first batch, the cost of restarting a training."""
    loader = CropLoader(CropDataset(store.root), min(BATCH, len(store)), workers=1)
    began = time.perf_counter()
    next(iter(loader))
    return time.perf_counter() - began
