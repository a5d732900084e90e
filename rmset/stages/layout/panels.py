"""Panels of a mashup: rectangles with still edges and changing contents.

The frame is cut in two along the best line, recursively, until no part has a line to cut along. An inset over a part
(such as a film where panels meet) is removed first, and lines that pass under it are judged without it. Panels form a
grid, so a line too weak by itself is still cut where it continues a line found elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rmset.geometry import Box
from rmset.parts.frames import Gray
from rmset.stages.layout.edges import Evidence, FrameSums, LineMap, Rect
from rmset.stages.layout.insets import Inset, inset_in
from rmset.threads import at_once

# Least share of a cut's length with evidence for an edge, and least share of such evidence among all evidence there.
_SUPPORT, _PURITY = 0.45, 0.8
_STILL_SUPPORT, _LIVELY = 0.75, 0.12
# The same for a line that continues a line of the grid.
_WEAK_SUPPORT, _WEAK_PURITY = 0.2, 0.7
# Added to the score of a line that continues a grid line found beyond the rectangle.
_GRID = 0.35
# Largest distance between lines that are one grid line, px.
_ALIGNED = 3
# Rectangles thinner than this share of the frame's shorter side are borders, not panels.
_THIN = 0.09
# Support from which a line is an edge all along: it runs under no inset, and may cut a cell of the grid in two.
_WHOLE = 0.85
# Least support of a line along an inset's side, outside that side.
_BESIDE = 0.4
# Share of a line outside an inset's side that is too short to judge: a rectangle that spans the rest is a panel.
_LITTLE = 0.15
# Least side of an inset, as a share of the frame's shorter side.
_INSET = 0.14
# Least share of moving pixels in a rectangle that is alive.
_ALIVE = 0.02
# Standard deviation of gray values below which a rectangle is a plain border or an empty cell.
_FLAT = 3.0
# Least share of independent motion along a line beside a still, uneven rectangle (a picture behind the panels).
_APART = 0.25


@dataclass(frozen=True)
class Panel:
    """One rectangle of the screen."""

    rect: Rect
    alive: bool
    """whether something moves in it"""
    inset: bool
    """whether it lies over other panels"""

    @property
    def box(self) -> Box:
        """Its rectangle in floats, xyxy px."""
        x0, y0, x1, y1 = self.rect
        return (float(x0), float(y0), float(x1), float(y1))


@dataclass(frozen=True)
class _Cut:
    """A line through a rectangle."""

    axis: int
    """0 between columns, 1 between rows"""
    at: int
    support: float
    """share of the length with evidence for an edge"""
    score: float
    """rank of the line among candidates; higher is better"""
    apart: float
    """share of the length along which both sides move independently"""
    along: tuple[int, int]
    """start and end of the line along its direction"""

    def beyond(self, along: tuple[int, int]) -> bool:
        """Whether it reaches beyond a stretch by half the stretch's length, and so shows a grid line independently."""
        (a, b), (c, d) = self.along, along
        return 2 * (b - a - max(0, min(b, d) - max(a, c))) >= d - c

    def halves(self, rect: Rect) -> tuple[Rect, Rect]:
        x0, y0, x1, y1 = rect
        if self.axis == 0:
            return (x0, y0, self.at, y1), (self.at, y0, x1, y1)
        return (x0, y0, x1, self.at), (x0, self.at, x1, y1)


def find(evidence: Evidence) -> list[Panel]:
    """Find panels in reading order, insets last; borders are left out."""
    ledgers = at_once([lambda: _Ledger(evidence.vertical), lambda: _Ledger(evidence.horizontal)])
    search = _Search(evidence, *map(copy, ledgers))
    leaves = search.leaves(())
    known = tuple(search.made)
    if known:
        # A second search continues the grid lines of the first.
        search = _Search(evidence, *map(copy, ledgers))
        leaves = search.leaves(known)
    height, width = evidence.mean.shape
    thin = _THIN * min(width, height)
    wide = [r for r in leaves if min(r[2] - r[0], r[3] - r[1]) >= thin]
    over = [inset.rect for inset in search.insets]
    under = [r for r in wide if not _is_hidden(r, over)]
    panels = [Panel(r, search.is_alive(r), False) for r in under]
    # Only a rectangle over other panels is an inset; one that covers just its own place is a panel.
    panels += [Panel(r, True, any(_share(r, u) > 0.6 or _share(u, r) > 0.05 for u in under)) for r in over]
    panels.sort(key=lambda p: (p.inset, p.rect[1], p.rect[0]))
    return panels


def _is_hidden(rect: Rect, over: Sequence[Rect]) -> bool:
    """Whether insets cover so much of a rectangle that it is a background or the same place, and not a panel."""
    if any(_share(o, rect) > 0.7 for o in over):
        return True
    inside = [o for o in over if _share(rect, o) > 0.9]
    return len(inside) >= 2 and sum(_share(o, rect) for o in inside) > 0.25


def _share(part: Rect, of: Rect) -> float:
    """Share of `of` that the rectangle `part` covers, 0 to 1."""
    width = min(part[2], of[2]) - max(part[0], of[0])
    height = min(part[3], of[3]) - max(part[1], of[1])
    return max(0, width) * max(0, height) / ((of[2] - of[0]) * (of[3] - of[1]))


def find_in(samples: Sequence[Gray]) -> list[Panel]:
    """Find panels in frames uint8 (H, W) of one layout, some seconds apart."""
    sums = FrameSums(*samples[0].shape)
    sums.add(samples)
    return find(Evidence.of(sums))


class _Search:
    """Recursive cutting of one frame."""

    def __init__(self, evidence: Evidence, columns: _Ledger, rows: _Ledger) -> None:
        self._evidence = evidence
        self._columns, self._rows = columns, rows
        self._moving = evidence.moving
        height, width = evidence.mean.shape
        self._frame: Rect = (0, 0, width, height)
        self._inset = _INSET * min(width, height)
        self.made: list[_Cut] = []
        self.insets: list[Inset] = []

    def leaves(self, known: tuple[_Cut, ...]) -> list[Rect]:
        """Cut the frame and return the parts without a further cut."""
        done: list[Rect] = []
        todo = [self._frame]
        while todo:
            rect = todo.pop()
            cut = self._best_cut(rect, known)
            if cut is None or cut.support < _WHOLE:
                inset = inset_in(self._evidence, rect, least=self._inset, but=[i.rect for i in self.insets])
                if inset is not None and cut is not None and self._splits(cut, inset.rect, known):
                    inset = None
                # Insets are removed first, so that no line is cut through them.
                if inset is not None and (cut is None or self._lives_off(cut, rect, inset.rect)):
                    self.insets.append(inset)
                    self._forget(*inset.rect)
                    todo.append(rect)
                    continue
            if cut is not None:
                self.made.append(cut)
                todo += cut.halves(rect)
                continue
            done.append(rect)
        return done

    def _forget(self, x0: int, y0: int, x1: int, y1: int) -> None:
        at_once([lambda: self._columns.forget((x0, y0, x1, y1)), lambda: self._rows.forget((y0, x0, y1, x1))])

    def is_alive(self, rect: Rect) -> bool:
        x0, y0, x1, y1 = rect
        return bool(self._moving[y0:y1, x0:x1].mean() >= _ALIVE)

    def _splits(self, cut: _Cut, inset: Rect, known: tuple[_Cut, ...]) -> bool:
        """Whether a line of the grid continues through an inset, which is then parts of two panels."""
        if not inset[cut.axis] + 4 < cut.at < inset[cut.axis + 2] - 4:
            return False
        if not any(k.axis == cut.axis and abs(k.at - cut.at) <= _ALIGNED and k.beyond(cut.along) for k in known):
            return False
        ledger = (self._columns, self._rows)[cut.axis]
        return ledger.support(cut.at - 1, (inset[1 - cut.axis], inset[3 - cut.axis])) >= _SUPPORT

    def _lives_off(self, cut: _Cut, rect: Rect, inset: Rect) -> bool:
        """Whether a line runs through an inset, or is an edge only along the inset's own side."""
        low, high = inset[cut.axis], inset[cut.axis + 2]
        if low + 4 < cut.at < high - 4:
            return True
        if not low - 4 <= cut.at <= high + 4:
            return False
        ledger = (self._columns, self._rows)[cut.axis]
        a, b = rect[1 - cut.axis], rect[3 - cut.axis]
        return ledger.support_beside(cut.at - 1, (a, b), (inset[1 - cut.axis], inset[3 - cut.axis])) < _BESIDE

    def _best_cut(self, rect: Rect, known: tuple[_Cut, ...]) -> _Cut | None:
        x0, y0, x1, y1 = rect
        cuts = self._columns.cuts(0, (y0, y1), (x0, x1), known) + self._rows.cuts(1, (x0, x1), (y0, y1), known)
        for cut in sorted(cuts, key=lambda c: -c.score):
            if all(self._may_be(half, cut) for half in cut.halves(rect)):
                return cut
        return None

    def _may_be(self, rect: Rect, cut: _Cut) -> bool:
        """Whether a rectangle may be a part: it moves, is plain, or moves independently of its neighbor."""
        x0, y0, x1, y1 = rect
        if x1 - x0 < 2 or y1 - y0 < 2:
            return False
        if self.is_alive(rect) or self._evidence.mean[y0:y1, x0:x1].std() < _FLAT:
            return True
        return cut.apart >= _APART


class _Ledger:
    """Cumulative sums along the lines of one direction, for constant-time sums over any stretch of any line."""

    def __init__(self, lines: LineMap) -> None:
        self._lines = lines
        self._open = np.ones(lines.speaks_for.shape, bool)
        self._sum()

    def _sum(self) -> None:
        self._for = _Counts(self._lines.speaks_for & self._open)
        self._against = _Counts(self._lines.against & self._open)
        self._crisp = _Counts(self._lines.crisp & self._open)
        self._apart = _Counts(self._lines.apart & self._open)
        self._step = _running(np.where(self._open, self._lines.step, 0))
        self._heard = _Counts(self._open)

    def forget(self, rect: Rect) -> None:
        """Exclude the pixels under a rectangle; x and y are swapped for horizontal lines."""
        x0, y0, x1, y1 = rect
        self._open = self._open.copy()
        self._open[max(0, y0 - 2) : y1 + 2, max(0, x0 - 3) : x1 + 2] = False
        self._sum()

    def support(self, line: int, along: tuple[int, int]) -> float:
        """Share of a stretch of a line with evidence for an edge."""
        a, b = along
        return float(self._for.of((a, b), line, line + 1)[0]) / max(1, b - a)

    def support_beside(self, line: int, along: tuple[int, int], leave: tuple[int, int]) -> float:
        """Share of a line with evidence for an edge, without the stretch `leave`; 1 if too little is left to judge."""
        (a, b), (c, d) = along, leave
        yes = self._for.of((a, b), line, line + 1)[0] - self._for.of((c, d), line, line + 1)[0]
        rest = (b - a) - (d - c)
        return float(yes) / rest if rest > _LITTLE * (b - a) else 1.0

    def cuts(self, axis: int, along: tuple[int, int], across: tuple[int, int], known: tuple[_Cut, ...]) -> list[_Cut]:
        """Candidate cuts of a rectangle that spans `along` in the lines' direction and `across` at right angles."""
        (a, b), (first, last) = along, across[1:] and (across[0], across[1] - 1)
        if last - first < 3 or b - a < 3:
            return []
        heard = np.maximum(self._heard.of(along, first, last), 1)
        yes = self._for.of(along, first, last)
        no = self._against.of(along, first, last)
        apart = self._apart.of(along, first, last) / heard
        support, purity = yes / heard, yes / np.maximum(yes + no, 1)
        # A wall has edges too: where both sides are still, nearly the whole length must be an edge.
        enough = np.where(apart >= _LIVELY, _SUPPORT, _STILL_SUPPORT)
        strong = (support >= enough) & (purity >= _PURITY) & (heard >= 0.3 * (b - a))
        yes = yes + self._crisp.of(along, first, last)
        weak = (yes >= _WEAK_SUPPORT * heard) & (yes >= _WEAK_PURITY * (yes + no))
        lines = [k.at for k in known if k.axis == axis]
        grid = [k.at for k in known if k.axis == axis and k.beyond(along)]
        if any(abs(at - first) <= _ALIGNED for at in grid) and any(abs(at - last - 1) <= _ALIGNED for at in grid):
            # A cell with grid lines on both sides: a line through it belongs to the picture unless it is an edge all
            # along. (Two panels may share such a cell, beneath a film as wide as both.)
            strong &= support >= _WHOLE
            lines = grid
        shared = np.zeros(len(strong), bool)
        for line in (at for at in lines if first < at < last):
            near = slice(max(0, line - 1 - first - _ALIGNED), line - first + _ALIGNED)
            strong[near] |= weak[near]
            shared[near] |= line in grid
        step = (self._step[b, first:last] - self._step[a, first:last]) / heard
        found = []
        for at in np.flatnonzero(strong).tolist():
            near = slice(max(0, at - 2), at + 3)
            # Only local maxima of the step: compression smears an edge, but it is steepest where it was drawn.
            if step[at] < step[near].max():
                continue
            score = float(support[at] * purity[at] + 0.5 * apart[at] + _GRID * shared[at])
            found.append(_Cut(axis, first + at + 1, float(support[at]), score, float(apart[at]), along))
        return found


class _Counts:
    """Counts of flags along any stretch of any line."""

    def __init__(self, flags: npt.NDArray[np.bool_]) -> None:
        # Horizontal lines come transposed: turning the sums costs nothing, turning the flags does.
        turned = flags.flags.f_contiguous and not flags.flags.c_contiguous
        plain = np.ascontiguousarray(flags.T if turned else flags)
        sums = cv2.integral(plain.view(np.uint8))
        self._sums = sums.T if turned else sums

    def of(self, along: tuple[int, int], first: int, last: int) -> npt.NDArray[np.float32]:
        """Count the flags between two places along each of the lines from `first` to before `last`."""
        a, b = along
        both = self._sums[b, first : last + 1] - self._sums[a, first : last + 1]
        return np.diff(both).astype(np.float32)


def _running(values: npt.NDArray) -> npt.NDArray[np.float32]:
    """Cumulative sum from the start of each line: (length + 1, lines)."""
    values = np.ascontiguousarray(values)
    sums = np.zeros((values.shape[0] + 1, values.shape[1]), np.float32)
    # Row by row: `np.cumsum` goes down each column, which takes ten times as long.
    for row, value in enumerate(values):
        np.add(sums[row], value, out=sums[row + 1])
    return sums
