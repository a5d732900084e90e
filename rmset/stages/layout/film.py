"""Which panel is the film: it cuts, its camera moves, nobody sits still in it, it lies where films lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmset.geometry import Box, as_boxes, centre, covered
from rmset.parts.edges import Rect
from rmset.stages.layout import copies
from rmset.stages.layout.copies import Copy
from rmset.stages.layout.watch import View, Watched

# Weights of the signs; tuned on the tuning half of the benchmark's mashups.
_NOBODY, _CHANGES, _RIM, _CENTRAL, _LARGE, _INSET, _CROWD = 1.0, 0.6, 1.5, 0.35, 0.4, 0.9, 0.3
# Margin over the next panel at which the choice is as good as sure, and the one at which it is a coin's throw.
_SURE, _TOSS = 0.75, 0.0
# Edges lie on one line of the grid when they are so near, px.
_ALIGNED = 4
# A bar above or beside the film is at most so thick, as a share of the film's side.
_BAR = 0.35
_THIN_BAR = 0.15
# A copy of the film is the panel at its middle when that shows so much of it; else the copy is cut off there.
_HOST = 0.6
# Two panels are film alike when their likeness differs by no more; somebody sits where a face stays so surely.
_EQUAL, _SEATED = 0.5, 0.5
# Whoever is seen in so many looks is not hidden by a copy.
_SEEN = 0.3
# Two regions can be wrong in more ways than one; a person should look.
_TWICE = 0.75
# A blurred copy behind the panels has less than this share of the detail of the film, whose rim moves so much.
_BLURRED, _LIVELY = 0.65, 0.6


@dataclass(frozen=True)
class Film:
    """Where the film plays."""

    regions: tuple[Rect, ...]
    """the chosen panel first, then where it is shown again"""
    panels: tuple[int, ...]
    """numbers of the view's panels that are film"""
    confidence: float


def find(view: View, frame_size: tuple[int, int]) -> Film | None:
    """The film of a view; None if no panel can be one."""
    panels = view.panels
    if len(panels) < 2:
        return None
    usual = float(np.median([p.area for p in panels]))
    # A sliver is never where the film plays.
    blurs = [i for i, p in enumerate(panels) if _is_blur(p, panels)]
    eligible = [i for i, p in enumerate(panels) if i not in blurs and (p.area >= usual / 4 or p.panel.inset)]
    if not eligible:
        return None
    likeness = {i: likeness_of(panels[i], panels, frame_size) for i in eligible}
    order = sorted(eligible, key=lambda i: -likeness[i])
    chosen = order[0]
    rects = [p.panel.rect for p in panels]
    regions = [with_bars(rects[chosen], rects, frame_size)]
    over = [p.panel.rect for i, p in enumerate(panels) if p.panel.inset and i != chosen]
    copy = copies.find(view.looks, rects[chosen], frame_size, over)
    again: list[int] = []
    seats = [i for i in range(len(panels)) if i not in blurs]
    if copy is not None:
        region, again = _second(copy, regions[0], view, [i for i in seats if i != chosen], frame_size)
        regions += [region] if region else []
    equal = _equals(panels, likeness, [i for i in order if i not in again])
    regions += [with_bars(rects[i], rects, frame_size) for i in equal]
    again += equal
    rivals = [likeness[i] for i in order[1:] if i not in again]
    margin = likeness[chosen] - max(rivals, default=0.0)
    confidence = float(np.clip(0.5 + 0.5 * (margin - _TOSS) / (_SURE - _TOSS), 0.05, 0.99))
    if len(regions) > 1 or copy is not None:
        confidence = min(confidence, _TWICE)
    return Film(tuple(regions), (chosen, *again, *blurs), round(confidence, 3))


def likeness_of(panel: Watched, panels: Sequence[Watched], frame_size: tuple[int, int]) -> float:
    """How much a panel behaves like a film; higher is more."""
    most = max(max(p.change for p in panels), 0.3)
    usual = float(np.median([p.area for p in panels]))
    x, y = centre(panel.panel.box)
    off = max(abs(x / frame_size[0] - 0.5), abs(y / frame_size[1] - 0.5)) * 2
    wandering = max(0.0, min(1.0, panel.faces - 0.5)) * (1 - panel.sitting)
    return (
        _NOBODY * (1 - panel.sitting)
        + _CHANGES * panel.change / most
        + _RIM * panel.rim**2
        + _CENTRAL * (1 - off)
        + _LARGE * float(np.clip(np.log2(panel.area / usual), -0.5, 1.5))
        + _INSET * panel.panel.inset
        + _CROWD * wandering
    )


def _is_blur(panel: Watched, panels: Sequence[Watched]) -> bool:
    """Whether it is what lies behind the panels: nobody in it; something lively beside it is larger and sharper."""
    return (
        panel.sitting == 0
        and not panel.panel.inset
        and any(p.area > panel.area and p.rim >= _LIVELY and panel.detail < _BLURRED * p.detail for p in panels)
    )


def _equals(panels: Sequence[Watched], likeness: dict[int, float], order: Sequence[int]) -> list[int]:
    """The second of the order if it is as much a film as the first, and all others are people.

    A copy that lags behind, or is cut another way, shows other pictures; but nobody sits in it either.
    """
    if len(order) < 3 or not any(panels[i].sitting >= _SEATED for i in order[2:]):
        return []
    first, second, third = order[:3]
    near = likeness[first] - likeness[second] <= _EQUAL and likeness[second] - likeness[third] >= _SURE
    return [second] if near and panels[second].sitting < _SEATED else []


def _second(
    copy: Copy, film: Rect, view: View, seats: Sequence[int], frame_size: tuple[int, int]
) -> tuple[Rect | None, list[int]]:
    """The region of a copy, and the panels that are nothing else; no region if it would hide somebody.

    Args:
        copy: where it is.
        film: the first region, bars included.
        view: all panels.
        seats: numbers of the panels that may be the copy's, or a person's under it.
        frame_size: (width, height).
    """
    panels = view.panels
    x0, y0, x1, y1 = copy.of(film)
    region = (max(x0, 0), max(y0, 0), min(x1, frame_size[0]), min(y1, frame_size[1]))
    under = [i for i in seats if _holds(panels[i].panel.rect, *copy.centre)]
    host = min(under, key=lambda i: panels[i].area, default=None)
    if host is not None and _covers(panels[host].panel.rect, region) < _HOST:
        region = panels[host].panel.rect
    # A look is small, so a copy is found to about a pixel of it; edges of panels are exact.
    rects = [(0, 0, *frame_size), *(p.panel.rect for p in panels)]
    region = _snapped(region, rects, 2 * frame_size[0] / view.looks.shape[2])
    others = [s for i in seats if i != host for s in panels[i].sitters if s.presence >= _SEEN]
    if any(_holds(region, *centre(s.usual)) for s in others):
        return None, []
    return region, [host] if host is not None and _covers(region, panels[host].panel.rect) >= _HOST else []


def _snapped(rect: Rect, others: Sequence[Rect], near: float) -> Rect:
    """The rectangle with each side on the nearest side of another, if one is so near (px)."""

    def snap(value: int, lines: set[int]) -> int:
        line = min(lines, key=lambda at: abs(at - value))
        return line if abs(line - value) <= near else value

    x_lines, y_lines = {v for r in others for v in (r[0], r[2])}, {v for r in others for v in (r[1], r[3])}
    x0, y0, x1, y1 = rect
    return (snap(x0, x_lines), snap(y0, y_lines), snap(x1, x_lines), snap(y1, y_lines))


def _holds(rect: Rect, x: float, y: float) -> bool:
    return rect[0] <= x < rect[2] and rect[1] <= y < rect[3]


def with_bars(rect: Rect, panels: Sequence[Rect], frame_size: tuple[int, int]) -> Rect:
    """The film's panel with the bars above and below (or beside) it, up to the lines of the grid.

    A side is moved outwards only if no other panel ends where it is now, and one does (or the frame does) where it
    would be, so that a gap between panels is not taken for a bar where another panel
    of its row and column shows what it is.
    """
    x0, y0, x1, y1 = rect
    others = [p for p in panels if p != rect]
    width, height = frame_size
    x_lines = {0, width, *(v for p in others for v in (p[0], p[2]))}
    y_lines = {0, height, *(v for p in others for v in (p[1], p[3]))}

    def out(side: int, lines: set[int], sign: int, most: float) -> int:
        if any(abs(side - line) <= _ALIGNED for line in lines):
            return side
        beyond = [line for line in lines if 0 < (line - side) * sign <= most]
        return min(beyond, key=lambda line: abs(line - side), default=side)

    moved = (
        out(x0, x_lines, -1, _BAR * (x1 - x0)),
        out(y0, y_lines, -1, _BAR * (y1 - y0)),
        out(x1, x_lines, 1, _BAR * (x1 - x0)),
        out(y1, y_lines, 1, _BAR * (y1 - y0)),
    )
    bars = (x0 - moved[0], y0 - moved[1], moved[2] - x1, moved[3] - y1)
    grown = list(rect)
    if _are_a_pair(bars[0], bars[2], x1 - x0):
        grown[0], grown[2] = moved[0], moved[2]
    if _are_a_pair(bars[1], bars[3], y1 - y0):
        grown[1], grown[3] = moved[1], moved[3]
    reached = (grown[0], grown[1], grown[2], grown[3])
    return rect if any(_covers(reached, other) > _covers(rect, other) + 0.01 for other in others) else reached


def _are_a_pair(one: int, other: int, side: int) -> bool:
    """Whether two bars belong together: of one thickness, or a thin one whose fellow is part of the panel already."""
    return abs(one - other) <= 2 * _ALIGNED or (min(one, other) == 0 and max(one, other) <= _THIN_BAR * side)


def _covers(rect: Rect, other: Rect) -> float:
    """Share of the other that the rectangle covers."""
    return float(covered(as_boxes([_floats(other)]), as_boxes([_floats(rect)]))[0])


def _floats(rect: Rect) -> Box:
    x0, y0, x1, y1 = rect
    return (float(x0), float(y0), float(x1), float(y1))
