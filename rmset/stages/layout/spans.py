"""Spans of a video with constant layout, and the evidence for edges in each.

looks (few, small) -> changes -> frame-exact boundaries -> edges of each span -> neighbors with one layout are joined
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise
from operator import itemgetter
from threading import local

import numpy as np
import numpy.typing as npt

from rmset.parts.frames import Gray, ahead
from rmset.progress import Progress
from rmset.records import VideoRecord
from rmset.stages.layout import changes, panels, sampling
from rmset.stages.layout.edges import MOVES, Evidence, FrameSums, Rect
from rmset.stages.layout.kept import KeptFrames
from rmset.stages.layout.panels import Panel

# Same layout: least share of panels that keep their outline, and least share of a panel's visible outline.
_KEPT, _OUTLINED = 0.6, 0.6
# Share of a panel that moves: at most this for a still card, at least this for a person.
_STILL, _ALIVE = 0.003, 0.03
# Share of the median panel's detail below which a panel is blurred background; margin at its edges left out, px.
_BLURRED, _EDGE = 0.3, 8
# Least mean gray difference from look to look of a panel in motion.
_STIR = 0.35
# Key frames among a span's looks from which no other frame of it is decoded again.
_PLENTY = 12
# Shorter spans are transitions, not layouts (seconds).
_SHORTEST_S = 0.4
# Fewest looks of a part of a span; more frames are sampled if the span has fewer there.
_FEW = 6


class _Kept(local):
    """The last evidence that a thread has computed, and its sums."""

    last: tuple[FrameSums, Evidence] | None = None


_kept = _Kept()


def forget() -> None:
    """Drop the evidence that this thread keeps."""
    _kept.last = None


@contextmanager
def evidence_kept() -> Iterator[None]:
    """Drop the evidence at the end that is kept within."""
    try:
        yield
    finally:
        forget()


def _evidence(sums: FrameSums) -> Evidence:
    """Return the evidence of sums; only the last is kept, and not while the next is computed."""
    if _kept.last is None or _kept.last[0] is not sums:
        _kept.last = None
        _kept.last = (sums, Evidence.of(sums))
    return _kept.last[1]


@dataclass(frozen=True)
class Span:
    """Frames `[start, end)` of one layout, with the evidence for edges."""

    start: int
    end: int
    looks: tuple[int, ...]
    """frames that are cheap to read"""
    sums: FrameSums
    panels: tuple[Panel, ...]
    depth: int = 0
    """how often the span was cut at changes of seats: 0 for a whole span"""
    own: FrameSums | None = None
    """sums over its own frames, for a part that has the sums of its whole span"""

    @property
    def evidence(self) -> Evidence:
        """Evidence for edges; it is large, so only the last one of each thread is kept."""
        return _evidence(self.sums)

    @property
    def spread(self) -> npt.NDArray[np.float32]:
        """Standard deviation (H, W) of gray values over its own frames."""
        return (self.own or self.sums).spread


def find(reader: KeptFrames, record: VideoRecord, edge_samples: int, progress: Progress) -> list[Span]:
    """Find the spans of a video, in order and without gaps.

    Raises:
        VideoError: the video cannot be decoded.
    """
    wanted = sampling.plan(record.frame_count, record.fps, reader.index.keys)
    looks, frames = [], []
    for frame in ahead(reader.sample(wanted)):
        looks.append(changes.shrunk(frame.gray))
        frames.append(frame.frame_idx)
        progress(f"layout {record.video_id}: looking", len(looks), len(wanted))
    cuts = _exactly(reader, looks, frames, changes.find(looks))
    spans = _between(reader, record, cuts, frames, edge_samples, progress)
    joins = _exactly(reader, looks, frames, (gap for s in spans for gap in _joins(s, looks, frames, record)))
    if joins:
        kept = [span.start for span in spans[1:]]
        spans = _between(reader, record, [*kept, *joins], frames, edge_samples, progress, join=False)
    return spans


def parts(reader: KeptFrames, span: Span, cuts: Sequence[int], edge_samples: int) -> list[Span]:
    """Cut a span at frames; a part keeps the span's panels if most are visible there, else it has its own."""
    bounds = [span.start, *cuts, span.end]
    made = []
    for start, end in pairwise(bounds):
        looks = [f for f in span.looks if start + 1 <= f < end - 1]
        if len(looks) < _FEW:
            looks = sorted({*looks, *(int(v) for v in np.linspace(start, end - 1, _FEW + 2)[1:-1])})
        part = _span(reader, start, end, looks, edge_samples)
        places = [p for p in span.panels if p.alive]
        weak = part.evidence
        if sum(outlined(weak, p.rect) for p in places) >= _KEPT * len(places):
            part = replace(part, sums=span.sums, panels=span.panels, own=part.sums)
        made.append(replace(part, depth=span.depth + 1))
    return made


def _between(
    reader: KeptFrames,
    record: VideoRecord,
    cuts: Sequence[int],
    frames: Sequence[int],
    edge_samples: int,
    progress: Progress,
    *,
    join: bool = True,
) -> list[Span]:
    """Return the spans between cuts; if `join`, neighbors with the same layout are merged."""
    shortest = _SHORTEST_S * record.fps
    bounds = [0]
    for cut in sorted(cuts):
        if cut - bounds[-1] >= shortest and record.frame_count - cut >= shortest:
            bounds.append(cut)
    bounds.append(record.frame_count)
    spans: list[Span] = []
    for start, end in pairwise(bounds):
        inside = sampling.cheapest([f for f in frames if start <= f < end], reader.index.keys, _PLENTY)
        spans.append(_span(reader, start, end, inside, edge_samples))
        progress(f"layout {record.video_id}: edges", end, record.frame_count)
        if join and len(spans) > 1 and (joined := _joined(spans[-2], spans[-1])) is not None:
            spans[-2:] = [joined]
    # A short span has little evidence of its own, so it is compared again after its neighbor has grown.
    at = 0
    while join and at + 1 < len(spans):
        grown = _joined(spans[at], spans[at + 1])
        if grown is None:
            at += 1
        else:
            spans[at : at + 2] = [grown]
            at = max(0, at - 1)
    return spans


def _exactly(
    reader: KeptFrames, looks: Sequence[Gray], frames: Sequence[int], gaps: Iterable[tuple[int, changes.Flags]]
) -> list[int]:
    """Return the first frame after each change, ascending; all frames between its two looks are decoded."""
    where: dict[int, list[changes.Flags]] = defaultdict(list)
    for gap, flags in gaps:
        where[gap].append(flags)
    found = {gap: [frames[gap] + 1] * len(where[gap]) for gap in sorted(where)}
    # In one pass, which decodes nothing twice; only the pictures of one gap are held.
    wanted = [*chain(*(range(frames[gap] + 1, frames[gap + 1]) for gap in found))]
    seen = ahead((bisect_left(frames, f.frame_idx) - 1, changes.shrunk(f.gray)) for f in reader.sample(wanted))
    for gap, inside in groupby(seen, key=itemgetter(0)):
        pictures, (before, after) = [picture for _, picture in inside], changes.around(looks, gap)
        found[gap] = [frames[gap] + 1 + changes.split(pictures, before, after, flags) for flags in where[gap]]
    return [*chain(*found.values())]


def _joins(
    span: Span, looks: Sequence[Gray], frames: Sequence[int], record: VideoRecord
) -> list[tuple[int, changes.Flags]]:
    """Gaps (and pixels) where a still panel starts to move, or a moving one becomes still: a person joins or leaves.

    Layout changes over the whole screen do not show this, because the panel may be too small a part of it.
    """
    inside = [i for i, f in enumerate(frames) if span.start <= f < span.end]
    found: list[tuple[int, changes.Flags]] = []
    for panel in _seats(span.panels, span.sums):
        if len(inside) < 6:
            continue
        where = _within(panel.rect, record.frame_size)
        for over in span.panels:
            if over.inset and over is not panel:
                # A film over a corner of a still card moves, though the card does not.
                where &= ~_around(over.rect, record.frame_size)
        if not where.any():
            continue
        steps = [float(np.abs(looks[a][where].astype(np.int16) - looks[b][where]).mean()) for a, b in pairwise(inside)]
        moves = np.array(steps) >= _STIR
        first, last = (int(np.argmax(moves)), len(moves) - 1 - int(np.argmax(moves[::-1]))) if moves.any() else (0, 0)
        if first >= 2 and moves[first:].mean() > 0.8:
            found.append((inside[first], where))
        elif len(moves) - 1 - last >= 2 and moves[: last + 1].mean() > 0.8:
            found.append((inside[last], where))
    return found


def _within(rect: Rect, frame_size: tuple[int, int]) -> changes.Flags:
    """Pixels of a small look well inside a panel, bool (180, 320)."""
    x0, y0, x1, y1 = changes.in_small(rect, frame_size)
    where = np.zeros(changes.SMALL[::-1], bool)
    where[min(y0 + 2, y1 - 1) : max(y1 - 2, y0 + 1), min(x0 + 2, x1 - 1) : max(x1 - 2, x0 + 1)] = True
    return where


def _around(rect: Rect, frame_size: tuple[int, int]) -> changes.Flags:
    """Pixels of a small look that show any part of a panel, bool (180, 320)."""
    x0, y0, x1, y1 = changes.in_small(rect, frame_size)
    where = np.zeros(changes.SMALL[::-1], bool)
    where[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = True
    return where


def _span(reader: KeptFrames, start: int, end: int, looks: Sequence[int], most: int) -> Span:
    # Frames next to a boundary may be part of a blend.
    inner = [f for f in looks if start + 2 <= f < end - 2] or list(looks)
    if len(inner) < 8:
        inner = sorted({int(v) for v in np.linspace(start, end - 1, 12 if end - start > 12 else 3)[1:-1]} | set(inner))
    inner = inner or [start]
    sums = FrameSums.of(ahead(frame.gray for frame in reader.sample(sampling.spread_out(inner, most))))
    if sums is None:
        # The video is damaged here, so no frame could be decoded.
        return Span(start, end, tuple(inner), FrameSums(1, 1), ())
    return Span(start, end, tuple(inner), sums, tuple(panels.find(_evidence(sums))))


def _joined(first: Span, second: Span) -> Span | None:
    """Merge two spans if they show the same panels; None if not. A cut of the film is no change of the layout."""
    if first.sums.value.shape != second.sums.value.shape:
        return None
    longer, shorter = sorted((first, second), key=lambda s: s.start - s.end)
    if not longer.panels or not shorter.panels:
        return None
    places = [p for p in longer.panels if p.alive] or list(longer.panels)
    weak = shorter.evidence
    kept = [outlined(weak, p.rect) for p in places]
    sums = first.sums.merged(second.sums)
    seats = _seats(places, sums)
    if sum(kept) < _KEPT * len(kept) or _differ(_moving(first, seats), _moving(second, seats)):
        return None
    return Span(first.start, second.end, first.looks + second.looks, sums, tuple(panels.find(_evidence(sums))))


def outlined(evidence: Evidence, rect: Rect) -> bool:
    """Whether a rectangle's sides are edges in this evidence, as far as anything is visible there."""
    x0, y0, x1, y1 = rect
    height, width = evidence.mean.shape
    good = seen = 0.0
    for lines, (a, b), at, limit in (
        (evidence.vertical, (y0, y1), x0, width),
        (evidence.vertical, (y0, y1), x1, width),
        (evidence.horizontal, (x0, x1), y0, height),
        (evidence.horizontal, (x0, x1), y1, height),
    ):
        if not 3 < at < limit - 3:
            continue
        beside = slice(at - 2, at + 1)
        yes = float(lines.speaks_for[a:b, beside].any(axis=1).mean())
        no = float(lines.against[a:b, beside].all(axis=1).mean())
        good, seen = good + yes, seen + max(yes + no, 0.35)
    return seen == 0 or good >= _OUTLINED * seen


def _seats(places: Sequence[Panel], sums: FrameSums) -> list[Panel]:
    """Panels in which a person may join: alive and sharp, as the background moves with the film but is blurred."""
    alive = [p for p in places if p.alive]
    detail = [_detail(sums, p.rect) for p in alive]
    return [p for p, d in zip(alive, detail, strict=True) if d >= _BLURRED * float(np.median(detail))]


def _detail(sums: FrameSums, rect: Rect) -> float:
    """Mean gray difference between neighboring pixels inside a rectangle."""
    x0, y0, x1, y1 = rect
    part = sums.step_v[y0 + _EDGE : y1 - _EDGE, x0 + _EDGE : x1 - _EDGE]
    return float(part.mean()) / max(1, sums.count) if part.size else 0.0


def _moving(span: Span, places: Sequence[Panel]) -> list[float]:
    """Share of moving pixels of each panel in a span."""
    n = span.sums.count
    mean = span.sums.value / n
    moving = span.sums.square / n - mean**2 >= MOVES**2
    return [float(moving[y0:y1, x0:x1].mean()) for x0, y0, x1, y1 in (p.rect for p in places)]


def _differ(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether a panel is still in one span and moves in the other: a card, and then a person."""
    return any(min(a, b) < _STILL and max(a, b) > _ALIVE for a, b in zip(one, other, strict=True))
