"""Export: one aspect-normalized crop per face row, in Parquet shards.

face rows, by frame -> planes of the decoded frame -> crop within the person's panel -> JPEG -> part-NNN.parquet

The video is streamed once: crops are encoded by threads while the next frames are decoded, and written in the order of
the frames. Nothing is sorted by person on disk; `rmset.read` does that with row numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RootError, UsageError
from rmset.fields import LATER
from rmset.geometry import Box
from rmset.parts import cropping
from rmset.parts.cropping import Bounds, EncodedCrop
from rmset.parts.early import CutConfig, EarlyCrops, cut_out
from rmset.parts.frames import Frame
from rmset.parts.grid import Grid
from rmset.parts.likeness import BITS, likeness_of
from rmset.parts.pictures import SUFFIX, PictureFormat
from rmset.parts.plane_crops import picture_of
from rmset.parts.shards import CropWriter, read_faces
from rmset.parts.spool import Spool
from rmset.progress import Progress, silent
from rmset.read.rows import keep_rows
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
    distinct: int | None = field(default=None, metadata=LATER)
    """leave out crops whose perceptual hash differs in at most so many of 256 bits from that of the last kept crop of
    the same track; None keeps all"""
    grid: Grid | None = field(default=None, metadata=LATER)
    """pixels of the released frame, in a root that was rebuilt from a release; None: those of the video"""

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
            and (self.distinct is None or 0 <= self.distinct < BITS)
        ):
            raise UsageError(
                "export: expected size 8 to 4096, stride >= 1, quality 1 to 100, widen >= 0, max_per_person >= 0, "
                f"shard_mb 1 to 3500 and distinct below {BITS}, found {self}"
            )

    @property
    def cut(self) -> CutConfig:
        """Settings of single crops."""
        return CutConfig(self.size, self.widen, self.format, self.quality, self.stride, self.min_size, self.min_score)


def run(
    root: Root, video_id: str, config: ExportConfig, progress: Progress = silent, early: EarlyCrops | None = None
) -> dict[str, float]:
    """Export one video and publish the folder `crops/<video_id>/`.

    The video is not decoded if tracking has just cut all of its crops (`early`).

    Returns:
        Counts of crops, parts, faces left out because they lie outside their panel, and, if asked for, crops left out
        because they look like the one before.

    Raises:
        RootError: the video has not been tracked.
        VideoError: the video breaks off before the last face.
    """
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    faces = _Faces(root, video_id, config)
    bounds = Bounds.in_layout(root.layout(video_id))
    spool = early.of(root.record(video_id).sha256, config.cut) if early is not None else None
    kept = None if spool is None else _kept(spool, faces.rows, bounds)
    count = done = like = 0
    last: dict[int, npt.NDArray[np.uint8]] = {}
    with (
        root.files.publish_folder(root.crops_key(video_id)) as folder,
        CropWriter(folder, part_bytes=config.shard_mb * 1_000_000) as writer,
    ):
        found = (
            _decoded(root, video_id, faces, bounds, config)
            if spool is None or kept is None
            else (spool.read(row) for row in kept.tolist())
        )
        for face, (time_ms, crop) in zip(faces.rows, found, strict=True):
            if crop is not None and config.distinct is not None and _looks_like(last, face, crop, config.distinct):
                like += 1
            elif crop is not None:
                writer.add(_row(video_id, face, time_ms, crop, config))
                count += 1
            done += 1
            if done == faces.total or faces.rows["frame"][done] != face["frame"]:
                progress(f"export {video_id}", done, faces.total)
    keep_rows(root, video_id)
    counts: dict[str, float] = {"crops": count, "parts": len(writer.parts), "outside": faces.total - count - like}
    return counts if config.distinct is None else counts | {"like": like}


def _looks_like(last: dict[int, npt.NDArray[np.uint8]], face: np.void, crop: EncodedCrop, most: int) -> bool:
    """Whether a crop looks like the last kept one of its person; else it is the last one from now on."""
    own = np.frombuffer(likeness_of(crop.data), np.uint8)
    before = last.get(int(face["person_id"]))
    if before is not None and int(np.bitwise_count(before ^ own).sum()) <= most:
        return True
    last[int(face["person_id"])] = own
    return False


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
        self.rows = rows[np.lexsort((rows["person_id"], rows["frame"]))]
        self._frames = np.ascontiguousarray(self.rows["frame"])
        self.total = len(self.rows)
        self.last = int(self._frames[-1]) if self.total else -1

    def of(self, frame_idx: int) -> npt.NDArray[np.void]:
        """Return the rows of one frame, by person."""
        low, high = np.searchsorted(self._frames, [frame_idx, frame_idx + 1])
        return np.asarray(self.rows[low:high])


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


def _kept(spool: Spool, faces: npt.NDArray[np.void], bounds: Bounds) -> npt.NDArray[np.int64] | None:
    """Return the rows of all faces' crops in the spool, or None if one is missing."""
    panels, which = np.unique(faces[["segment", "person_id"]], return_inverse=True)
    inside = [bounds.of(int(segment), int(person)) for segment, person in panels]
    return spool.rows(faces["frame"], faces["box"], inside, which)


def _bounds_of(face: np.void, bounds: Bounds) -> Box:
    return bounds.of(int(face["segment"]), int(face["person_id"]))


def _row(video_id: str, face: np.void, time_ms: float, crop: EncodedCrop, config: ExportConfig) -> dict[str, Any]:
    return cropping.crop_row(
        crop, config.size, SUFFIX[config.format], video_id=video_id, person_id=int(face["person_id"]),
        segment=face["segment"], frame_idx=int(face["frame"]), time_ms=time_ms, landmarks=face["landmarks"],
    )  # fmt: skip


def _decoded(
    root: Root, video_id: str, faces: _Faces, bounds: Bounds, config: ExportConfig
) -> Iterator[tuple[float, EncodedCrop | None]]:
    """Cut the faces out of the decoded video; yields time, ms, and crop of each, in order."""

    def cut(frame: Frame) -> list[EncodedCrop | None]:
        picture = picture_of(frame, config.format, config.grid)
        mine = faces.of(frame.frame_idx)
        return [cut_out(picture, tuple(f["box"].tolist()), _bounds_of(f, bounds), config.cut) for f in mine]

    done = 0
    with reader_of(root, video_id) as reader, ThreadPoolExecutor(_ENCODERS) as pool:
        frames = reader.frames(stop=faces.last + 1, stride=config.stride)
        for frame, crops in _in_order(pool, cut, (f for f in frames if len(faces.of(f.frame_idx)))):
            yield from ((frame.time_ms, crop) for crop in crops)
            done += len(crops)
        if done < faces.total:
            raise RootError(
                f"video {video_id}: expected pixels for {faces.total} faces, found frames for {done} "
                f"({reader.fault or 'the video ends early'}); run `rmset track {video_id}` again"
            )


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Frame], list[EncodedCrop | None]], frames: Iterator[Frame]
) -> Iterator[tuple[Frame, list[EncodedCrop | None]]]:
    """Yield frames with the results of `work`, in order, working on a few frames at once."""
    pending: deque[tuple[Frame, Future[list[EncodedCrop | None]]]] = deque()
    for frame in frames:
        pending.append((frame, pool.submit(work, frame)))
        if len(pending) >= _AHEAD:
            first, result = pending.popleft()
            yield first, result.result()
    for last, result in pending:
        yield last, result.result()
