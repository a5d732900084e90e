"""Insets: rectangles over other panels, such as a film in the corner of a panel or where panels meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rmset.stages.layout.edges import Evidence, LineMap, Rect

# Largest gap in a run of edge, px (a dark scene beside a dark coat).
_GAP = 24
# Least share of a side with evidence for an edge, and least share of such evidence among all evidence there.
_SIDE, _PURITY = 0.6, 0.75
# Least share of an inset that moves, and least share of its outline across which both sides move independently.
_ALIVE, _APART = 0.15, 0.3
# Largest distance between the ends of two sides, px.
_LOOSE = 14
_MOST_RUNS = 24
# Share of a larger rectangle filled by a smaller one from which both are the same inset.
_GROWN = 0.7


@dataclass(frozen=True)
class Inset:
    """A rectangle over other panels."""

    rect: Rect
    support: float
    """mean share of its four sides with evidence for an edge"""


@dataclass(frozen=True)
class _Run:
    """A run of edge: line `at`, from `start` to `end` along it."""

    at: int
    start: int
    end: int
    weight: float


def inset_in(evidence: Evidence, rect: Rect, least: float, but: Sequence[Rect] = ()) -> Inset | None:
    """Find an inset inside a rectangle, with sides of at least `least` px; None if there is none.

    `but` are insets already known; rectangles inside one of them are part of it.

    An inset must move: a picture or a window on a wall has four sides too.
    """
    x0, y0, x1, y1 = rect
    columns = _runs(evidence.vertical, (y0, y1), (x0, x1), least)
    if len(columns) < 2:
        return None
    inset: list[Inset] = []
    moving = evidence.moving
    for left in columns:
        for right in columns:
            start, end = max(left.start, right.start), min(left.end, right.end)
            if right.at - left.at < least or end - start < least:
                continue
            if abs(left.start - right.start) > _LOOSE + _GAP or abs(left.end - right.end) > _LOOSE + _GAP:
                continue
            top = _side(evidence.horizontal, (left.at, right.at), (left.start, right.start), (y0, y1), first=True)
            bottom = _side(evidence.horizontal, (left.at, right.at), (left.end, right.end), (y0, y1), first=False)
            # An inset that reaches beyond the rectangle's own side ends at that side.
            top = y0 if top is None and start - y0 <= _LOOSE else top
            bottom = y1 if bottom is None and y1 - end <= _LOOSE else bottom
            if top is None or bottom is None or bottom - top < least:
                continue
            found = (left.at, top, right.at, bottom)
            if _area(found) > 0.9 * _area(rect):
                continue
            if any(_common(found, known) > 0.5 * _area(found) for known in but):
                continue
            support, apart = _outline(evidence, found, rect)
            if support < _SIDE or apart < _APART or moving[top:bottom, left.at : right.at].mean() < _ALIVE:
                continue
            inset.append(Inset(found, support))
    if not inset:
        return None
    # The smallest, so that a block of panels is not taken for one inset. Then the largest that hardly differs from it:
    # bars of a film and lines around it are part of it.
    small = min(inset, key=lambda i: _area(i.rect))
    like_it = [i for i in inset if _common(i.rect, small.rect) >= _GROWN * _area(i.rect) and i.support >= _SIDE]
    return max(like_it, key=lambda i: _area(i.rect))


def _runs(lines: LineMap, along: tuple[int, int], across: tuple[int, int], least: float) -> list[_Run]:
    """Long runs of edge inside a rectangle, the heaviest first; of neighboring lines only the heaviest."""
    (a, b), (first, last) = along, (across[0], across[1] - 1)
    inside = lines.speaks_for[a:b, first:last]
    if inside.shape[0] < least or inside.shape[1] < least:
        return []
    closed = cv2.morphologyEx(
        inside.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_GAP, 1), np.uint8), borderValue=0
    ).astype(bool)
    runs: list[_Run] = []
    for line in np.flatnonzero(closed.sum(axis=0) >= least):
        for start, end in _stretches(closed[:, line]):
            share = inside[start:end, line].mean()
            if end - start >= least and share >= _SIDE:
                weight = float(lines.step[a + start : a + end, first + line].mean())
                runs.append(_Run(first + int(line) + 1, a + start, a + end, weight * (end - start)))
    runs.sort(key=lambda r: -r.weight)
    kept: list[_Run] = []
    for run in runs:
        if all(abs(run.at - k.at) > 3 or min(run.end, k.end) - max(run.start, k.start) <= 0 for k in kept):
            kept.append(run)
    return kept[:_MOST_RUNS]


def _stretches(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Find runs of True as (start, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(s), int(e)) for s, e in edges.reshape(-1, 2)]


def _side(
    lines: LineMap, span: tuple[int, int], near: tuple[int, int], bounds: tuple[int, int], *, first: bool
) -> int | None:
    """Find the outermost line near the ends of two runs that is an edge between them; None if there is none."""
    low, high = max(bounds[0] + 3, min(near) - _LOOSE), min(bounds[1] - 4, max(near) + _LOOSE)
    if high - low < 1:
        return None
    part = slice(span[0], span[1])
    yes = lines.speaks_for[part, low:high].mean(axis=0)
    no = lines.against[part, low:high].mean(axis=0)
    good = np.flatnonzero((yes >= _SIDE) & (yes >= _PURITY * (yes + no)))
    if not len(good):
        return None
    step = lines.step[part, low:high].mean(axis=0)
    # The steepest of it and its neighbors: compression smears an edge.
    near_by = [g for g in good if abs(g - (good[0] if first else good[-1])) <= 2]
    return low + int(max(near_by, key=lambda g: step[g])) + 1


def _common(a: Rect, b: Rect) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def _outline(evidence: Evidence, rect: Rect, within: Rect) -> tuple[float, float]:
    """Shares of the outline with evidence for an edge and with independent motion, 0 to 1; shared sides left out."""
    x0, y0, x1, y1 = rect
    height, width = evidence.mean.shape
    sides = [
        (lines, slice(a, b), at - 1)
        for lines, (a, b), at, limit in (
            (evidence.vertical, (y0, y1), x0, width),
            (evidence.vertical, (y0, y1), x1, width),
            (evidence.horizontal, (x0, x1), y0, height if y0 > within[1] else 0),
            (evidence.horizontal, (x0, x1), y1, height if y1 < within[3] else 0),
        )
        if 0 < at < limit
    ]
    support = min(float(lines.speaks_for[part, at].mean()) for lines, part, at in sides)
    apart = float(np.mean([lines.apart[part, at].mean() for lines, part, at in sides]))
    return support, apart
