"""Panels filled from video files, which loop by playing forwards and backwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rmset.bounded import read_json
from rmset.errors import UsageError, VideoError
from rmset.files import sha256_of
from rmset.parts.frames import VideoReader
from rmset.parts.probe import VIDEO_SUFFIXES
from rmset.parts.stream import rate_of
from rmset.progress import Progress, silent
from rmset.synth.arrays import Box, Image, f32
from rmset.synth.panels import PanelFrame

Detect = Callable[[Image], npt.NDArray[np.float32]]
"""RGB frame (H, W, 3) -> boxes float32 (N, 4), xyxy px"""

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 97]


def ping_pong(index: int, length: int) -> int:
    """Position in a clip of `length` frames after `index` steps: 0 1 2 1 0 1 2 …, with each end shown once per turn."""
    if length == 1:
        return 0
    phase = index % (2 * (length - 1))
    return min(phase, 2 * (length - 1) - phase)


def find_clips(folder: Path) -> tuple[Path, ...]:
    """Return the videos of a folder, by name; if some are called `person_*`, only those.

    Raises:
        UsageError: no such folder, or no video in it.
    """
    if not folder.is_dir():
        raise UsageError(f"expected a folder of clips, found none at {folder}")
    videos = sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise UsageError(f"expected videos in {folder}, found none; give a folder with .mp4 or .mov files")
    return tuple([p for p in videos if p.name.startswith("person_")] or videos)


@dataclass(frozen=True)
class _Placement:
    """Scaling of a source frame into a panel: panel = source * scale + shift."""

    scale: float
    shift: tuple[float, float]

    @classmethod
    def of(cls, source: tuple[int, int], panel: tuple[int, int], cover: bool) -> _Placement:
        ratios = panel[0] / source[0], panel[1] / source[1]
        scale = max(ratios) if cover else min(ratios)
        return cls(scale, ((panel[0] - scale * source[0]) / 2, (panel[1] - scale * source[1]) / 2))

    def picture(self, image: Image, panel: tuple[int, int]) -> Image:
        """Return the source frame scaled into the panel, (H, W, 3); black outside the frame."""
        height, width = image.shape[:2]
        # area averaging when shrinking: fine texture would flicker otherwise
        if self.scale < 1:
            image = np.asarray(
                cv2.resize(image, (max(1, round(width * self.scale)), max(1, round(height * self.scale))),
                           interpolation=cv2.INTER_AREA), np.uint8)  # fmt: skip
        sx, sy = self.scale * width / image.shape[1], self.scale * height / image.shape[0]
        matrix = f32([[sx, 0, self.shift[0] + (sx - 1) / 2], [0, sy, self.shift[1] + (sy - 1) / 2]])
        return np.asarray(cv2.warpAffine(image, matrix, panel, flags=cv2.INTER_LINEAR), np.uint8)

    def box(self, box: Box) -> Box:
        """Return a box of the source frame in panel pixels."""
        (dx, dy), s = self.shift, self.scale
        return (box[0] * s + dx, box[1] * s + dy, box[2] * s + dx, box[3] * s + dy)


class ClipSource:
    """One clip, decoded once and kept in memory as JPEG at the size of its panel (about 60 kB per frame)."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        frames: int,
        fps: float,
        *,
        cover: bool = True,
        detect: Detect | None = None,
        cache: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        """Decode the part of the clip that a mashup of `frames` frames at `fps` shows.

        Args:
            path: the video.
            size: (width, height) of the panel.
            frames: length of the mashup.
            fps: frames per second of the mashup; the clip is resampled to it.
            cover: fill the panel and crop the overhang; otherwise show the whole frame between black bars.
            detect: face detector for the unscaled frame; None if boxes are not needed.
            cache: folder that stores detected boxes by the clip's sha256; one folder per detector.
            progress: progress callback on frames read.

        Raises:
            VideoError: not a video, or no frame can be decoded.
        """
        self._size = size
        self._pictures: list[npt.NDArray[np.uint8]] = []
        self._boxes: list[Box | None] = []
        remembered = _BoxCache.of(path, cache) if detect else None
        # Only the part that plays before the mashup ends is needed.
        self._clip_fps = rate_of(path)
        most = self._step(frames - 1, fps) + 1
        with VideoReader(path, most=most) as reader, remembered or nullcontext():
            total = min(most, len(reader.index))
            for frame in reader.frames(stop=most):
                rgb, index = frame.rgb, frame.frame_idx
                progress(f"reading {path.name}", index, total)
                place = _Placement.of((rgb.shape[1], rgb.shape[0]), size, cover)
                self._pictures.append(cv2.imencode(".jpg", place.picture(rgb, size)[..., ::-1], _JPEG)[1])
                box = remembered.largest(index, rgb, detect) if remembered and detect else None
                self._boxes.append(place.box(box) if box else None)
            if reader.fault:
                raise VideoError(f"expected a whole clip, found {path} broken ({reader.fault}); give another clip")
        self._fps = fps

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the clip at a frame of the mashup."""
        if size != self._size:
            raise ValueError(f"expected the panel size {self._size} the clip was decoded for, found {size}")
        at = ping_pong(self._step(index, self._fps), len(self._pictures))
        picture = cv2.imdecode(self._pictures[at], cv2.IMREAD_COLOR_RGB)
        return PanelFrame(np.asarray(picture, np.uint8), self._boxes[at])

    def loop_points(self, frames: int) -> tuple[int, ...]:
        """Frames at which the clip changes direction."""
        last = len(self._pictures) - 1
        if last == 0:
            return ()
        # a change of direction shows at the step after an end
        legs = [max(0, self._step(i, self._fps) - 1) // last for i in range(frames)]
        return tuple(i for i in range(1, frames) if legs[i] != legs[i - 1])

    def _step(self, index: int, fps: float) -> int:
        """Clip frames played before a frame of the mashup, as a number."""
        return int(index * self._clip_fps / fps + 1e-6)


class _BoxCache:
    """Cache of one clip's boxes by frame, stored between runs: exact detection may take hours."""

    def __init__(self, file: Path | None, boxes: dict[str, list[list[float]]]) -> None:
        self._file, self._boxes, self._changed = file, boxes, False

    @classmethod
    def of(cls, clip: Path, folder: Path | None) -> _BoxCache:
        if folder is None:
            return cls(None, {})
        file = folder / f"{sha256_of(clip)}.boxes.json"
        try:
            return cls(file, read_json(file))
        except (OSError, ValueError):
            return cls(file, {})  # no file yet, or an incomplete one: detect again

    def largest(self, index: int, rgb: Image, detect: Detect) -> Box | None:
        """Return the largest face of a frame, detected unless it is in the cache."""
        key = str(index)
        if key not in self._boxes:
            self._boxes[key] = [[float(v) for v in box] for box in detect(rgb)]
            self._changed = True
        boxes = self._boxes[key]
        if not boxes:
            return None
        x0, y0, x1, y1 = max(boxes, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
        return (x0, y0, x1, y1)

    def __enter__(self) -> None:
        """Do nothing: boxes are read on use."""

    def __exit__(self, *_: object) -> None:
        """Store new boxes, even after a failure or Ctrl-C; renamed into place, so that readers see only whole files."""
        if self._file is None or not self._changed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(self._boxes), encoding="utf-8")
        beside.replace(self._file)
