"""The indexes of crops and pairs of many videos: built, opened, with one more video, and drawn from.

python -m benchmarks.index FOLDER [--videos 2000 20000] [--write]
python -m benchmarks.index FOLDER --videos 216 --people 16 --frames 13200     RMset itself

Shards are named only: an index is made of the rows that exports write beside them (`state/rows`), never of pixels.
"""

from __future__ import annotations

import argparse
import mmap
import resource
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.pairs import ANCHORS, CANDIDATES
from benchmarks.report import Line, memory, publish
from rmset import local_files, outputs
from rmset.read.arrange import PairRule
from rmset.read.blocks import FOLDER
from rmset.read.crops import CropStore
from rmset.read.pairindex import open_sampler
from rmset.read.pairs import PairSampler
from rmset.read.rows import VideoRows, keep, rows_key, shards_of
from rmset.root import Root

BATCH = 1000
"""videos of which the rows are on disk at once"""
SPARE = 4 << 30
"""bytes that stay free on the disk"""
MORE = 5
T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """Size of each video; as it is, 20,000 videos have 4.5 × 10⁸ crops."""

    people: int = 9
    frames: int = 2500

    @property
    def rows(self) -> int:
        """Crops of a video."""
        return self.people * self.frames


def add(root: Root, number: int, shape: Shape) -> str:
    """Name the shard of one video, and write its rows."""
    video_id, rng = f"v-{number:08d}", np.random.default_rng(number)
    with root.files.publish_folder(root.crops_key(video_id)) as place:
        (place / "part-000.parquet").write_bytes(b"named only")
    frame = np.repeat(np.arange(shape.frames, dtype=np.int32), shape.people)
    where = np.empty(shape.rows, [("offset", "<u4"), ("size", "<u4")])
    where["size"] = rng.integers(9000, 15000, shape.rows)
    where["offset"] = np.cumsum(where["size"])
    columns = {
        "person": np.tile(np.arange(shape.people, dtype=np.int16), shape.frames),
        "segment": np.zeros(shape.rows, np.int16),
        "frame": frame, "time_ms": frame * (1000 / 30), "location": where,
    }  # fmt: skip
    keep(root, video_id, shards_of(root, video_id), VideoRows(columns, (shape.rows,)))
    return video_id


def unsynced(work: Callable[[], object]) -> None:
    """Write simulated files without waiting for the disk; only the index's own waits are measured."""
    real = local_files.sync
    local_files.sync = outputs.sync = lambda _: None
    try:
        work()
    finally:
        local_files.sync = outputs.sync = real


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """Result, wall-clock and processor seconds."""
    began, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - began, time.process_time() - busy


def opened(root: Root) -> tuple[CropStore, PairSampler]:
    """Open both indexes, after bringing them up to date."""
    store = CropStore(root)
    return store, open_sampler(store, PairRule())


def grow(
    root: Root, start: int, stop: int, shape: Shape
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Add videos in batches; return wall-clock and processor seconds of both indexes for each batch."""
    crops, pairs = [], []
    for low in range(start, stop, BATCH):
        if shutil.disk_usage(root.path if low else root.path.parent).free < SPARE:
            raise SystemExit(f"expected {SPARE / 1e9:.0f} GB of free disk, found less; take fewer videos")
        ids: list[str] = []
        unsynced(lambda low=low, ids=ids: ids.extend(add(root, n, shape) for n in range(low, min(low + BATCH, stop))))
        store, *took = timed(lambda: CropStore(root))
        crops.append((took[0], took[1]))
        _, *took = timed(lambda store=store: open_sampler(store, PairRule()))
        pairs.append((took[0], took[1]))
        for video_id in ids:
            # Blocks stay; the rows are only needed once, and the disk is small.
            root.files.remove(rows_key(video_id))
    return crops, pairs


def draws(sampler: PairSampler, batches: int) -> list[tuple[float, float, float, int]]:
    """Draw the same batches twice: median and 99th percentile of processor ms, median by the clock, disk reads."""
    rng, found = np.random.default_rng(0), []
    wanted = [sampler.anchors[rng.choice(len(sampler.anchors), ANCHORS)] for _ in range(batches)]
    for _ in range(2):
        took, worked, faults = [], [], resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        for anchors in wanted:
            began, busy = time.perf_counter(), time.thread_time()
            drawn = sampler.draw_many(anchors, rng)
            worked.append(1e3 * (time.thread_time() - busy))
            took.append(1e3 * (time.perf_counter() - began))
            # Fewer positives only at the very ends of a video.
            assert all(CANDIDATES - 2 <= len(p) <= len(n) == CANDIDATES for p, n in drawn)
        reads = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - faults
        found.append((statistics.median(worked), float(np.percentile(worked, 99)), statistics.median(took), reads))
    return found


def measure(root: Root, start: int, stop: int, shape: Shape) -> list[Line]:
    """Grow the indexes to `stop` videos, and measure them there."""
    crops, pairs = grow(root, start, stop, shape)
    rows = f"{stop * shape.rows / 1e6:,.0f} million crops"
    lines = []
    for name, found in (("crops", crops), ("pairs", pairs)):
        wall, own = (sum(t[i] for t in found) for i in range(2))
        batch = min(BATCH, stop - start)
        first, last = (1e3 * per[1] / batch for per in (found[0], found[-1]))
        lines.append(
            Line(
                f"{rows}: index of {name}, videos {start:,} to {stop:,} in batches of {BATCH:,}",
                f"{own:.0f} s ({wall:.0f} s with waiting); a video of the first batch {first:.1f} ms, "
                f"of the last {last:.1f} ms",
                "linear",
                last <= 1.5 * first + 1,
            )
        )
    disk = sum(root.files.stamp(key).bytes for key in root.files.keys(f"{FOLDER}/*/*")) / 1e9
    before = memory()
    (_, sampler), wall, own = timed(lambda: opened(root))
    more = []
    for number in range(stop, stop + MORE):
        ids: list[str] = []
        unsynced(lambda number=number, ids=ids: ids.append(add(root, number, shape)))
        (_, sampler), *took = timed(lambda: opened(root))
        more.append((took[0], took[1], ids[0]))
    first, again = draws(sampler, 500)
    used, mapped = (now - then for now, then in zip(memory(), before, strict=True))
    waited = statistics.median(t[0] for t in more)
    for _, _, video_id in more:
        root.files.remove(root.crops_key(video_id))
        root.files.remove(rows_key(video_id))
    return [
        *lines,
        Line("… on disk", f"{disk:.2f} GB, {1e9 * disk / (stop * shape.rows):.0f} bytes a crop"),
        Line("… both opened", f"{own:.2f} s ({wall:.2f} s with waiting)", "≤ 2 s", own <= 2),
        Line(
            f"… one more video, both indexes, median of {MORE}",
            f"{statistics.median(t[1] for t in more):.2f} s ({waited:.2f} s with waiting)",
            "≤ 1 s",
            waited <= 1,
        ),
        *(
            Line(
                f"… {ANCHORS} × ({CANDIDATES} + {CANDIDATES}) candidates, median; 99th percentile of 500, {when}",
                f"{middle:.1f} ms ({clock:.1f} with waiting); {late:.1f} ms; {reads:,} pages read from disk",
                "≤ 5 ms",
                middle <= 5,
            )
            for when, (middle, late, clock, reads) in (("at first", first), ("again", again))
        ),
        Line("… memory after all: own / with mapped pages", f"{used / 1e3:.2f} / {mapped / 1e3:.2f} GB"),
    ]


def organized(folder: Path, videos: int, rows: int = 1000) -> list[Line]:
    """Compare a file per video with one file: mapped, and 64 × 100 values read from 64 videos."""
    # Python keeps a descriptor open for each map.
    videos = min(videos, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100)
    folder.mkdir()
    rng, values = np.random.default_rng(0), np.arange(rows, dtype=np.int32)
    for number in range(videos):
        (folder / f"{number}.bin").write_bytes(values.tobytes())
    with (folder / "all").open("wb") as stream:
        for _ in range(videos):
            stream.write(values.tobytes())

    def mapped(path: Path) -> np.ndarray:
        with path.open("rb") as stream:
            return np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.int32)

    apart, apart_s, _ = timed(lambda: [mapped(folder / f"{number}.bin") for number in range(videos)])
    one, one_s, _ = timed(lambda: mapped(folder / "all"))
    took: dict[str, list[float]] = {"apart": [], "one": []}
    for _ in range(200):
        video, row = rng.choice(videos, 64, replace=False), rng.integers(0, rows, (64, 100))
        several, wall, _ = timed(
            lambda video=video, row=row: np.stack([apart[v][r] for v, r in zip(video.tolist(), row, strict=True)])
        )
        took["apart"].append(1e6 * wall)
        together, wall, _ = timed(lambda video=video, row=row: one[row + (video * rows)[:, None]])
        took["one"].append(1e6 * wall)
        assert np.array_equal(several, together)
    shutil.rmtree(folder)
    return [
        Line(
            f"{videos:,} videos, a file each: mapped; 64 × 100 values of 64 videos",
            f"{apart_s:.2f} s; {statistics.median(took['apart']):.0f} µs",
        ),
        Line("… one file", f"{one_s:.4f} s; {statistics.median(took['one']):.0f} µs"),
    ]


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where simulated roots are made, and removed")
    parser.add_argument("--videos", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--write", action="store_true", help="to benchmarks/results")
    parser.add_argument("--people", type=int, default=Shape.people)
    parser.add_argument("--frames", type=int, default=Shape.frames)
    args = parser.parse_args()
    shape = Shape(args.people, args.frames)
    args.folder.mkdir(parents=True, exist_ok=True)
    root, start = Root(args.folder / "simulated"), 0
    lines = organized(args.folder / "organized", max(args.videos))
    try:
        for stop in sorted(args.videos):
            need = (stop - start) * shape.rows * 33
            free = shutil.disk_usage(args.folder).free
            if free - need < SPARE:
                parser.error(f"expected {(need + SPARE) / 1e9:.0f} GB of free disk, found {free / 1e9:.0f}")
            lines += measure(root, start, stop, shape)
            start = stop
    finally:
        shutil.rmtree(args.folder / "simulated", ignore_errors=True)
    notes = [
        f"Videos of {shape.rows:,} crops: {shape.people} people in {shape.frames:,} frames; d = 5, d_far = 30.",
        "Processor time of all threads of the process, and the clock in brackets: other programs ran.",
        "Rows of a batch are written before its index is measured, and removed after: that is the export's work.",
    ]
    publish(
        "indexes" if shape == Shape() else "indexes_paper", "Indexes of many videos", lines, notes, write=args.write
    )


if __name__ == "__main__":
    main()
