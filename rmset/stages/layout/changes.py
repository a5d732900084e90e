"""Moments at which the layout of a mashup changes, from small pictures of it.

Walls, borders and edges of panels hold still as long as the layout does, while films and faces move. So for each gap
between two samples, each block of the screen compares its still parts before and after. A gap at which many blocks
differ that seldom do at other times is a change.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.frames import Gray
from rmset.stages.layout.edges import Rect

SMALL = (320, 180)
"""(width, height) of the small pictures, px"""
_BLOCK = 20
# Looks on either side that are compared.
_WINDOW = 4
# Gray levels: a step that counts as an edge, a pixel that holds still, a still pixel that has changed.
_EDGE, _STILL, _CHANGED = 10, 14, 22
# Share of a block's still matter that must differ, and share of the screen whose blocks must say so.
_DIFFERS, _SCREEN = 0.5, 0.03
_LEAST = 14
"""pixels of a block that hold still, below which it has no say"""

Flags = npt.NDArray[np.bool_]


def shrunk(image: Gray) -> Gray:
    """Return a frame uint8 (H, W) as a small picture (180, 320)."""
    return np.asarray(cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA), np.uint8)


def in_small(rect: Rect, frame_size: tuple[int, int]) -> Rect:
    """Return a rectangle of a frame of that (width, height) in its small picture, px."""
    (width, height), (x0, y0, x1, y1) = SMALL, rect
    sx, sy = width / frame_size[0], height / frame_size[1]
    return (round(x0 * sx), round(y0 * sy), round(x1 * sx), round(y1 * sy))


def find(looks: Sequence[Gray]) -> list[tuple[int, Flags]]:
    """Find changes as (gap, changed pixels): gap k lies between looks k and k + 1.

    Args:
        looks: small gray pictures in order of time.

    Returns:
        In order of time; the flags are bool (180, 320), the blocks that changed.
    """
    count = len(looks)
    if count < 2:
        return []
    edges = np.stack([_edges(look) for look in looks])
    grays = np.stack(looks)
    sides = [(slice(max(0, k - _WINDOW + 1), k + 1), slice(k + 1, k + 1 + _WINDOW)) for k in range(count - 1)]
    answers = np.stack([_differ(grays, edges, before, after) for before, after in sides])
    # A block that changes more often than the screen as a whole belongs to the film.
    starts = (answers & ~np.concatenate([np.zeros_like(answers[:1]), answers[:-1]])).sum(axis=0)
    weight = (starts <= max(1, int(np.percentile(starts, 20)))).astype(np.float64)
    scores = (answers * weight).sum(axis=(1, 2)) / weight.size
    found: list[tuple[int, Flags]] = []
    for gap in range(count - 1):
        near = scores[max(0, gap - 1) : gap + 2]
        if scores[gap] < _SCREEN or scores[gap] < near.max() or (found and gap - found[-1][0] < 2):
            continue
        # Where exactly is for those blocks to say that seldom change; a cut of the film beside it is not meant.
        found.append((gap, np.kron(answers[gap] & (weight > 0), np.ones((_BLOCK, _BLOCK), bool))))
    # Neighboring gaps may settle on one.
    settled = {_settled(looks, gap, where): where for gap, where in found}
    return sorted(settled.items())


def split(pictures: Sequence[Gray], before: Sequence[Gray], after: Sequence[Gray], where: Flags) -> int:
    """How many of the pictures still belong to the looks `before` rather than `after`, at the pixels `where`.

    The quieter side decides: what a film shows before a grid of people may look like neither.
    """
    if not pictures:
        return 0
    usual_before, usual_after = _median(before)[where], _median(after)[where]
    noise_before, noise_after = _distance(before, usual_before, where), _distance(after, usual_after, where)
    gap = float(np.abs(usual_before - usual_after).mean())
    if float(noise_after.mean()) <= float(noise_before.mean()):
        line = float(noise_after.mean()) + 0.35 * max(0.0, gap - float(noise_after.mean()))
        is_after = _distance(pictures, usual_after, where) < line
    else:
        line = float(noise_before.mean()) + 0.35 * max(0.0, gap - float(noise_before.mean()))
        is_after = _distance(pictures, usual_before, where) >= line
    wrong = [int(is_after[:k].sum()) + int((~is_after[k:]).sum()) for k in range(len(pictures) + 1)]
    return int(np.argmin(wrong))


def _median(looks: Sequence[Gray]) -> npt.NDArray[np.float32]:
    return np.asarray(np.median(np.stack(looks), axis=0), np.float32)


def _distance(looks: Sequence[Gray], usual: npt.NDArray[np.float32], where: Flags) -> npt.NDArray[np.float32]:
    """Mean gray difference (looks,) from what is usual."""
    return np.asarray([np.abs(look[where] - usual).mean() for look in looks], np.float32)


def around(looks: Sequence[Gray], gap: int) -> tuple[Sequence[Gray], Sequence[Gray]]:
    """Return the looks on either side of a gap that tell what the screen looks like before and after it."""
    return looks[max(0, gap - 2) : gap + 1], looks[gap + 1 : gap + 4]


def _settled(looks: Sequence[Gray], gap: int, where: Flags) -> int:
    """Return the gap itself or a neighbor, wherever the looks really part."""
    low, high = max(0, gap - 1), min(len(looks), gap + 3)
    before = looks[max(0, gap - _WINDOW) : max(1, gap)]
    after = looks[min(gap + 2, len(looks) - 1) : gap + 2 + _WINDOW]
    return min(max(low + split(looks[low:high], before, after, where) - 1, 0), len(looks) - 2)


def _edges(look: Gray) -> npt.NDArray[np.bool_]:
    """Bool (2, 180, 320): steps to the right and downwards."""
    gray = look.astype(np.int16)
    out = np.zeros((2, *look.shape), bool)
    out[0, :, :-1] = np.abs(np.diff(gray, axis=1)) >= _EDGE
    out[1, :-1] = np.abs(np.diff(gray, axis=0)) >= _EDGE
    return out


def _differ(grays: npt.NDArray[np.uint8], edges: Flags, before: slice, after: slice) -> Flags:
    """Blocks (9, 16) whose still edges, or still pixels, differ."""
    held_before, held_after = edges[before].mean(axis=0) >= 0.75, edges[after].mean(axis=0) >= 0.75
    either = _blocks((held_before | held_after).sum(axis=0))
    both = _blocks((_near(held_before) & held_after | _near(held_after) & held_before).sum(axis=0))
    by_edges = (either >= _LEAST) & (either - both >= _DIFFERS * either)
    still = (np.ptp(grays[before], axis=0) < _STILL) & (np.ptp(grays[after], axis=0) < _STILL)
    jump = np.abs(np.median(grays[before], axis=0) - np.median(grays[after], axis=0)) >= _CHANGED
    pixels = _blocks(still)
    by_pixels = (pixels >= _BLOCK * _BLOCK / 4) & (_blocks(still & jump) >= _DIFFERS * pixels)
    return np.asarray(by_edges | by_pixels)


def _near(held: Flags) -> Flags:
    """Grown by a pixel, so that an edge between two pixels is found again in either."""
    grown = [cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) for part in held]
    return np.stack(grown).astype(bool)


def _blocks(values: npt.NDArray) -> npt.NDArray[np.float64]:
    """Sum over blocks: (180, 320) -> (9, 16)."""
    height, width = values.shape
    return np.asarray(values.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).sum(axis=(1, 3)), np.float64)
