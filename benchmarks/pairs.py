"""The catalogue and pairs at the size of RMset.

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
from rmset.inspect import stats
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.index import FOLDER
from rmset.read.pairindex import open_sampler
from rmset.store import Root

ANCHORS, CANDIDATES = 64, 50


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    """Seconds of each round."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return took


def measure_index(root: Root) -> list[Line]:
    """The index, made anew."""
    shutil.rmtree(root.files.local(FOLDER), ignore_errors=True)
    began, worked = time.perf_counter(), time.process_time()
    open_sampler(CropStore(root))
    built, own = time.perf_counter() - began, time.process_time() - worked
    disk = sum(path.stat().st_size for path in root.files.local(FOLDER).rglob("*.npy")) / 1e9
    return [
        Line("index built", f"{own:.0f} s ({built:.0f} s with waiting)", "≤ 60 s", own <= 60),
        Line("index on disk", f"{disk:.2f} GB"),
    ]


def measure_draws(root: Root, batches: int) -> list[Line]:
    """The index opened, and drawn from."""
    before = memory()
    began = time.perf_counter()
    store = CropStore(root)
    sampler = open_sampler(store)
    opened = time.perf_counter() - began
    rng = np.random.default_rng(0)
    took, worked = [], []
    for _ in range(batches):
        anchors = rng.choice(sampler.anchors, ANCHORS)
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
    """Queries of the catalogue; each is asked again and the median told."""
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
    one = [1e3 * seconds for seconds in timed(track, rounds * 3)]
    every = timed(positives, rounds)
    pairs = positives()
    shutil.rmtree(out.parent)
    opening = statistics.median(timed(lambda: Catalog(root), rounds))
    own, _ = memory()
    return [
        Line(
            f"all positives of one video through SQL ({pairs:,} pairs within ±5), to Parquet",
            f"{min(every):.1f} s, median {statistics.median(every):.1f} s; {own / 1e3:.1f} GB",
            "≤ 5 s, < 4 GB",
            min(every) <= 5 and own < 4000,
        ),
        Line(
            "`select` of one person's track, catalogue open",
            f"{min(one):.0f} ms, median {statistics.median(one):.0f} ms",
            "≤ 100 ms",
            statistics.median(one) <= 100,
        ),
        Line("catalogue opened", f"{opening:.2f} s"),
    ]


def measure_stats(root: Root, rounds: int) -> list[Line]:
    """Counts of the whole root."""
    took = timed(lambda: stats.total(stats.per_video(root)), 2 * rounds)
    return [
        Line(
            "`rmset stats` (counts)",
            f"{min(took):.1f} s, median {statistics.median(took):.1f} s",
            "≤ 3 s",
            min(took) <= 3,
        )
    ]


def _apart(work: Callable[..., list[Line]], *arguments: object) -> list[Line]:
    """Run in a process of its own, so that its memory is its own."""
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
        "The machine did other work. Index and draws: processor time of their one thread, with waiting beside it.",
        "SQL and stats, which use both cores: the quickest round, with the median beside it.",
    ]
    publish("pairs", "Catalogue and pairs", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
