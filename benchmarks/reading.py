"""What training reads per second: `python -m benchmarks.reading [--images 4096] [--threads 2] [--write]`.

Makes a root and a labeled folder of JPEGs of 260 px (smooth noise), packs the folder, and reads 112 px from each of
them: by processes and threads, from memory and with the files dropped from it (`posix_fadvise`), row by row and in
blocks, fully decoded and at reduced scale. Every loader is compared with a bare loop that decodes the same pictures out
of a list on as many threads, in turns, because other load slows both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch

from benchmarks.report import Line, publish
from fertrain.datasets.images import ImageFiles, batches
from fertrain.datasets.packed import PackedBytes, pack
from fertrain.datasets.registry import Entry, open_entry
from fertrain.unlabeled.crops import CropDataset
from fertrain.unlabeled.loader import CropLoader
from rmset import schema
from rmset.parts.shards import CropWriter

SIDE, SIZE, BATCH, BLOCK = 260, 112, 64, 16


def pictures(count: int) -> list[bytes]:
    """JPEGs of smooth noise."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        rough = cv2.resize(
            rng.integers(0, 255, (20, 20, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
        )
        noisy = np.clip(rough.astype(np.int16) + rng.integers(-6, 6, rough.shape), 0, 255).astype(np.uint8)
        found.append(simplejpeg.encode_jpeg(noisy, quality=90, colorsubsampling="420"))
    return found


def make_root(folder: Path, images: int, some: list[bytes], rows_per_part: int = 2048) -> None:
    """Write the crops of one video."""
    crops = folder / "crops" / "m-00000000"
    crops.mkdir(parents=True)
    empty = {f.name: {"string": "", "float": 0.0, "double": 0.0}.get(str(f.type), 0) for f in schema.crops()}
    with CropWriter(crops, rows_per_part=rows_per_part) as writer:
        for k in range(images):
            row = empty | {
                "video_id": "m-00000000", "person_id": k // 1024, "frame_idx": k % 1024, "width": SIDE, "height": SIDE,
                "image": {"bytes": some[k % len(some)], "path": f"{k}.jpg"},
            }  # fmt: skip
            del row["encoded_size"]
            writer.add(row)


def make(folder: Path, images: int) -> None:
    """Make a root, a labeled folder, and the folder packed."""
    some = pictures(256)
    make_root(folder / "root", images, some)
    names = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    for k in range(images):
        path = folder / "faces" / "train" / names[k % 7]
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{k}.jpg").write_bytes(some[k % len(some)])
    pack(open_entry(Entry("faces", "folder", folder / "faces")), folder / "packed")


def drop(folder: Path) -> None:
    """Drop the files of a folder from memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def through(read: Callable[[], Iterable[torch.Tensor]]) -> Callable[[], int]:
    """Read everything; return the number of images."""
    return lambda: sum(len(pixels) for pixels in read())


def compared(
    what: str, bar: float | None, rounds: int, ours: Callable[[], int], bare: Callable[[], int],
    before: Callable[[], None] = lambda: None,
) -> Line:  # fmt: skip
    """Images per second of ours, and its median ratio to the bare loop; `before` is not timed."""
    ratios, rates, costs = [], [], []
    bare()
    for _ in range(rounds):
        before()
        began, busy = time.perf_counter(), time.process_time()
        n = ours()
        mine, cost = n / (time.perf_counter() - began), (time.process_time() - busy) / n
        began, busy = time.perf_counter(), time.process_time()
        theirs = (n := bare()) / (time.perf_counter() - began)
        costs.append((cost * 1e6, (time.process_time() - busy) / n * 1e6))
        rates.append((mine, theirs))
        ratios.append(mine / theirs)
    ratio = statistics.median(ratios)
    mine, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    found = f"{mine:,.0f} against {theirs:,.0f} images/s = {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    if "processes" not in what:
        # other load slows the clock, not the processor's own count; that of other processes is not in it
        found += "; {:.0f} against {:.0f} µs of a processor".format(*map(min, zip(*costs, strict=True)))
    return Line(what, found, f"≥ {bar}" if bar else "", None if bar is None else ratio >= bar)


def bare_loop(data: CropDataset) -> Callable[[int], Callable[[], int]]:
    """For a number of threads, a loop that decodes all pictures out of a list."""
    n = len(data) // BATCH * BATCH
    held = data.store.read(np.arange(n))

    def bare(count: int) -> Callable[[], int]:
        parts = [(held[i : i + BATCH], np.arange(i, i + BATCH)) for i in range(0, n, BATCH)]

        def loop() -> int:
            with ThreadPoolExecutor(count) as pool:
                return sum(len(x) for x in pool.map(lambda part: data.decoded(*part), parts))

        return loop

    return bare


def measure(folder: Path, threads: int, rounds: int) -> list[Line]:
    data = CropDataset(folder / "root", image_size=SIZE)
    n = len(data) // BATCH * BATCH
    bare = bare_loop(data)

    def loader(**how: object) -> Callable[[], int]:
        return through(lambda: (batch.pixels for batch in CropLoader(data, BATCH, **how)))  # type: ignore[arg-type]

    t, cold = threads, lambda: drop(folder / "root" / "crops")
    lines = [
        compared("root, one process, from memory", 0.9, rounds, loader(), bare(1)),
        compared(f"root, {t} threads, from memory", 0.9, rounds, loader(workers=t, threads=True), bare(t)),
        compared(f"root, {t} processes, from memory", None, rounds, loader(workers=t), bare(t)),
        compared(f"root, 8 threads, from memory, against {t}", None, rounds, loader(workers=8, threads=True), bare(t)),
        compared(f"root, 8 processes, from memory, against {t}", None, rounds, loader(workers=8), bare(t)),
        compared(f"root, {t} threads, from disk, row by row", None, rounds,
            loader(workers=t, threads=True), bare(t), cold,
        ),
        compared(
            f"root, {t} threads, from disk, blocks of {BLOCK}", 0.9, rounds,
            loader(workers=t, threads=True, block=BLOCK), bare(t), cold,
        ),
    ]  # fmt: skip
    rows = np.random.default_rng(0).permutation(n).reshape(-1, BATCH).tolist()
    split = open_entry(Entry("faces", "folder", folder / "faces")).load("train", "given")

    def labeled(source: object, *, reduced: bool) -> Callable[[], int]:
        images = ImageFiles(source, split.names, SIZE, gray=False, reduced=reduced)  # type: ignore[arg-type]
        return through(lambda: batches(images, rows, t, threads=True))

    packed = PackedBytes(folder / "packed")
    for name, source, at in (("folder", split.source, "faces"), ("packed", packed, "packed")):
        away = lambda at=at: drop(folder / at)  # noqa: E731
        full, small = labeled(source, reduced=False), labeled(source, reduced=True)
        lines += [
            compared(f"labeled, {name}, {t} threads, decoded fully, from memory", None, rounds, full, bare(t)),
            compared(f"labeled, {name}, {t} threads, reduced, from memory", 0.9, rounds, small, bare(t)),
            compared(f"labeled, {name}, {t} threads, reduced, from disk", None, rounds, small, bare(t), away),
        ]
    return lines


def options(about: str | None, images: int, name: str) -> argparse.Namespace:
    """Parse the command line of a benchmark of reading; OpenCV and torch get one thread each."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files are made; default: a temporary folder")
    parser.add_argument("--write", action="store_true", help=f"keep the table in benchmarks/results/{name}.md")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return parser.parse_args()


def main() -> None:
    args = options(__doc__, 4096, "reading")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        make(Path(folder), args.images)
        lines = measure(Path(folder), args.threads, args.rounds)
    notes = [
        f"{args.images:,} pictures of {SIDE} px to {SIZE} px, batches of {BATCH}; medians of {args.rounds} rounds.",
        "The bare loop decodes at reduced scale out of a list; both sides take turns.",
        "From disk: the files' pages are dropped before each round; directories stay in memory.",
    ]
    publish("reading", "What training reads", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
