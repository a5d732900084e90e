"""Pixels: one aspect-normalised crop per face row, in Parquet shards.

face rows, by frame -> decoded frame -> crop within the person's panel -> JPEG -> part-NNN.parquet
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.geometry import Box
from rmset.parts import cropping
from rmset.parts.frames import Frame, Image, VideoReader
from rmset.parts.shards import CropWriter, read_faces
from rmset.progress import Progress, silent
from rmset.records import Layout
from rmset.store import Root

NAME = "export"
# Frames that are cut and encoded while the next ones are decoded: bounds memory, and no byte depends on it.
_AHEAD = 8
_ENCODERS = 2


@dataclass(frozen=True)
class ExportConfig:
    """What decides the bytes of the shards."""

    size: int = 260
    """side of a crop, px; the paper's, EfficientNet-B2's input"""
    widen: float = 0.31
    """Δw / w_f; the paper's"""
    stride: int = 1
    """every how many frames are exported"""
    quality: int = 95
    """JPEG quality, 1 to 100; ours"""
    format: Literal["jpeg", "png"] = "jpeg"
    """how pixels are encoded"""
    min_size: float = 0
    """faces less high than this are left out, px"""
    min_score: float = 0
    """faces with a lower score are left out"""
    rows_per_part: int = 20_000
    """crops in one shard file; about 250 MB at the size of the paper"""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.size < 8 or self.stride < 1 or not 1 <= self.quality <= 100 or self.widen < 0 or self.rows_per_part < 1:
            raise ValueError("expected size >= 8, stride >= 1, quality 1 to 100, widen >= 0 and rows_per_part >= 1")


def run(root: Root, video_id: str, config: ExportConfig, progress: Progress = silent) -> dict[str, float]:
    """Export one video and publish the folder `crops/<video_id>/`.

    Returns:
        What was counted: crops, parts.

    Raises:
        RootError: the video has not been tracked.
    """
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    faces = _Faces(root, video_id, config)
    panels = _panels(root.layout(video_id))
    encode = _encoder(config)

    def cut(frame: Frame) -> list[dict[str, Any]]:
        bounds = (0.0, 0.0, float(frame.rgb.shape[1]), float(frame.rgb.shape[0]))
        rows = []
        for row in faces.of(frame.frame_idx):
            panel = panels.get((int(row["segment"]), int(row["person_id"]))) or bounds
            crop = cropping.cut(frame.rgb, tuple(row["box"]), panel, config.size, config.widen)
            rows.append(
                {
                    "video_id": video_id,
                    "person_id": row["person_id"],
                    "segment": row["segment"],
                    "frame_idx": frame.frame_idx,
                    "time_ms": frame.time_ms,
                    "width": config.size,
                    "height": config.size,
                    "image": {
                        "bytes": encode(crop.image),
                        "path": f"{video_id}/{row['person_id']:03d}/{frame.frame_idx:07d}.{config.format[:4]}",
                    },
                    "sharpness": cropping.sharpness(crop.image),
                    "brightness": cropping.brightness(crop.image),
                    "yaw": cropping.yaw(row["landmarks"]),
                    "padding": crop.padding,
                }
            )
        return rows

    count = 0
    with (
        root.files.publish_folder(root.crops_key(video_id)) as folder,
        CropWriter(folder, config.rows_per_part) as writer,
        VideoReader(root.video_path(video_id)) as reader,
        ThreadPoolExecutor(_ENCODERS) as pool,
    ):
        wanted = (f for f in reader.frames(stop=faces.last + 1, stride=config.stride) if faces.any_in(f.frame_idx))
        for rows in _in_order(pool, cut, wanted):
            for row in rows:
                writer.add(row)
            count += len(rows)
            progress(f"export {video_id}", count, faces.total)
    return {"crops": count, "parts": len(writer.parts)}


class _Faces:
    """The face rows of a video that are to be exported, by frame."""

    def __init__(self, root: Root, video_id: str, config: ExportConfig) -> None:
        table = read_faces(root.files.local(root.tracks_key(video_id)))
        box = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1).astype(np.float32)
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
        rows["box"] = box
        rows["landmarks"] = table["landmarks"].combine_chunks().flatten().to_numpy().reshape(-1, 5, 2)
        keep = (box[:, 3] - box[:, 1] >= config.min_size) & (rows["score"] >= config.min_score)
        keep &= rows["frame"] % config.stride == 0
        rows = rows[keep]
        self._rows = rows[np.lexsort((rows["person_id"], rows["frame"]))]
        self.total = len(self._rows)
        self.last = int(self._rows["frame"][-1]) if self.total else -1

    def of(self, frame_idx: int) -> npt.NDArray[np.void]:
        """The rows of one frame, by person."""
        low, high = np.searchsorted(self._rows["frame"], [frame_idx, frame_idx + 1])
        return self._rows[low:high]

    def any_in(self, frame_idx: int) -> bool:
        """Whether the frame has a face to export."""
        return len(self.of(frame_idx)) > 0


def _panels(layout: Layout) -> dict[tuple[int, int], Box | None]:
    """(segment, person) -> the panel that the person's crops stay in."""
    return {(i, p.person_id): p.panel for i, s in enumerate(layout.segments) for p in s.people}


def _encoder(config: ExportConfig) -> Callable[[Image], bytes]:
    if config.format == "png":
        import cv2

        def png(image: Image) -> bytes:
            return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1])

        return png
    import simplejpeg

    def jpeg(image: Image) -> bytes:
        return bytes(simplejpeg.encode_jpeg(image, quality=config.quality, colorspace="RGB", colorsubsamp="420"))

    return jpeg


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Frame], list[dict[str, Any]]], frames: Iterator[Frame]
) -> Iterator[list[dict[str, Any]]]:
    """Results of `work`, in the order of the frames, a few of which are under way at once."""
    pending: deque[Future[list[dict[str, Any]]]] = deque()
    for frame in frames:
        pending.append(pool.submit(work, frame))
        if len(pending) >= _AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
