"""Stretches of a video in which nothing of the layout moves, and the edges that are seen in each.

looks (few, small) -> changes -> frame-exact boundaries -> edges of each stretch -> neighbours with one layout joined
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rmset.geometry import as_boxes, iou
from rmset.parts import changes, panels, sampling
from rmset.parts.edges import MOVES, Evidence, FrameSums
from rmset.parts.frames import VideoReader
from rmset.parts.panels import Panel
from rmset.progress import Progress
from rmset.records import VideoRecord

# Panels are the same when they overlap so much.
_SAME = 0.9
# Shorter stretches are transitions, not layouts (seconds).
_SHORTEST_S = 0.4


@dataclass(frozen=True)
class Span:
    """Frames `[start, end)` of one layout, with what their edges say."""

    start: int
    end: int
    looks: tuple[int, ...]
    """frames that are cheap to read"""
    sums: FrameSums
    panels: tuple[Panel, ...]

    @property
    def evidence(self) -> Evidence:
        """Weighed anew each time: it is large."""
        return Evidence.of(self.sums)


def find(path: Path, record: VideoRecord, edge_samples: int, progress: Progress) -> list[Span]:
    """The spans of a video, in order and without gaps.

    Raises:
        VideoError: the video cannot be decoded.
    """
    wanted = sampling.plan(record.frame_count, record.fps, sampling.key_frames(path))
    looks, frames = [], []
    with VideoReader(path) as reader:
        for frame in reader.sample(wanted):
            looks.append(changes.shrunk(frame.rgb))
            frames.append(frame.frame_idx)
            progress(f"layout {record.video_id}: looking", len(looks), len(wanted))
    cuts = [_exactly(path, looks, frames, gap, where) for gap, where in changes.find(looks)]
    shortest = _SHORTEST_S * record.fps
    bounds = [0]
    for cut in cuts:
        if cut - bounds[-1] >= shortest and record.frame_count - cut >= shortest:
            bounds.append(cut)
    bounds.append(record.frame_count)
    spans: list[Span] = []
    for start, end in zip(bounds, bounds[1:], strict=False):
        inside = [f for f in frames if start <= f < end]
        spans.append(_span(path, start, end, inside, edge_samples))
        progress(f"layout {record.video_id}: edges", end, record.frame_count)
        if len(spans) > 1 and (joined := _joined(spans[-2], spans[-1])) is not None:
            spans[-2:] = [joined]
    return spans


def _exactly(path: Path, looks: Sequence[changes.Grey], frames: Sequence[int], gap: int, where: changes.Flags) -> int:
    """The first frame of the new layout; everything between two looks is decoded."""
    low, high = frames[gap], frames[gap + 1]
    before, after = changes.around(looks, gap)
    with VideoReader(path) as reader:
        between = [changes.shrunk(f.rgb) for f in reader.sample(range(low + 1, high))]
    return low + 1 + changes.split(between, before, after, where)


def _span(path: Path, start: int, end: int, looks: Sequence[int], most: int) -> Span:
    # The frames beside a boundary may still be blending.
    inner = [f for f in looks if start + 2 <= f < end - 2] or list(looks)
    if len(inner) < 8:
        inner = sorted({int(v) for v in np.linspace(start, end - 1, 12 if end - start > 12 else 3)[1:-1]} | set(inner))
    inner = inner or [start]
    sums: FrameSums | None = None
    with VideoReader(path) as reader:
        for frame in reader.sample(sampling.spread_out(inner, most)):
            grey = np.asarray(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
            sums = sums or FrameSums(*grey.shape)
            sums.add(grey)
    if sums is None:
        # Damaged here: nothing can be seen.
        return Span(start, end, tuple(inner), FrameSums(1, 1), ())
    return Span(start, end, tuple(inner), sums, tuple(panels.find(Evidence.of(sums))))


def _joined(first: Span, second: Span) -> Span | None:
    """Both as one if they show the same panels, alive or not; a cut of the film is no change of the layout."""
    if first.sums.value.shape != second.sums.value.shape:
        return None
    sums = first.sums.merged(second.sums)
    both = tuple(panels.find(Evidence.of(sums)))
    longer = max(first, second, key=lambda s: s.sums.count)
    if not _same(both, longer.panels) or _alive(first, both) != _alive(second, both):
        return None
    return Span(first.start, second.end, first.looks + second.looks, sums, both)


def _same(one: Sequence[Panel], other: Sequence[Panel]) -> bool:
    if len(one) != len(other):
        return False
    if not one:
        return True
    overlap = iou(as_boxes([p.box for p in one]), as_boxes([p.box for p in other]))
    return bool((overlap.max(axis=1) >= _SAME).all() and (overlap.max(axis=0) >= _SAME).all())


def _alive(span: Span, places: Sequence[Panel]) -> list[bool]:
    """Which places move within the span."""
    n = span.sums.count
    mean = span.sums.value / n
    moving = span.sums.square / n - mean**2 >= MOVES**2
    return [bool(moving[y0:y1, x0:x1].mean() >= 0.005) for x0, y0, x1, y1 in (p.rect for p in places)]
