"""Boxes, and the one IoU of the project.

A box is xyxy in pixels of the source frame, half-open: it covers `x0 <= x < x1` and `y0 <= y < y1`.
Several boxes are a float32 array (N, 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError

Box = tuple[float, float, float, float]
Boxes = npt.NDArray[np.float32]


def parse_box(text: str) -> Box:
    """Read `x0,y0,x1,y1`.

    Raises:
        UsageError: not four numbers, or an empty box.

    >>> parse_box("0,0,640,360")
    (0.0, 0.0, 640.0, 360.0)
    """
    try:
        x0, y0, x1, y1 = (float(v) for v in text.split(","))
    except ValueError:
        raise UsageError(f"box {text!r}: expected four numbers x0,y0,x1,y1 in pixels") from None
    if not (x0 < x1 and y0 < y1):
        raise UsageError(f"box {text!r}: expected x0 < x1 and y0 < y1; an empty box holds nothing")
    return (x0, y0, x1, y1)


def as_boxes(boxes: Iterable[Box] | npt.NDArray[np.floating]) -> Boxes:
    """Stack boxes into a float32 array (N, 4); also for N = 0."""
    return np.asarray(boxes if isinstance(boxes, np.ndarray) else list(boxes), dtype=np.float32).reshape(-1, 4)


def as_box(row: npt.NDArray[np.floating]) -> Box:
    """One row (4,) of an array as a tuple."""
    return cast(Box, tuple(float(v) for v in row))


def area(boxes: Boxes) -> npt.NDArray[np.float32]:
    """Areas (N,) in px²; 0 for an empty box.

    >>> area(as_boxes([(0, 0, 2, 3), (5, 5, 5, 9)])).tolist()
    [6.0, 0.0]
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float32)


def intersection(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Areas (N, M) in px² that each box of `a` (N, 4) shares with each box of `b` (M, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], dtype=np.float32)


def iou(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union (N, M), 0 to 1, of boxes `a` (N, 4) with boxes `b` (M, 4).

    >>> iou(as_boxes([(0, 0, 2, 2)]), as_boxes([(1, 0, 3, 2), (4, 4, 5, 5)])).round(3).tolist()
    [[0.333..., 0.0]]
    """
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), dtype=np.float32)


def paired_iou(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union (N,), 0 to 1, of each box of `a` (N, 4) with the box of `b` (N, 4) in the same row."""
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    shared = sides[:, 0] * sides[:, 1]
    union = area(a) + area(b) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), dtype=np.float32)


def covered(boxes: Boxes, by: Boxes) -> npt.NDArray[np.float32]:
    """Share (N,), 0 to 1, of each box that the boxes `by` (M, 4) cover; overlaps of `by` count twice, capped at 1."""
    total = intersection(boxes, by).sum(axis=1)
    own = area(boxes)
    share = np.divide(total, own, out=np.zeros_like(own), where=own > 0)
    return np.asarray(np.minimum(share, 1), dtype=np.float32)


def outside(boxes: Boxes, regions: Boxes) -> npt.NDArray[np.bool_]:
    """Mask of boxes (N, 4) outside the regions (R, 4): neither the center nor half of the area is inside."""
    if not len(regions):
        return np.ones(len(boxes), dtype=bool)
    middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    within = np.all((middle >= regions[None, :, :2]) & (middle < regions[None, :, 2:]), axis=2)
    inside = np.any(within, axis=1)
    return np.asarray(~inside & (covered(boxes, regions) <= 0.5), dtype=bool)


def contains_point(boxes: Boxes, x: float, y: float) -> npt.NDArray[np.bool_]:
    """Mask of boxes (N,) that contain the point."""
    return np.asarray((boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3]))


def center(box: Box) -> tuple[float, float]:
    """Center (x, y) of a box."""
    return ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def scale_about_center(box: Box, factor: float) -> Box:
    """Return the box grown or shrunk about its center."""
    x, y = center(box)
    w, h = (box[2] - box[0]) * factor / 2, (box[3] - box[1]) * factor / 2
    return (x - w, y - h, x + w, y + h)


def clip(box: Box, to: Box) -> Box:
    """Return the part of `box` inside `to`; may be empty (then x1 <= x0 or y1 <= y0)."""
    return (max(box[0], to[0]), max(box[1], to[1]), min(box[2], to[2]), min(box[3], to[3]))


def without(box: Box, holes: Iterable[Box]) -> list[Box]:
    """Disjoint boxes that cover `box` without its holes, from top to bottom.

    >>> without((0, 0, 9, 9), [(3, 3, 6, 6)])
    [(0, 0, 9, 3), (0, 3, 3, 6), (6, 3, 9, 6), (0, 6, 9, 9)]
    """
    parts = [box]
    for hole in holes:
        left: list[Box] = []
        for part in parts:
            x0, y0, x1, y1 = clip(hole, part)
            if x0 >= x1 or y0 >= y1:
                left.append(part)
                continue
            around = (
                (part[0], part[1], part[2], y0),
                (part[0], y0, x0, y1),
                (x1, y0, part[2], y1),
                (part[0], y1, part[2], part[3]),
            )
            left += [b for b in around if b[0] < b[2] and b[1] < b[3]]
        parts = left
    return sorted(parts, key=lambda b: (b[1], b[0]))


def pixels(box: Box, frame_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the whole pixels that a box touches, clipped to a frame (width, height); for slicing."""
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    x1, y1 = min(frame_size[0], int(np.ceil(box[2]))), min(frame_size[1], int(np.ceil(box[3])))
    return x0, y0, max(x0, x1), max(y0, y1)
