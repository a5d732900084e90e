"""The best alignment of a file with a released video: scaled, or inside other black bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rmset.geometry import Box, as_box
from rmset.parts.numbering import FrameIndex
from rmset.progress import Progress, silent
from rmset.release.align import Alignment, align
from rmset.release.hashes import Frames, hash_frames, picture_box
from rmset.release.mapping import Placing, Size, placings


class Candidate:
    """A video file that may be another encoding of a released one; it is decoded once for each placing of the frame."""

    def __init__(self, path: Path, index: FrameIndex, progress: Progress = silent) -> None:
        self._path, self._index, self._progress = path, index, progress
        self._picture: Box | None = None
        self._frames: dict[Box, Frames] = {}

    def match(self, released: Frames, size: Size) -> tuple[Alignment, Placing] | None:
        """Return the alignment with the least difference, and where the released frame lies in this file's.

        Args:
            released: frames of the release, with their picture inside black bars.
            size: (width, height) of the released frame.

        Raises:
            VideoError: the file cannot be decoded.
        """
        whole: Box = (0.0, 0.0, float(size[0]), float(size[1]))
        if self._picture is None:
            self._picture = picture_box(self._path, self._index)
        ways = placings(size, released.picture or whole, self._index.size, self._picture)
        best: tuple[Alignment, Placing] | None = None
        for way, frames in zip(ways, self._hashed([way.region for way in ways]), strict=True):
            found = align(released, frames)
            if found is not None and (best is None or found.bits < best[0].bits):
                best = (found, way)
        return best

    def _hashed(self, regions: list[Box]) -> list[Frames]:
        keys = [as_box(np.round(region)) for region in regions]
        missing = [key for key in dict.fromkeys(keys) if key not in self._frames]
        if missing:
            frames = hash_frames(self._path, self._index, missing, self._progress)
            self._frames |= dict(zip(missing, frames, strict=True))
        return [self._frames[key] for key in keys]
