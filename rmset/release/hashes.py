"""Time and perceptual hash of each frame of a video, by which another encoding of it is aligned.

Kept in the root as `state/framehashes/<video_id>.parquet`, with the hash of the video's bytes: computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RmsetError, RootError
from rmset.geometry import Box, pixels
from rmset.parts.frames import Gray, VideoReader, ahead
from rmset.parts.likeness import BYTES, Hashes, likeness
from rmset.parts.numbering import FrameIndex
from rmset.parts.shards import opened, read
from rmset.progress import Progress, silent
from rmset.read.video import index_of
from rmset.release import tables
from rmset.release.motion import BITS, motion, projected
from rmset.root import Root

_SAMPLES = 24
# Brightness, 0 to 255, that no more than one pixel in fifty of a black bar exceeds.
_BLACK, _BRIGHT_SHARE = 26, 0.02
_OF = b"rmset.sha256"
_PICTURE = b"rmset.picture"


@dataclass(frozen=True)
class Frames:
    """All frames of a video: when they are shown, and what they look like."""

    time_ms: npt.NDArray[np.float64]
    """(N,) ascending"""
    hashes: Hashes
    """(N, 32) of the picture"""
    motion: npt.NDArray[np.uint8]
    """(N, 8) of what moves"""
    strength: npt.NDArray[np.float32] | None = None
    """(N,) of the motion, gray levels; None of a release"""
    picture: Box | None = None
    """part of the frame inside black bars, xyxy px"""

    def table(self) -> pa.Table:
        """Return it as a table of `tables.frames()`."""
        columns = {
            "time_us": pa.array(np.rint(self.time_ms * 1000).astype(np.int64)),
            "likeness": _column(self.hashes),
            "motion": _column(self.motion),
        }
        return pa.table(columns, tables.frames())

    @classmethod
    def of_table(cls, table: pa.Table) -> Frames:
        """Read a table of `tables.frames()`."""
        looks, moves = (
            np.frombuffer(b"".join(table[name].to_pylist()), np.uint8).reshape(len(table), -1)
            for name in ("likeness", "motion")
        )
        return cls(table["time_us"].to_numpy() / 1000.0, looks, moves)


def _column(hashes: npt.NDArray[np.uint8]) -> pa.Array:
    data = pa.py_buffer(np.ascontiguousarray(hashes).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(hashes.shape[1]), len(hashes), [None, data])


def hash_frames(
    path: Path, index: FrameIndex | None, regions: Sequence[Box | None] = (None,), progress: Progress = silent
) -> list[Frames]:
    """Decode a video and hash each frame, once for each region.

    Args:
        path: the video.
        index: of its frames, if known.
        regions: parts of the frame that are hashed, xyxy px; beyond the frame they are black. None: the whole frame.
        progress: progress callback on frames.

    Raises:
        VideoError: it cannot be decoded.
    """
    with VideoReader(path, index=index) as reader:
        total = len(reader.index)
        looks = np.zeros((len(regions), total, BYTES), np.uint8)
        rows = np.zeros((len(regions), total, BITS), np.float32)
        found = np.zeros(total, np.bool_)
        for frame in ahead(reader.frames()):
            for number, region in enumerate(regions):
                part = frame.gray if region is None else _part(frame.gray, region)
                looks[number, frame.frame_idx] = np.frombuffer(likeness(part), np.uint8)
                rows[number, frame.frame_idx] = projected(part)
            found[frame.frame_idx] = True
            if frame.frame_idx % 64 == 0:
                progress("frames", frame.frame_idx, total)
        progress("frames", total, total)
        times = reader.index.time_ms[found]
    moves = [motion(each[found], times) for each in rows]
    return [Frames(times, np.ascontiguousarray(h[found]), *m) for h, m in zip(looks, moves, strict=True)]


def _part(gray: Gray, region: Box) -> Gray:
    height, width = gray.shape
    x0, y0, x1, y1 = (round(v) for v in region)
    left, top, right, bottom = pixels((x0, y0, x1, y1), (width, height))
    part = gray[top:bottom, left:right]
    borders = (max(0, top - y0), max(0, y1 - bottom), max(0, left - x0), max(0, x1 - right))
    if any(borders):
        part = np.asarray(cv2.copyMakeBorder(part, *borders, cv2.BORDER_CONSTANT, value=(0,)), np.uint8)
    return part


def picture_box(path: Path, index: FrameIndex | None) -> Box:
    """Return the part of the frame inside black bars, xyxy px, from frames all over the video."""
    with VideoReader(path, index=index) as reader:
        total = len(reader.index)
        width, height = reader.index.size
        rows, columns = np.zeros(height, np.bool_), np.zeros(width, np.bool_)
        for frame in reader.sample(np.unique(np.linspace(0, total - 1, _SAMPLES).astype(int)).tolist()):
            bright = frame.gray > _BLACK
            rows |= bright.mean(axis=1) > _BRIGHT_SHARE
            columns |= bright.mean(axis=0) > _BRIGHT_SHARE
    if not (rows.any() and columns.any()):
        return (0.0, 0.0, float(width), float(height))
    y, x = np.flatnonzero(rows), np.flatnonzero(columns)
    return (float(x[0]), float(y[0]), float(x[-1] + 1), float(y[-1] + 1))


def frames_of(root: Root, video_id: str, progress: Progress = silent) -> Frames:
    """Return the frames of a video of the root; computed once for its bytes.

    Raises:
        RootError: there is no such video.
        VideoError: it cannot be decoded.
    """
    key, sha256 = f"state/framehashes/{video_id}.parquet", root.record(video_id).sha256.encode()
    if root.files.exists(key):
        try:
            table = read(opened(root.files.local(key)))
            if (table.schema.metadata or {}).get(_OF) == sha256:
                picture = tuple(float(v) for v in table.schema.metadata[_PICTURE].split())
                return replace(Frames.of_table(table.cast(tables.frames())), picture=cast(Box, picture))
        except (RmsetError, pa.ArrowException, ValueError, KeyError):
            # Damaged: it is computed again.
            pass
    path, index = root.video_path(video_id), index_of(root, video_id)
    picture = picture_box(path, index)
    (found,) = hash_frames(path, index, progress=progress)
    about = {**tables.frames().metadata, _OF: sha256, _PICTURE: " ".join(map(str, picture)).encode()}
    # A root that is only read keeps none.
    with suppress(RootError), root.files.publish(key) as partial:
        tables.write(partial, found.table().replace_schema_metadata(about))
    return replace(found, picture=picture)
