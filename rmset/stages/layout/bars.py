"""Letterbox and pillarbox bars: they belong to the film's panel, gaps between panels do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box, as_boxes, covered
from rmset.stages.layout import changes
from rmset.stages.layout.edges import Rect

# Largest distance at which edges lie on one grid line, px.
_ALIGNED = 4
# Largest thickness of a bar above or beside the film, as a share of the film's side.
_BAR = 0.35
_THIN_BAR = 0.15
# Smallest standard deviation of motion (gray levels); largest share of the film's detail in a blurred change.
_MOVES, _BLURRED = 2.0, 0.3
# Largest mean gray level of black; smallest share of looks in which a bar is black, as some scenes may have no bars.
_BLACK, _OFTEN = 8.0, 0.15
# Largest spatial standard deviation of a single color, gray levels.
_PLAIN = 4.0


def with_bars(rect: Rect, panels: Sequence[Rect], frame_size: tuple[int, int], looks: npt.NDArray[np.uint8]) -> Rect:
    """Return the film's panel with the bars above and below (or beside) it, up to the lines of the grid.

    A side moves outwards only if no other panel ends at its present line, and another panel or the frame ends at the
    new line: so a gap between panels is not taken for a bar. A strip that moves and is blurred is the background, not
    a bar.

    Args:
        rect: px of the frame, like `panels`.
        panels: all panels of the screen.
        frame_size: (width, height).
        looks: small gray pictures of the whole screen, uint8 (N, 180, 320).
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
    film = _Stir.of(rect, frame_size, looks)

    def is_bar(strip: Rect, *, beside: bool) -> bool:
        stir = _Stir.of(strip, frame_size, looks)
        # Above and below, a strip may be a bar in some scenes and picture in others. Beside a film, other pictures may
        # lie, so a strip there must look like a bar.
        return not stir.behind(film) and (stir.is_bar or not beside)

    if (
        _are_a_pair(bars[0], bars[2], x1 - x0)
        and is_bar((moved[0], y0, x0, y1), beside=True)
        and is_bar((x1, y0, moved[2], y1), beside=True)
    ):
        grown[0], grown[2] = moved[0], moved[2]
    if (
        _are_a_pair(bars[1], bars[3], y1 - y0)
        and is_bar((x0, moved[1], x1, y0), beside=False)
        and is_bar((x0, y1, x1, moved[3]), beside=False)
    ):
        grown[1], grown[3] = moved[1], moved[3]
    reached = (grown[0], grown[1], grown[2], grown[3])
    return rect if any(covers(reached, other) > covers(rect, other) + 0.01 for other in others) else reached


def _are_a_pair(one: int, other: int, side: int) -> bool:
    """Whether two bars are a pair: equally thick, or one thin and the other part of the panel already."""
    return abs(one - other) <= 2 * _ALIGNED or (min(one, other) == 0 and max(one, other) <= _THIN_BAR * side)


@dataclass(frozen=True)
class _Stir:
    """Change of a rectangle from look to look."""

    much: float
    """standard deviation, gray levels"""
    fine: float
    """variance of the steps from pixel to pixel, right and down, divided by the variance itself"""
    black: float
    """share of the looks in which it is black, 0 to 1"""
    plain: float
    """spatial standard deviation of its mean over time, gray levels"""

    @classmethod
    def of(cls, rect: Rect, frame_size: tuple[int, int], looks: npt.NDArray[np.uint8]) -> _Stir:
        x0, y0, x1, y1 = changes.in_small(rect, frame_size)
        # The outermost pixels mix with the neighbors.
        part = looks[:, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1]
        if part.size == 0:
            return cls(0.0, 0.0, 1.0, 0.0)
        change = part - part.mean(axis=0, dtype=np.float32)
        variance = float(np.square(change).mean())
        steps = [np.square(s).mean() for s in (np.diff(change, axis=1), np.diff(change, axis=2)) if s.size]
        fine = float(sum(steps)) / max(variance, 1e-6)
        black = float((part.mean(axis=(1, 2)) < _BLACK).mean())
        return cls(variance**0.5, fine, black, float(part.mean(axis=0).std()))

    @property
    def is_bar(self) -> bool:
        """Whether it is black in some looks, or of one color and still; a strip of a person's room is neither."""
        return self.black >= _OFTEN or (self.much < _MOVES and self.plain < _PLAIN)

    def behind(self, film: _Stir) -> bool:
        """Whether it is the blurred copy of the film behind the panels."""
        return self.much >= _MOVES and self.fine < _BLURRED * film.fine and self.black < _OFTEN


def covers(rect: Rect, other: Rect) -> float:
    """Share of the other that the rectangle covers."""
    return float(covered(as_boxes([_floats(other)]), as_boxes([_floats(rect)]))[0])


def _floats(rect: Rect) -> Box:
    x0, y0, x1, y1 = rect
    return (float(x0), float(y0), float(x1), float(y1))
