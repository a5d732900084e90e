"""Feeding: decoded, augmented, batched pictures through a DataLoader, against a bare loop on as many processes."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.report import Line, in_turn, ratio
from fertrain.transforms.augment import JitterRange
from fertrain.transforms.augment import jitter as batch_jitter
from fertrain.unlabeled.loader import CropBatches, CropDataset, Step, crop_loader
from rmset.parts.pictures import decode
from rmset.read.crops import CropStore

NOTES = [
    "The bare loop has its encoded pictures in memory and keeps nothing; the loader reads them and hands batches over.",
]
# Steps enough that a pass takes seconds: starting and draining the workers is a fixed cost of every epoch.
BATCH, STEPS, WORKERS = 64, 240, 2


def _bare(pipe: Connection, data: CropDataset, share: list[list[bytes]]) -> None:
    """One process of the bare loop: decodes and augments its share whenever it is told to."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    while pipe.recv():
        for number, pictures in enumerate(share):
            data.pixels(pictures, [0, number])
        pipe.send(True)


def measure(store: CropStore, rounds: int) -> list[Line]:
    """The lines of the table."""
    data = CropDataset(store, jitter=JitterRange(), seed=0)
    batches = CropBatches(min(len(store), BATCH * STEPS), batch=BATCH)
    # Forked: both sides share what the parent has read, and nothing is measured but the work.
    context = multiprocessing.get_context("fork")
    steps = list(batches)
    pipes, processes = [], []
    for worker in range(WORKERS):
        here, there = context.Pipe()
        share = [store.read(step.rows) for step in steps[worker::WORKERS]]
        process = context.Process(target=_bare, args=(there, data, share), daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)

    def bare() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    loader = crop_loader(store, batches, workers=WORKERS, jitter=JitterRange(), start="fork")

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
        f"DataLoader, {WORKERS} workers, times as fast as a bare loop on {WORKERS} processes",
        found,
        "≥ 0.85",
        times >= 0.85,
    )
    return [line, *_costs(store, data)]


def _costs(store: CropStore, data: CropDataset) -> list[Line]:
    """What augmentation costs beside decoding, on one thread, microseconds a picture."""
    torch.set_num_threads(1)
    pictures = store.read(np.linspace(0, len(store) - 1, 256).astype(int))
    images = [decode(p) for p in pictures]
    plain = CropDataset(store, size=data.size)
    works = {
        "decode": lambda: [decode(p) for p in pictures],
        "decoded batch": lambda: plain.pixels(pictures, [0]),
        "decoded and augmented batch": lambda: data.pixels(pictures, [0]),
    }
    stack = torch.from_numpy(np.stack(images[:64])).permute(0, 3, 1, 2).float() / 255
    works["torch"] = lambda: batch_jitter(stack, torch.Generator().manual_seed(0))
    many = {"torch": 64}
    try:
        from PIL import Image
        from torchvision.transforms import ColorJitter
    except ImportError:
        pass
    else:
        pil = [Image.fromarray(image) for image in images[:64]]
        change = ColorJitter(0.25, 0.25, 0.25, 0.125)
        works["PIL"] = lambda: [change(image) for image in pil]
        many["PIL"] = 64
    # The quickest round: a cost is told, not compared, and other work only ever adds to it.
    took = in_turn(7, **works)
    cost = {name: 1e6 * min(t) / many.get(name, 256) for name, t in took.items()}
    decoding = cost["decode"]
    augment = cost["decoded and augmented batch"] - cost["decoded batch"]
    lines = [
        Line("decoding one 260 × 260 JPEG", f"{decoding:.0f} µs"),
        Line("one of grayscale, flip, color jitter, ours", f"{augment:.0f} µs, {augment / decoding:.2f} × decoding"),
        Line(
            "color jitter of float batches in torch, one thread",
            f"{cost['torch']:.0f} µs, {cost['torch'] / decoding:.1f} × decoding",
        ),
    ]
    if "PIL" in cost:
        lines.append(
            Line("color jitter by PIL (torchvision)", f"{cost['PIL']:.0f} µs, {cost['PIL'] / decoding:.1f} × decoding")
        )
    torch.set_num_threads(torch.get_num_interop_threads())
    return lines


def first_batch(store: CropStore) -> float:
    """Seconds until a spawned loader gives its first batch; what a restart of training costs."""
    data = CropDataset(store)
    steps = [Step(0, 0, np.arange(min(BATCH, len(store))))]
    began = time.perf_counter()
    next(iter(DataLoader(data, sampler=steps, batch_size=None, num_workers=1, multiprocessing_context="spawn")))
    return time.perf_counter() - began
