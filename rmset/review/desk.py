"""Data of the review page: the queue, layouts with versions, frames as JPEG."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from rmset.errors import LayoutError, RmsetError
from rmset.layout_record import Layout
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages.layout import check

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]


class StaleError(RmsetError):
    """The layout has changed since the page read it."""


class Desk:
    """Access of the page to the videos of a root."""

    def __init__(self, root: Root, video_ids: Sequence[str]) -> None:
        self._root = root
        self._ids = list(video_ids)
        # Scrubbing requests the same frames repeatedly.
        self.frame = lru_cache(maxsize=400)(self._frame)

    def queue(self) -> list[dict[str, Any]]:
        """Videos with a layout: unreviewed ones first, and among them the least confident first."""
        rows = []
        for video_id in self._ids:
            if not self._root.has_layout(video_id):
                continue
            try:
                layout, record = self._root.layout(video_id), self._root.record(video_id)
            except (RmsetError, ValueError, TypeError) as error:
                # An unreadable layout does not hide the other videos; opening it shows the error.
                found = {
                    "title": f"{video_id}: {str(error)[:200]}",
                    "confidence": 0.0,
                    "reviewed": False,
                    "segments": 0,
                }
                rows.append({"video_id": video_id, **found})
                continue
            rows.append(
                {
                    "video_id": video_id,
                    "title": record.title or video_id,
                    "confidence": self._root.confidence(video_id) or 0.0,
                    "reviewed": layout.moved is None and all(s.reviewed for s in layout.segments),
                    "segments": len(layout.segments),
                }
            )
        return sorted(rows, key=lambda r: (r["reviewed"], r["confidence"], r["video_id"]))

    def open(self, video_id: str) -> dict[str, Any]:
        """Return a layout with its version and the faults found by `check`.

        Raises:
            RmsetError: no such video, or it has no layout.
        """
        self._root.select([video_id])
        layout, record = self._root.layout(video_id), self._root.record(video_id)
        try:
            audit = self._root.audit(video_id)
        except RmsetError:
            audit = None
        return {
            "audit": [asdict(a) for a in audit.answers if a.good is False or a.confidence < 1] if audit else [],
            "layout": asdict(layout),
            "version": self._version(video_id),
            "fps": record.fps,
            "frame_count": record.frame_count,
            "title": record.title or video_id,
            "findings": [asdict(f) for f in check(layout, record.frame_count) if f.is_error],
        }

    def save(self, video_id: str, text: str, version: str) -> dict[str, Any]:
        """Write a layout that was edited from the given version; the file is replaced as a whole.

        Raises:
            StaleError: the layout was changed since, by another tab or a command.
            LayoutError: the layout is invalid, or of another video.
        """
        self._root.select([video_id])
        layout = Layout.from_json(text, "the page's layout")
        record = self._root.record(video_id)
        if layout.video_id != video_id or layout.frame_size != record.frame_size:
            raise LayoutError(f"layout: expected one of video {video_id}, found one of {layout.video_id}; reload")
        with self._root.files.lock(video_id):
            if self._version(video_id) != version:
                raise StaleError(f"video {video_id}: its layout was changed elsewhere; the page shows it as it is now")
            # Saving a layout counts as looking at it.
            self._root.write_layout(replace(layout, moved=None))
            found = [asdict(f) for f in check(layout, record.frame_count) if f.is_error]
            return {"version": self._version(video_id), "findings": found}

    def _version(self, video_id: str) -> str:
        text = self._root.files.read_text(self._root.layout_key(video_id))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _frame(self, video_id: str, frame_idx: int, width: int) -> bytes:
        """Return a frame as JPEG, at most `width` px wide.

        Raises:
            RmsetError: no such video, or the frame cannot be decoded.
        """
        self._root.select([video_id])
        with reader_of(self._root, video_id) as reader:
            frame = next(reader.sample([frame_idx]), None)
        if frame is None:
            raise RmsetError(f"video {video_id}: frame {frame_idx} cannot be decoded; choose another")
        image = frame.rgb
        if width < image.shape[1]:
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()
