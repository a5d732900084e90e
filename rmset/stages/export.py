"""Export: one aspect-normalized crop per face row, in Parquet shards.

face rows, by frame -> planes of the decoded frame -> crop within the person's panel -> JPEG -> part-NNN.parquet

The video is streamed once: crops are encoded by threads while the next frames are decoded, and written in the order of
the frames. Nothing is sorted by person on disk; `rmset.read` does that with row numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RootError, UsageError
from rmset.geometry import Box
from rmset.layout_record import Layout
from rmset.parts import cropping
from rmset.parts.frames import Frame
from rmset.parts.pictures import SUFFIX, PictureFormat
from rmset.parts.plane_crops import encoded, picture_of
from rmset.parts.shards import CropWriter, read_faces
from rmset.progress import Progress, silent
from rmset.read.video import reader_of
from rmset.root import Root

NAME = "export"
# Frames cut and encoded while the next ones are decoded. Bounds memory; the output does not depend on it.
_AHEAD = 8
_ENCODERS = 2


@dataclass(frozen=True)
class ExportConfig:
    """Settings that determine the bytes of the shards."""

    size: int = 260
    """side of a crop, px; the paper's value, EfficientNet-B2's input"""
    widen: float = 0.31
    """Δw / w_f; the paper's value"""
    stride: int = 1
    """distance between exported frames: 1 exports all, 2 every second"""
    quality: int = 95
    """JPEG or WebP quality, 1 to 100; our choice"""
    format: PictureFormat = "jpeg"
    """encoding of pixels"""
    min_size: float = 0
    """least height of a face, px; smaller ones are left out"""
    min_score: float = 0
    """least detector score of a face; others are left out"""
    max_per_person: int = 0
    """most crops of one person, spread evenly over that person's time; 0 keeps all"""
    shard_mb: int = 1000
    """approximate picture bytes per shard file, MB; about 80,000 crops at the paper's size"""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.format not in SUFFIX:
            raise UsageError(f"export: expected a format of {', '.join(SUFFIX)}, found {self.format!r}")
        if not (
            8 <= self.size <= 4096
            and self.stride >= 1
            and 1 <= self.quality <= 100
            and self.widen >= 0
            and self.max_per_person >= 0
            and 1 <= self.shard_mb <= 3500
        ):
            raise UsageError(
                "export: expected size 8 to 4096, stride >= 1, quality 1 to 100, widen >= 0, max_per_person >= 0 and "
                f"shard_mb 1 to 3500, found {self}"
            )


def run(root: Root, video_id: str, config: ExportConfig, progress: Progress = silent) -> dict[str, float]:
    """Export one video and publish the folder `crops/<video_id>/`.

    Returns:
        Counts of crops, parts, and faces left out because they lie outside their panel.

    Raises:
        RootError: the video has not been tracked.
        VideoError: the video breaks off before the last face.
    """
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    faces = _Faces(root, video_id, config)
    layout = root.layout(video_id)
    width, height = layout.frame_size
    cutter = _Cutter(video_id, faces, _panels(layout), (0.0, 0.0, float(width), float(height)), config)
    count = done = 0
    with (
        root.files.publish_folder(root.crops_key(video_id)) as folder,
        CropWriter(folder, part_bytes=config.shard_mb * 1_000_000) as writer,
        reader_of(root, video_id) as reader,
        ThreadPoolExecutor(_ENCODERS) as pool,
    ):
        wanted = (f for f in reader.frames(stop=faces.last + 1, stride=config.stride) if len(faces.of(f.frame_idx)))
        for seen, rows in _in_order(pool, cutter, wanted):
            for row in rows:
                writer.add(row)
            count, done = count + len(rows), done + seen
            progress(f"export {video_id}", done, faces.total)
        if done < faces.total:
            raise RootError(
                f"video {video_id}: expected pixels for {faces.total} faces, found frames for {done} "
                f"({reader.fault or 'the video ends early'}); run `rmset track {video_id}` again"
            )
    return {"crops": count, "parts": len(writer.parts), "outside": faces.total - count}


class _Faces:
    """Face rows of a video to export, by frame."""

    def __init__(self, root: Root, video_id: str, config: ExportConfig) -> None:
        table = read_faces(root.files.local(root.tracks_key(video_id)))
        rows = np.empty(
            table.num_rows,
            np.dtype(
                [
                    ("person_id", np.int16),
                    ("segment", np.int16),
                    ("frame", np.int32),
                    ("score", np.float32),
                    ("box", np.float32, 4),
                    ("landmarks", np.float32, (5, 2)),
                ]
            ),
        )
        names = {"person_id": "person_id", "segment": "segment", "frame": "frame_idx", "score": "score"}
        for name, column in names.items():
            rows[name] = table[column].to_numpy()
        rows["box"] = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
        known = table["landmarks"].is_valid().to_numpy()
        rows["landmarks"] = np.nan
        rows["landmarks"][known] = (
            table["landmarks"].drop_null().combine_chunks().flatten().to_numpy().reshape(-1, 5, 2)
        )
        rows = rows[chosen(table, config)]
        self._rows = rows[np.lexsort((rows["person_id"], rows["frame"]))]
        self._frames = np.ascontiguousarray(self._rows["frame"])
        self.total = len(self._rows)
        self.last = int(self._frames[-1]) if self.total else -1

    def of(self, frame_idx: int) -> npt.NDArray[np.void]:
        """Return the rows of one frame, by person."""
        low, high = np.searchsorted(self._frames, [frame_idx, frame_idx + 1])
        return np.asarray(self._rows[low:high])


def chosen(faces: pa.Table, config: ExportConfig) -> npt.NDArray[np.bool_]:
    """Return which face rows (N,) are exported."""
    height = faces["y1"].to_numpy() - faces["y0"].to_numpy()
    person, frame = faces["person_id"].to_numpy(), faces["frame_idx"].to_numpy()
    keep = (height >= config.min_size) & (faces["score"].to_numpy() >= config.min_score)
    keep &= frame % config.stride == 0
    if config.max_per_person:
        rows = np.flatnonzero(keep)
        rows = rows[np.lexsort((frame[rows], person[rows]))]
        keep = np.zeros(len(keep), np.bool_)
        keep[rows[spread(person[rows], config.max_per_person)]] = True
    return np.asarray(keep)


def spread(group: npt.NDArray[np.integer], most: int) -> npt.NDArray[np.int64]:
    """Positions of at most `most` elements of each run of equal values in `group` (N,), spread evenly over the run.

    >>> spread(np.array([0, 0, 0, 0, 0, 1, 1]), 3).tolist()
    [0, 2, 4, 5, 6]
    """
    edges = np.flatnonzero(np.diff(group, prepend=group[:1] - 1, append=group[-1:] + 1))
    kept = [
        low + np.unique(np.linspace(0, high - low - 1, min(most, high - low)).round().astype(np.int64))
        for low, high in pairwise(edges.tolist())
    ]
    return np.concatenate(kept) if kept else np.empty(0, np.int64)


@dataclass(frozen=True)
class _Cutter:
    """Cut the crop rows of a frame; runs in threads."""

    video_id: str
    faces: _Faces
    panels: dict[tuple[int, int], Box | None]
    frame: Box
    """the whole frame"""
    config: ExportConfig

    def __call__(self, frame: Frame) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of faces in the frame, and the crop rows of those within their panels."""
        config = self.config
        picture = picture_of(frame, config.format)
        faces = self.faces.of(frame.frame_idx)
        rows = []
        for face in faces:
            person = int(face["person_id"])
            panel = self.panels.get((int(face["segment"]), person)) or self.frame
            try:
                crop = picture.cut(tuple(face["box"].tolist()), panel, config.size, config.widen)
            except ValueError:
                # A face outside its panel is not its person: it is counted, but not exported.
                continue
            data = encoded(crop, config.format, config.quality)
            rows.append(
                cropping.crop_row(
                    crop, data, SUFFIX[config.format], video_id=self.video_id, person_id=person,
                    segment=face["segment"], frame_idx=frame.frame_idx, time_ms=frame.time_ms,
                    landmarks=face["landmarks"],
                )
            )  # fmt: skip
        return len(faces), rows


def _panels(layout: Layout) -> dict[tuple[int, int], Box | None]:
    """(segment, person) -> panel that bounds the person's crops."""
    return {(i, p.person_id): p.panel for i, s in enumerate(layout.segments) for p in s.people}


def _in_order(
    pool: ThreadPoolExecutor, work: _Cutter, frames: Iterator[Frame]
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield results of `work` in the order of the frames, working on a few frames at once."""
    pending: deque[Future[tuple[int, list[dict[str, Any]]]]] = deque()
    for frame in frames:
        pending.append(pool.submit(work, frame))
        if len(pending) >= _AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
