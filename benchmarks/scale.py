"""Roots at the size of RMset: its metadata without pixels, and a real root's pixels repeated by links.

    python -m benchmarks.scale metadata data/scale            216 videos × 16 people × 13,200 frames, 45.6 million rows
    python -m benchmarks.scale links data/rmset data/linked   the shards of a real root under thousands of names

The metadata root has all files of a real root except videos: layouts, tracks, and crop shards with empty pictures. So
benchmarks on it run the same code as users do.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from rmset import schema
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.local_files import LocalFiles
from rmset.parts.shards import CROP_ROW_GROUP, crop_writer, write_faces
from rmset.parts.tracks import SOURCES
from rmset.records import VideoRecord
from rmset.root import Root

FPS = 30.0


@dataclass(frozen=True)
class Scale:
    """Size of a root: videos, people and frames."""

    videos: int = 216
    people: int = 16
    frames: int = 13_200
    segments: int = 3
    rows_per_part: int = 81_920
    """crops in a shard; what `shard_mb` comes to at the size of the paper"""

    @property
    def rows(self) -> int:
        """Total number of faces."""
        return self.videos * self.people * self.frames


def metadata_root(path: Path, scale: Scale, jobs: int = 2) -> Root:
    """Write a root with the metadata of `scale` and empty pictures; existing files are kept."""
    root = Root(path)
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(make_video, [path] * scale.videos, range(scale.videos), [scale] * scale.videos))
    return root


def make_video(path: Path, number: int, scale: Scale) -> str:
    """Write the files of one video; existing ones are kept. Return its id."""
    root, video_id = Root(path), f"scale-{number:04d}"
    if root.files.exists(root.crops_key(video_id)):
        return video_id
    rng = np.random.default_rng(number)
    record = VideoRecord(
        video_id,
        1920,
        1080,
        FPS,
        scale.frames,
        scale.frames / FPS,
        "h264",
        f"{number:064x}",
        1,
        title=f"video {number}",
    )
    root.write_text(root.record_key(video_id), record.to_json())
    edges = np.linspace(0, scale.frames, scale.segments + 1).astype(int)
    people = tuple(Person(p, (100.0, 100.0, 200.0, 231.0), None, "detected", 0.9) for p in range(scale.people))
    root.write_layout(
        Layout(
            video_id,
            (1920, 1080),
            tuple(
                Segment(a, b, a, (TriggerRegion((640.0, 360.0, 1280.0, 720.0)),), people, number % 2 == 0)
                for a, b in pairwise(edges.tolist())
            ),
        )
    )
    person = np.repeat(np.arange(scale.people, dtype=np.int16), scale.frames)
    frame = np.tile(np.arange(scale.frames, dtype=np.int32), scale.people)
    segment = (np.searchsorted(edges, frame, side="right") - 1).astype(np.int16)
    faces = _faces(video_id, person, frame, segment, rng)
    with root.files.publish(root.tracks_key(video_id)) as target:
        write_faces(target, faces)
    order = np.lexsort((person, frame))
    with root.files.publish_folder(root.crops_key(video_id)) as folder:
        crops = _crops(video_id, person[order], frame[order], segment[order], rng)
        for part, low in enumerate(range(0, len(order), scale.rows_per_part)):
            with crop_writer(folder / f"part-{part:03d}.parquet") as writer:
                writer.write_table(crops.slice(low, scale.rows_per_part), row_group_size=CROP_ROW_GROUP)
    return video_id


def _faces(
    video_id: str, person: np.ndarray, frame: np.ndarray, segment: np.ndarray, rng: np.random.Generator
) -> pa.Table:
    n = len(frame)
    # Faces move slowly, to the quarter of a pixel: about as well compressible as real tracks.
    x = np.round((200 * person + 60 * np.sin(frame / 90 + person)) * 4) / 4
    y = np.round((300 + 40 * np.cos(frame / 70 + person)) * 4) / 4
    height = np.round((130 + 20 * np.sin(frame / 500 + person)) * 4) / 4
    columns = {
        "video_id": pa.array([video_id]).take(pa.array(np.zeros(n, np.int32))),
        "person_id": person,
        "part": np.zeros(n, np.int16),
        "segment": segment,
        "frame_idx": frame,
        "time_ms": frame * 1000 / FPS,
        "x0": x.astype(np.float32),
        "y0": y.astype(np.float32),
        "x1": (x + np.round(height / 1.31)).astype(np.float32),
        "y1": (y + height).astype(np.float32),
        "score": rng.choice(np.linspace(0.7, 1, 64), n).astype(np.float32),
        "source": pa.DictionaryArray.from_arrays(rng.integers(0, 3, n).astype(np.int8), list(SOURCES)),
        "iou_ref": rng.choice(np.linspace(0.3, 1, 64), n).astype(np.float32),
        "landmarks": pa.nulls(n, pa.list_(pa.float32(), 10)),
    }
    return pa.table(columns, schema=schema.faces())


def _crops(
    video_id: str, person: np.ndarray, frame: np.ndarray, segment: np.ndarray, rng: np.random.Generator
) -> pa.Table:
    n = len(frame)
    image = pa.StructArray.from_arrays(
        [pa.array([b""]).take(pa.array(np.zeros(n, np.int32))), pa.nulls(n, pa.string())], names=["bytes", "path"]
    )
    columns = {
        "video_id": pa.array([video_id]).take(pa.array(np.zeros(n, np.int32))),
        "person_id": person,
        "segment": segment,
        "frame_idx": frame,
        "time_ms": frame * 1000 / FPS,
        "width": np.full(n, 260, np.int16),
        "height": np.full(n, 260, np.int16),
        "image": image,
        "encoded_size": np.zeros(n, np.int32),
        **{
            name: rng.choice(np.linspace(low, high, 256), n).astype(np.float32)
            for name, low, high in (
                ("sharpness", 5, 900), ("brightness", 0.2, 0.8), ("yaw", -0.9, 0.9), ("padding", 0, 0.3)
            )
        },
    }  # fmt: skip
    return pa.table(columns, schema=schema.crops())


def linked_root(source: Path, target: Path, copies: int) -> Root:
    """Make a root with the crop shards of `source` repeated `copies` times as hard links, which need no disk space."""
    files = LocalFiles(source)
    for copy in range(copies):
        for key in files.keys("crops/*/part-*.parquet"):
            _, video_id, name = key.split("/")
            link = target / "crops" / f"{video_id[:50]}-{copy:05d}" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                os.link(files.local(key), link)
    return Root(target)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    metadata = commands.add_parser("metadata")
    metadata.add_argument("root", type=Path)
    metadata.add_argument("--videos", type=int, default=Scale.videos)
    metadata.add_argument("--people", type=int, default=Scale.people)
    metadata.add_argument("--frames", type=int, default=Scale.frames)
    links = commands.add_parser("links")
    links.add_argument("source", type=Path)
    links.add_argument("root", type=Path)
    links.add_argument("--copies", type=int, default=3172)
    args = parser.parse_args()
    began = time.perf_counter()
    if args.command == "metadata":
        scale = Scale(args.videos, args.people, args.frames)
        metadata_root(args.root, scale)
        print(f"{scale.rows:,} rows in {time.perf_counter() - began:.0f} s")
    else:
        linked_root(args.source, args.root, args.copies)
        print(f"{args.copies} copies in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
