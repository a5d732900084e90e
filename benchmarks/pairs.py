"""Time and memory of the catalog and of pairs at the size of RMset.

python -m benchmarks.scale metadata data/scale
python -m benchmarks.pairs data/scale [--write]
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.report import Line, memory, publish
from benchmarks.scale import Scale, make_video
from rmset.inspect import stats
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.index import FOLDER
from rmset.read.pairindex import open_sampler
from rmset.read.rows import keep_rows, rows_key
from rmset.root import Root

ANCHORS, CANDIDATES = 64, 50


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Least wall-clock seconds of a round, and least processor seconds of a round.

    On an idle machine, wall-clock time is at most the processor time of all threads together. So if either of the two
    is within the limit, the limit holds.
    """
    took, worked = [], []
    for _ in range(rounds):
        began, busy = time.perf_counter(), time.process_time()
        work()
        worked.append(time.process_time() - busy)
        took.append(time.perf_counter() - began)
    return min(took), min(worked)


def measure_index(root: Root) -> list[Line]:
    """Measure building the index."""
    shutil.rmtree(root.files.local(FOLDER), ignore_errors=True)
    began, worked = time.perf_counter(), time.process_time()
    open_sampler(CropStore(root))
    built, own = time.perf_counter() - began, time.process_time() - worked
    disk = sum(path.stat().st_size for path in root.files.local(FOLDER).rglob("*.bin")) / 1e9
    before = root.video_ids()
    video_id = one_more(root.path, len(before))
    began, busy = time.perf_counter(), time.process_time()
    open_sampler(CropStore(root))
    more, worked_more = time.perf_counter() - began, time.process_time() - busy
    for key in (root.crops_key(video_id), root.tracks_key(video_id), root.layout_key(video_id), rows_key(video_id)):
        root.files.remove(key)
    root.files.remove(root.record_key(video_id))
    return [
        Line("indexes of crops and pairs built", f"{own:.0f} s ({built:.0f} s with waiting)", "≤ 60 s", own <= 60),
        Line("one more video in both", f"{worked_more:.2f} s ({more:.2f} s with waiting)", "≤ 1 s", more <= 1),
        Line("indexes on disk", f"{disk:.2f} GB"),
    ]


def one_more(path: Path, number: int) -> str:
    """Add a video as long as the others, with its part of the index, as its export would."""
    root, video_id = Root(path), make_video(path, number, Scale())
    keep_rows(root, video_id)
    return video_id


def measure_draws(root: Root, batches: int) -> list[Line]:
    """Measure opening the index and drawing from it."""
    before = memory()
    began = time.perf_counter()
    store = CropStore(root)
    sampler = open_sampler(store)
    opened = time.perf_counter() - began
    rng = np.random.default_rng(0)
    took, worked = [], []
    for _ in range(batches):
        anchors = sampler.anchors[rng.choice(len(sampler.anchors), ANCHORS)]
        began, busy = time.perf_counter(), time.thread_time()
        drawn = sampler.draw_many(anchors, rng)
        worked.append(1e3 * (time.thread_time() - busy))
        took.append(1e3 * (time.perf_counter() - began))
        assert all(len(p) == len(n) == CANDIDATES for p, n in drawn)
    own, mapped = (now - then for now, then in zip(memory(), before, strict=True))
    (median, late), (wall, latest) = (
        (statistics.median(times), float(np.percentile(times, 99))) for times in (worked, took)
    )
    what = f"{ANCHORS} anchors × (50 + 50) candidates at {len(store):,} rows, median"
    return [
        Line("index opened", f"{opened:.2f} s", "≤ 2 s", opened <= 2),
        Line(what, f"{median:.1f} ms ({wall:.1f} with waiting)", "≤ 5 ms", median <= 5),
        Line(
            f"… 99th percentile of {batches}, first ones on unmapped pages",
            f"{late:.1f} ms ({latest:.1f} with waiting)",
            "≤ 20 ms",
            late <= 20,
        ),
        Line(
            "memory after all draws: own / with mapped pages, which processes share",
            f"{own / 1e3:.2f} / {mapped / 1e3:.2f} GB",
            "≤ 1.5 GB",
            mapped <= 1500,
        ),
    ]


def measure_sql(root: Root, rounds: int) -> list[Line]:
    """Measure queries of the catalog: medians of repeated runs."""
    catalog = Catalog(root)
    ids = root.video_ids()
    rng = np.random.default_rng(0)
    out = Path(tempfile.mkdtemp(prefix="pairs-", dir=root.path)) / "pairs.parquet"

    def track() -> object:
        video, person = ids[rng.integers(len(ids))], rng.integers(16)
        return catalog.sql(f"select * from faces where video_id = '{video}' and person_id = {person}").arrow()

    def positives() -> object:
        return catalog.sql(f"select * from all_positives('{ids[rng.integers(len(ids))]}')").write(out)

    track()
    one = timed(track, rounds * 3)
    every = timed(positives, rounds)
    pairs = positives()
    shutil.rmtree(out.parent)
    opening = min(timed(lambda: Catalog(root), rounds))
    own, _ = memory()
    return [
        Line(
            f"all positives of one video through SQL ({pairs:,} pairs within ±5), to Parquet",
            f"{every[1]:.1f} s ({every[0]:.1f} s with waiting), {own / 1e3:.1f} GB",
            "≤ 5 s, < 4 GB",
            min(every) <= 5 and own < 4000,
        ),
        Line(
            "`select` of one person's track, catalog open",
            f"{1e3 * one[1]:.0f} ms ({1e3 * one[0]:.0f} ms with waiting)",
            "≤ 100 ms",
            min(one) <= 0.1,
        ),
        Line("catalog opened", f"{opening:.2f} s"),
    ]


def measure_stats(root: Root, rounds: int) -> list[Line]:
    """Measure counts of the whole root."""
    took = timed(lambda: stats.total(stats.per_video(root)), 2 * rounds)
    return [
        Line(
            "`rmset stats` (counts)",
            f"{took[1]:.1f} s ({took[0]:.1f} s with waiting)",
            "≤ 3 s",
            min(took) <= 3,
        )
    ]


def _apart(work: Callable[..., list[Line]], *arguments: object) -> list[Line]:
    """Run a measurement in its own process, to measure its memory alone."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="made by `python -m benchmarks.scale metadata`")
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="to benchmarks/results")
    args = parser.parse_args()
    root = Root(args.root)
    lines = _apart(measure_index, root)
    lines += _apart(measure_draws, root, args.batches)
    lines += _apart(measure_sql, root, args.rounds)
    lines += _apart(measure_stats, root, args.rounds)
    notes = [
        "Files in the page cache, as after a first reading; index, draws, SQL and stats in a process each.",
        "Index: processor time of its threads, reading shards; draws: of their one thread; waiting beside it.",
        "SQL and stats, which use both cores: processor time of both together, and the quickest round on the clock.",
    ]
    publish("pairs", "Catalog and pairs", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
