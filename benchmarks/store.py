"""Speed of shards: export, random reads, and feeding a training.

    python -m benchmarks.store data/rmset [--linked data/linked] [--write]

Every comparison runs ours and theirs in turns and reports the median of the rounds' ratios, because other load on the
machine slows both.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import simplejpeg

from benchmarks import loader
from benchmarks.report import Line, in_turn, memory, publish, ratio
from benchmarks.rivals import hugging_face, image_folder, one_file, web_dataset
from rmset.parts import cropping
from rmset.parts.frames import VideoReader
from rmset.parts.shards import read_faces, write_faces
from rmset.read.crops import CropStore
from rmset.root import Root
from rmset.stages import export

BATCH = 256


def bare_export(root: Root, video_id: str, frames: int, config: export.ExportConfig) -> int:
    """Decode, crop and encode in one loop without storing anything, the minimum of an export."""
    table = read_faces(root.files.local(root.tracks_key(video_id)))
    frame = table["frame_idx"].to_numpy()
    boxes = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
    order = np.argsort(frame, kind="stable")
    frame, boxes = frame[order], boxes[order]
    count = 0
    with VideoReader(root.video_path(video_id)) as reader:
        for shown in reader.frames(stop=frames):
            low, high = np.searchsorted(frame, [shown.frame_idx, shown.frame_idx + 1])
            image = shown.rgb
            bounds = (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
            for box in boxes[low:high]:
                crop = cropping.cut(image, tuple(box), bounds, config.size, config.widen)
                simplejpeg.encode_jpeg(crop.image, quality=config.quality, colorspace="RGB", colorsubsampling="420")
                count += 1
    return count


def measure_export(source: Root, folder: Path, rounds: int, frames: int) -> list[Line]:
    """Compare export with the bare loop, on the first frames of the first video."""
    video_id = next(v for v in source.video_ids() if source.files.exists(source.tracks_key(v)))
    root = Root(folder / "export")
    for key in (source.record_key(video_id), source.layout_key(video_id)):
        root.write_text(key, source.files.read_text(key))
    os.link(source.video_path(video_id), root.files.local(f"videos/{source.video_path(video_id).name}"))
    faces = read_faces(source.files.local(source.tracks_key(video_id)))
    with root.files.publish(root.tracks_key(video_id)) as path:
        write_faces(path, faces.filter(pc.less(faces["frame_idx"], frames)))
    config = export.ExportConfig()
    took = in_turn(
        rounds,
        ours=lambda: export.run(root, video_id, config),
        bare=lambda: bare_export(root, video_id, frames, config),
    )
    times = ratio(took, "ours", "bare")
    rate = len(root.files.keys("tracks/*")) and frames / statistics.median(took["ours"])
    found = f"{times:.2f} ({rate:.0f} frames/s; rounds {_spread(took, 'ours', 'bare')})"
    return [Line("export, times as fast as a bare loop (decode + crop + JPEG)", found, "≥ 0.8", times >= 0.8)]


def _spread(took: dict[str, list[float]], ours: str, theirs: str) -> str:
    ratios = [b / a for a, b in zip(took[ours], took[theirs], strict=True)]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def measure_reads(store: CropStore, folder: Path, rounds: int, batches: int) -> list[Line]:
    """Measure reads of random batches of encoded pictures, with warm pages and one thread."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(store), BATCH) for _ in range(batches)]
    pread = one_file(store, folder)
    files = image_folder(store, folder)
    rivals = {"files": lambda: [files(rows) for rows in draws]}
    if (table := hugging_face(store, folder)) is not None:
        # It is so much slower that a tenth of the batches is enough.
        rivals["hf"] = lambda: [table(rows) for rows in draws[: max(1, batches // 10)]]
    if (stream := web_dataset(store, folder)) is not None:
        rivals["wds"] = lambda: [stream(BATCH) for _ in draws]
    ours, bare = (lambda: [store.read(rows) for rows in draws]), (lambda: [pread(rows) for rows in draws])
    for warm in (ours, bare, rivals["files"]):
        warm()
    took = in_turn(rounds, ours=ours, pread=bare, **rivals)
    took["hf"] = [t * batches / max(1, batches // 10) for t in took.get("hf", [])]
    rate = {name: BATCH * batches / statistics.median(t) for name, t in took.items() if t}
    times = ratio(took, "ours", "pread")
    found = f"{times:.2f} ({rate['ours']:,.0f} against {rate['pread']:,.0f} crops/s"
    found += f"; rounds {_spread(took, 'ours', 'pread')})"
    lines = [
        Line("random crops, times as fast as `os.pread` of the same blobs in one file", found, "≥ 0.5", times >= 0.5)
    ]
    names = {
        "files": "one file a picture (ImageFolder)",
        "hf": "HF datasets over the same Parquet",
        "wds": "WebDataset, shuffle buffer of 1,000",
    }
    for name, what in names.items():
        if took.get(name):
            times = ratio(took, "ours", name)
            lines.append(Line(f"… as {what}", f"{times:.1f} ({rate[name]:,.0f} crops/s)", "> 1", times > 1))
    index = store.index.arrays["location"]
    found_at = in_turn(rounds, look=lambda: [index[rows] for rows in draws])["look"]
    lines.append(Line("looking up where 256 crops lie", f"{1e6 * statistics.median(found_at) / batches:.0f} µs"))
    return lines


def measure_many(root: Root, folder: Path, small: CropStore, rounds: int, batches: int) -> list[Line]:
    """Measure the same over thousands of shards with as many rows as RMset."""
    began = time.perf_counter()
    CropStore(root)
    first = time.perf_counter() - began
    before = memory()
    began = time.perf_counter()
    store = CropStore(root)
    again = time.perf_counter() - began
    rng = np.random.default_rng(1)
    draws = [rng.integers(0, len(store), BATCH) for _ in range(batches)]
    same = [rows % len(small) for rows in draws]
    for rows in draws:
        store.read(rows)
    own, mapped = (now - then for now, then in zip(memory(), before, strict=True))
    pread = one_file(small, folder)
    took = in_turn(
        rounds,
        ours=lambda: [store.read(rows) for rows in draws],
        pread=lambda: [pread(rows) for rows in same],
    )
    times = ratio(took, "ours", "pread")
    shards, rate = len(store.index.shards), BATCH * batches / statistics.median(took["ours"])
    return [
        Line(
            f"{len(store):,} crops in {shards:,} shards: times as fast as `os.pread` in one file",
            f"{times:.2f} ({rate:,.0f} crops/s, {store.open_files} open; rounds {_spread(took, 'ours', 'pread')})",
            "≥ 0.5",
            times >= 0.5,
        ),
        Line("… store opened for the first time / again", f"{first:.1f} s / {again:.2f} s"),
        Line("… memory of its own / with mapped pages, which processes share", f"{own:.0f} / {mapped:.0f} MB"),
    ]


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="an exported root")
    parser.add_argument("--linked", type=Path, help="made by `python -m benchmarks.scale links`")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=300, help="of the video, for the export")
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="to benchmarks/results")
    args = parser.parse_args()
    source = Root(args.root)
    folder = Path(tempfile.mkdtemp(prefix="store-", dir=args.root.parent))
    try:
        lines = measure_export(source, folder, max(3, args.rounds // 2), args.frames)
        store = CropStore(source)
        lines += measure_reads(store, folder, args.rounds, args.batches)
        if args.linked is not None:
            lines += measure_many(Root(args.linked), folder, store, args.rounds, args.batches)
        lines += loader.measure(store, max(3, args.rounds // 2))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = store.index.arrays["location"]["size"].mean() / 1024
    notes = [
        f"{len(store):,} crops, {size:.1f} KB each on average, all of them in the page cache.",
        "Ratios are medians over rounds in which ours and theirs were run in turn.",
    ]
    publish("store", "Shards", lines, notes + loader.NOTES, write=args.write)


if __name__ == "__main__":
    main()
