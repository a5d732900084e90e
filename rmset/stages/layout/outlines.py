"""Outline (circle or rectangle) of a person's picture that lies over another, found from the face in it.

A person shown over a film has a camera of their own, so the two sides of the outline move independently. A face in
the film has no such outline. Circles have no straight sides, and boxes in a column share sides; so both are searched
for from the face outwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from rmset.geometry import Box, center
from rmset.stages.layout.edges import Evidence, Rect

# Least share of a circle and of a rectangle's side on an edge; least ratio to the share just inside the circle.
_CIRCLE, _SIDE, _CLEARER = 0.5, 0.55, 1.6
# Bounds of half a picture's side, in heights of the face in it.
_NEAREST, _FARTHEST = 0.55, 3.2
# Samples of a circle.
_TURNS = 96
# Lines tried for each side of a rectangle.
_LINES = 5
# Largest distance of a side from the ends of the sides it meets, px.
_INWARD = 3


@dataclass(frozen=True)
class Outline:
    """Outline of a picture."""

    rect: Rect
    round: bool
    support: float
    """share of it with evidence for an edge, 0 to 1"""


def around(evidence: Evidence, face: Box) -> Outline | None:
    """Find the outline of the picture around a face; None if none is visible."""
    found = [o for o in (_circle(evidence, face), _rectangle(evidence, face)) if o is not None]
    return max(found, key=lambda o: o.support, default=None)


def _edge_map(evidence: Evidence) -> npt.NDArray[np.bool_]:
    """Pixels (H, W) next to evidence for an edge in either direction."""
    height, width = evidence.mean.shape
    edge = np.zeros((height, width), bool)
    vertical, horizontal = evidence.vertical.speaks_for, evidence.horizontal.speaks_for.T
    edge[:, :-1] |= vertical
    edge[:, 1:] |= vertical
    edge[:-1] |= horizontal
    edge[1:] |= horizontal
    return edge


def _circle(evidence: Evidence, face: Box) -> Outline | None:
    edge = _edge_map(evidence)
    height, width = edge.shape
    tall = face[3] - face[1]
    x, y = center(face)
    turns = np.linspace(0, 2 * np.pi, _TURNS, endpoint=False)
    unit = np.stack([np.cos(turns), np.sin(turns)])
    step = max(1.0, tall / 24)
    best: tuple[float, float, float, float] | None = None
    around_x, around_y = (np.arange(-reach * tall, reach * tall + step, step) for reach in (0.5, 0.8))
    radii = np.arange(max(8.0, _NEAREST * tall), 2.4 * tall, step)
    for fine in (False, True):
        if fine:
            if best is None:
                return None
            _, x, y, radius = best
            around_x = around_y = np.arange(-step, step + 0.5, 0.5)
            radii = np.arange(radius - step, radius + step + 0.5, 0.5)
        dx, dy, rr = (g.ravel()[:, None] for g in np.meshgrid(around_x, around_y, radii, indexing="ij"))
        on = _share_on(edge, x + dx + rr * unit[0], y + dy + rr * unit[1])
        within = np.maximum(
            *(_share_on(edge, x + dx + k * rr * unit[0], y + dy + k * rr * unit[1]) for k in (0.86, 0.92))
        )
        # A head has an outline too, but it does not stay in place.
        score = np.where(on >= _CLEARER * within, on - 0.3 * within, 0)
        at = int(score.argmax())
        if score[at] <= 0:
            return None
        best = (float(on[at]), float(x + dx[at, 0]), float(y + dy[at, 0]), float(rr[at, 0]))
    assert best is not None
    support, x, y, radius = best
    if support < _CIRCLE:
        return None
    rect = (max(0, round(x - radius)), max(0, round(y - radius)), round(x + radius), round(y + radius))
    return Outline((*rect[:2], min(width, rect[2]), min(height, rect[3])), True, support)


def _share_on(edge: npt.NDArray[np.bool_], x: npt.NDArray, y: npt.NDArray) -> npt.NDArray[np.float32]:
    """Share (N,) of points (N, samples) that lie on an edge; 0 where fewer than two thirds are on the screen."""
    height, width = edge.shape
    column, row = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
    seen = (column >= 1) & (row >= 1) & (column < width - 1) & (row < height - 1)
    on = edge[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] & seen
    count = seen.sum(axis=1)
    return np.where(count >= 0.66 * x.shape[1], on.sum(axis=1) / np.maximum(count, 1), 0).astype(np.float32)


def _rectangle(evidence: Evidence, face: Box) -> Outline | None:
    height, width = evidence.mean.shape
    tall = face[3] - face[1]
    x, y = center(face)
    rows = (max(0, round(face[1])), min(height, round(face[3])))
    columns = (max(0, round(face[0])), min(width, round(face[2])))
    near, far = _NEAREST * tall, _FARTHEST * tall
    up, across = evidence.vertical.speaks_for, evidence.horizontal.speaks_for
    lefts = _lines(up, rows, (x - far, x - near), 0)
    rights = _lines(up, rows, (x + near, x + far), width)
    tops = _lines(across, columns, (y - far, y - near), 0)
    bottoms = _lines(across, columns, (y + near, y + far), height)
    best: Outline | None = None
    for left, top, right, bottom in product(lefts, tops, rights, bottoms):
        rect = (left, top, right, bottom)
        sides = [
            float(lines[a + _INWARD : b - _INWARD, max(0, at - 2) : at + 1].any(axis=1).mean())
            for lines, (a, b), at, limit in (
                (up, (top, bottom), left, width),
                (up, (top, bottom), right, width),
                (across, (left, right), top, height),
                (across, (left, right), bottom, height),
            )
            if 0 < at < limit
        ]
        if len(sides) < 2 or min(sides) < _SIDE:
            continue
        support = float(np.mean(sides))
        if best is None or support > best.support:
            best = Outline(rect, False, support)
    return best


def _lines(
    speaks: npt.NDArray[np.bool_], along: tuple[int, int], across: tuple[float, float], border: int
) -> list[int]:
    """Candidate lines for one side of the rectangle, strongest first; the frame's border if it is in the stretch."""
    low, high = max(1, round(across[0])), min(speaks.shape[1], round(across[1]))
    found = [border] if across[0] <= border <= across[1] else []
    if high <= low or along[1] <= along[0]:
        return found
    share = speaks[along[0] : along[1], low - 1 : high - 1].mean(axis=0)
    for at in np.argsort(-share, kind="stable"):
        if share[at] < _SIDE or len(found) >= _LINES:
            break
        line = low + int(at)
        if all(abs(line - other) > 2 for other in found):
            found.append(line)
    return found
