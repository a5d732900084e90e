"""Sampled frames and the faces found on them, kept while the layout of one video is proposed.

The same frames are wanted for changes of the layout, for edges, and for faces, and again for each part of a span that
is cut. A frame that is no key frame costs all pictures since the key frame before it, so each is decoded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue

import cv2
import numpy as np

from rmset.parts.detect import Detections, Detector
from rmset.parts.detect.screen import faces_on
from rmset.parts.frames import Frame, Gray, Image, VideoReader
from rmset.parts.numbering import FrameIndex
from rmset.stages.layout.config import ProposeConfig
from rmset.stages.layout.edges import Rect
from rmset.stages.layout.panels import Panel

# Bytes of decoded frames that are kept: 86 of 1080p, the looks of 42 seconds. Later ones are decoded again.
_MOST = 256 << 20


class KeptFrames:
    """Frames of a video by number, decoded once as far as memory allows."""

    def __init__(self, reader: VideoReader, most: int = _MOST) -> None:
        self._reader, self._free = reader, most
        self._kept: dict[int, Frame] = {}

    @property
    def index(self) -> FrameIndex:
        """Index of the video's frames."""
        return self._reader.index

    def sample(self, frame_indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the given frames (ascending), as `VideoReader.sample` does."""
        decoded = self._reader.sample([i for i in frame_indices if i not in self._kept])
        coming = next(decoded, None)
        for number in frame_indices:
            if (known := self._kept.get(number)) is not None:
                yield known.unconverted()
            elif coming is not None and coming.frame_idx == number:
                frame, size = coming, coming.nbytes
                if size <= self._free:
                    self._free -= size
                    self._kept[number] = frame.unconverted()
                yield frame
                coming = next(decoded, None)


class KeptFaces:
    """Faces on panels and on whole frames, each searched once; several threads may ask for those of different frames.

    Args:
        detectors: one for each thread that searches at the same time; the answers do not depend on which is free.
        config: sizes.
    """

    def __init__(self, detectors: Sequence[Detector], config: ProposeConfig) -> None:
        self._free: SimpleQueue[Detector] = SimpleQueue()
        for detector in detectors:
            self._free.put(detector)
        self._config = config
        self._panels: dict[tuple[int, Rect, tuple[Rect, ...]], Detections] = {}
        self._screens: dict[int, Detections] = {}

    def on_screen(self, frame: Frame) -> Detections:
        """Return the faces anywhere on a frame."""
        if frame.frame_idx not in self._screens:
            with self._detector() as detector:
                self._screens[frame.frame_idx] = faces_on(frame.rgb, detector)
        return self._screens[frame.frame_idx]

    def on_panel(self, frame: Frame, panel: Panel, others: Sequence[Panel]) -> Detections:
        """Return the faces of a panel, in px of the frame; insets of the other panels are left out."""
        key = (frame.frame_idx, panel.rect, insets_over(panel, others))
        if key not in self._panels:
            with self._detector() as detector:
                self._panels[key] = self._search(detector, without(frame.rgb, panel, others), panel.rect)
        return self._panels[key]

    @contextmanager
    def _detector(self) -> Iterator[Detector]:
        """Borrow a detector that is free."""
        detector = self._free.get()
        try:
            yield detector
        finally:
            self._free.put(detector)

    def _search(self, detector: Detector, part: Image, rect: Rect) -> Detections:
        config = self._config
        shrink = min(1.0, config.search_height / min(part.shape[:2]))
        if shrink < 1:
            part = np.asarray(cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
        least = config.min_face * min(1.0, min(part.shape[:2]) / config.search_height)
        seen = detector.detect(part, least)
        bigger = Detections(seen.boxes / shrink, seen.scores, seen.landmarks / shrink)
        return bigger.moved(rect[0], rect[1])


def insets_over(panel: Panel, others: Sequence[Panel]) -> tuple[Rect, ...]:
    """Return the rectangles of the other panels that lie over a panel; none over an inset."""
    return () if panel.inset else tuple(o.rect for o in others if o.inset and o is not panel)


def without(image: Image | Gray, panel: Panel, others: Sequence[Panel]) -> Image | Gray:
    """Return the panel's pixels, with insets over it grayed out."""
    x0, y0, x1, y1 = panel.rect
    part = image[y0:y1, x0:x1]
    over = insets_over(panel, others)
    if not over:
        return part
    part = part.copy()
    for a0, b0, a1, b1 in over:
        part[max(0, b0 - y0) : max(0, b1 - y0), max(0, a0 - x0) : max(0, a1 - x0)] = 128
    return part
