"""Layouts: places of the film and of the people on the screen.

3x3       the film in the middle, eight people around it      side      the film large, people in columns beside it
2x3, 2x2  the film in one cell of a small grid                inset     people fill the screen, the film covers a
bordered  rounded panels with gaps over the blurred film                corner of the last one's panel
row       the film above, people in a row below, framed and shadowed    center  the film over the middle of a grid
          over the blurred film
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rmset.errors import UsageError

IntBox = tuple[int, int, int, int]
"""xyxy, pixels of the frame, half-open, even numbers"""

MIN_PANEL = 48
"""smallest side of a panel, pixels; no face is found in a smaller panel"""


@dataclass(frozen=True)
class PanelLayout:
    """A screen divided between the film and the people."""

    name: str
    frame_size: tuple[int, int]
    """(width, height), pixels"""
    trigger: IntBox
    panels: dict[int, IntBox]
    """person -> panel"""
    background: str = "black"
    """background between panels: `black`, or `blurred` (the film, blurred)"""
    corner_radius: int = 0
    """radius of corners of panels and film, pixels"""
    again: IntBox | None = None
    """second place of the film"""
    shadow: int = 0
    """reach of the soft shadow of panels and film, pixels"""
    frame: int = 0
    """width of the white line around panels and film, inside them, pixels"""

    def __post_init__(self) -> None:
        """Check that everything lies within the frame and can be encoded.

        Raises:
            UsageError: a size that is odd, or a panel that is too small.
        """
        width, height = self.frame_size
        if width % 2 or height % 2:
            raise UsageError(f"expected an even frame size (yuv420p), found {width}x{height}; add or drop a pixel")
        boxes = [("film", box) for box in self.triggers] + [(f"person {p}", b) for p, b in self.panels.items()]
        for what, (x0, y0, x1, y1) in boxes:
            if x1 - x0 < MIN_PANEL or y1 - y0 < MIN_PANEL:
                raise UsageError(
                    f"expected panels of {MIN_PANEL}x{MIN_PANEL} pixels or more, found {x1 - x0}x{y1 - y0} for {what} "
                    f"in layout {self.name}; take fewer people or a larger frame"
                )
            if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
                raise UsageError(f"expected panels within {width}x{height}, found {(x0, y0, x1, y1)} for {what}")

    @property
    def triggers(self) -> tuple[IntBox, ...]:
        """All rectangles of the film."""
        return (self.trigger,) if self.again is None else (self.trigger, self.again)


def make_layout(name: str, people: int | None = None, frame_size: tuple[int, int] = (1280, 720)) -> PanelLayout:
    """Make the layout of a name for a number of people.

    Args:
        name: one of `LAYOUTS`.
        people: number of people; the layout's own number if None.
        frame_size: (width, height), even.

    Raises:
        UsageError: an unknown name, an odd or too small frame, or more people than the layout has cells.
    """
    if name not in LAYOUTS:
        raise UsageError(f"expected a layout out of {', '.join(LAYOUTS)}, found {name!r}")
    build, default, most = LAYOUTS[name]
    count = default if people is None else people
    if not 1 <= count <= most:
        roomy = " or ".join(other for other, (_, _, holds) in LAYOUTS.items() if holds >= count)
        raise UsageError(
            f"expected 1 to {most} people in layout {name}, found {count}; "
            + (f"take layout {roomy}" if count > most and roomy else "change the number of people")
        )
    return build(count, frame_size)


def capacity(name: str) -> int:
    """Return the largest number of people in a layout."""
    return LAYOUTS[name][2]


def grid(people: int, panel: tuple[int, int]) -> PanelLayout:
    """Make a nearly square grid of panels of one size (width, height), with the film in the first cell."""
    columns = int(np.ceil(np.sqrt(people + 1)))
    rows = -(-(people + 1) // columns)
    return _fixed(rows, columns, 0)(people, (columns * panel[0], rows * panel[1]))


def _fixed(rows: int, columns: int, film_cell: int) -> Callable[[int, tuple[int, int]], PanelLayout]:
    """Return a builder of grids without gaps: the film in one cell, people in the others in reading order."""

    def build(people: int, size: tuple[int, int]) -> PanelLayout:
        cells = _cells((0, 0, *size), rows, columns)
        film = cells.pop(film_cell)
        return PanelLayout(f"{rows}x{columns}", size, film, dict(enumerate(cells[:people])))

    return build


def _side(people: int, size: tuple[int, int]) -> PanelLayout:
    """Place the film at the left over the full height, and columns of panels at the right."""
    width, height = size

    def column_width(columns: int) -> int:
        panel_height = height // -(-people // columns)
        return _even(min(panel_height * 1.5, 0.5 * width / columns))

    columns = max(range(1, 6), key=lambda k: column_width(k) * min(column_width(k), height // -(-people // k)))
    edge = width - columns * column_width(columns)
    cells = _cells((edge, 0, width, height), -(-people // columns), columns)
    return PanelLayout("side", size, (0, 0, edge, height), dict(enumerate(cells[:people])))


def _inset(people: int, size: tuple[int, int]) -> PanelLayout:
    """Fill the screen with people; the film covers the lower right corner of the last panel."""
    rows, columns = _best_grid(people, size)
    panels = dict(enumerate(_cells((0, 0, *size), rows, columns)[:people]))
    x0, y0, x1, y1 = panels[people - 1]
    margin = _even(0.02 * size[1])
    corner = (x1 - margin, y1 - margin)
    film = (_even(corner[0] - 0.36 * (x1 - x0)), _even(corner[1] - 0.36 * (y1 - y0)), *corner)
    return PanelLayout("inset", size, film, panels)


def _bordered(people: int, size: tuple[int, int]) -> PanelLayout:
    """Make a grid with gaps and rounded corners over the blurred film; the film is in the middle cell."""
    rows, columns = _best_grid(people + 1, size)
    gap = max(4, _even(0.022 * size[1]))
    cells = [
        (x0 + gap // 4 * 2, y0 + gap // 4 * 2, x1 - gap // 4 * 2, y1 - gap // 4 * 2)
        for x0, y0, x1, y1 in _cells((gap, gap, size[0] - gap, size[1] - gap), rows, columns)
    ][: people + 1]
    middle = min(len(cells) - 1, (rows // 2) * columns + columns // 2)
    film = cells.pop(middle)
    return PanelLayout("bordered", size, film, dict(enumerate(cells)), "blurred", gap)


def _row(people: int, size: tuple[int, int]) -> PanelLayout:
    """Place the film above at 16:9 and people in one row below, with gaps, lines and shadows over a blur."""
    width, height = size
    gap = max(6, _even(0.02 * height))
    split = _even(0.62 * height)
    half = _even(min((split - 2 * gap) * 8 / 9, width / 2 - gap))
    film = (width // 4 * 2 - half, gap, width // 4 * 2 + half, (split - gap // 2) // 2 * 2)
    cells = _cells((gap, split, width - gap, height), 1, people)
    side, top, bottom = gap // 4 * 2, split // 2 * 2 + gap // 4 * 2, (height - gap) // 2 * 2
    panels = {person: (x0 + side, top, x1 - side, bottom) for person, (x0, _, x1, _) in enumerate(cells)}
    return PanelLayout("row", size, film, panels, "blurred", shadow=gap, frame=2)


def _center(people: int, size: tuple[int, int]) -> PanelLayout:
    """Fill the screen with people; the film covers the middle, where their panels meet."""
    rows, columns = _best_grid(people, size)
    width, height = size
    x, y = _even(0.17 * width), _even(0.17 * height)
    film = (width // 4 * 2 - x, height // 4 * 2 - y, width // 4 * 2 + x, height // 4 * 2 + y)
    return PanelLayout("center", size, film, dict(enumerate(_cells((0, 0, *size), rows, columns)[:people])))


def _cells(box: IntBox, rows: int, columns: int) -> list[IntBox]:
    """Return a box cut into cells at even pixels, in reading order."""
    x = [_even(v) for v in np.linspace(box[0], box[2], columns + 1)]
    y = [_even(v) for v in np.linspace(box[1], box[3], rows + 1)]
    return [(x[c], y[r], x[c + 1], y[r + 1]) for r in range(rows) for c in range(columns)]


def _best_grid(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) for `count` cells: each near 3:2, with few cells empty."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        aspect = (size[0] / columns) / (size[1] / rows)
        return abs(float(np.log(aspect / 1.5))) + 0.6 * (rows * columns - count) / count

    columns = min(range(1, count + 1), key=cost)
    return -(-count // columns), columns


def _even(value: float) -> int:
    return int(value) // 2 * 2


LAYOUTS: dict[str, tuple[Callable[[int, tuple[int, int]], PanelLayout], int, int]] = {
    "3x3": (_fixed(3, 3, film_cell=4), 8, 8),
    "2x3": (_fixed(2, 3, film_cell=1), 5, 5),
    "2x2": (_fixed(2, 2, film_cell=0), 3, 3),
    "side": (_side, 6, 40),
    "inset": (_inset, 4, 40),
    "bordered": (_bordered, 8, 40),
    "row": (_row, 4, 12),
    "center": (_center, 4, 40),
}
"""name -> (builder, default number of people, largest number of people)"""
