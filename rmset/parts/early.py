"""Crops cut while a video is tracked, so that its export need not decode it again.

tracked frame -> boxes of its faces, and of short gaps that end there -> crops -> spool

A crop depends on the frame, the box, its bounds and the settings only. So the export takes a crop from here if all of
these are the same, and decodes the video if any crop is missing: the shards have the same bytes either way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box
from rmset.parts.cropping import Bounds, EncodedCrop
from rmset.parts.frames import Frame
from rmset.parts.pictures import PictureFormat
from rmset.parts.plane_crops import Picture, encoded, picture_of
from rmset.parts.spool import Cut, Spool
from rmset.parts.tracks import between

# Frames whose crops are encoded while the next ones are tracked, and threads that encode.
_AHEAD, _ENCODERS = 8, 2


@dataclass(frozen=True)
class CutConfig:
    """Settings that determine the bytes of a crop, and which faces have one."""

    size: int
    """side, px"""
    widen: float
    """Δw / w_f"""
    format: PictureFormat
    quality: int
    stride: int = 1
    """distance between frames with crops"""
    min_size: float = 0
    """least height of a face, px"""
    min_score: float = 0
    """least detector score of a face"""


def cut_out(picture: Picture, box: Box, bounds: Box, config: CutConfig) -> EncodedCrop | None:
    """Cut a face out, measure and encode it; None if it lies outside its bounds."""
    try:
        crop = picture.cut(box, bounds, config.size, config.widen)
    except ValueError:
        return None
    return EncodedCrop.of(crop, encoded(crop, config.format, config.quality))


class EarlyCrops:
    """Crops of one video, from tracking to export; `close` frees the disk.

    Args:
        config: settings of the export that follows.
        folder: folder on the disk of the root.
    """

    def __init__(self, config: CutConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._work: _Work | None = None
        self._ready: tuple[str, Spool] | None = None

    def begin(self, sha256: str, bounds: Bounds, *, stride: int, longest: int) -> None:
        """Begin a video; the arguments are those of `rmset.parts.tracks.bridge`, and the hash of the source."""
        self.close()
        try:
            spool = Spool(self._folder)
        except OSError:
            # The disk is full: the export says so, if it still is.
            return
        self._ready = (sha256, spool)
        self._work = _Work(spool, self._config, bounds, stride, longest)

    def see(self, frame: Frame, rows: npt.NDArray[np.void]) -> None:
        """Cut the faces of a tracked frame: rows of `Sightings`."""
        if self._work is not None and not self._work.step(frame, rows):
            self.close()

    def end(self) -> None:
        """Wait until all crops are stored."""
        if self._work is not None and not self._work.end():
            self.close()
        self._work = None

    def of(self, sha256: str, config: CutConfig) -> Spool | None:
        """Return the crops of a source cut with these settings, if there are any."""
        if self._work is None and self._ready is not None and (self._ready[0], self._config) == (sha256, config):
            return self._ready[1]
        return None

    def close(self) -> None:
        """Drop all crops."""
        if self._work is not None:
            self._work.stop()
            self._work = None
        if self._ready is not None:
            self._ready[1].close()
            self._ready = None


class _Work:
    """Cutting of one video: threads, and the frames in which a short gap may lie."""

    def __init__(self, spool: Spool, config: CutConfig, bounds: Bounds, stride: int, longest: int) -> None:
        self._spool, self._config, self._bounds = spool, config, bounds
        self._stride, self._longest = stride, longest
        self._last: dict[int, np.void] = {}
        self._recent: deque[Frame] = deque(maxlen=longest)
        self._pool = ThreadPoolExecutor(_ENCODERS)
        self._pending: deque[Future[list[tuple[Cut, EncodedCrop | None]]]] = deque()

    def step(self, frame: Frame, rows: npt.NDArray[np.void]) -> bool:
        """Cut the faces of a frame; return False if that is no longer possible."""
        for gone in self._gaps(rows):
            missed = next((f for f in self._recent if f.frame_idx == gone["frame"]), None)
            if missed is not None:
                self._submit(missed, [gone])
        self._submit(frame, list(rows))
        for row in rows:
            self._last[int(row["person"])] = row
        self._recent.append(frame)
        return self._store(_AHEAD)

    def end(self) -> bool:
        """Store what is pending; return False if that is not possible."""
        whole = self._store(0)
        self.stop()
        return whole

    def stop(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _gaps(self, rows: npt.NDArray[np.void]) -> list[np.void]:
        """Return the interpolated sightings of gaps that these rows end."""
        made: list[np.void] = []
        for row in rows:
            last = self._last.get(int(row["person"]))
            if last is None or last["segment"] != row["segment"]:
                continue
            missing = (int(row["frame"]) - int(last["frame"])) // self._stride - 1
            if 1 <= missing <= self._longest:
                made += list(between(last, row, missing))
        return made

    def _submit(self, frame: Frame, rows: Sequence[np.void]) -> None:
        config = self._config
        wanted = [
            row
            for row in rows
            if frame.frame_idx % config.stride == 0
            and row["box"][3] - row["box"][1] >= config.min_size
            and row["score"] >= config.min_score
        ]
        if wanted:
            self._pending.append(self._pool.submit(self._cut, frame, wanted))

    def _cut(self, frame: Frame, rows: Sequence[np.void]) -> list[tuple[Cut, EncodedCrop | None]]:
        picture = picture_of(frame, self._config.format)
        found = []
        for row in rows:
            bounds = self._bounds.of(int(row["segment"]), int(row["person"]))
            crop = cut_out(picture, tuple(row["box"].tolist()), bounds, self._config)
            found.append((Cut(frame.frame_idx, frame.time_ms, row["box"], bounds), crop))
        return found

    def _store(self, most: int) -> bool:
        """Store crops until at most `most` frames are pending; return False if that is not possible."""
        try:
            while len(self._pending) > most:
                for cut, crop in self._pending.popleft().result():
                    self._spool.add(cut, crop)
        except Exception:
            # Tracking must not fail for the crops: the export cuts them again, and names the cause.
            return False
        return True
