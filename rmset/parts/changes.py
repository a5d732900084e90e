"""Moments at which the layout of a mashup changes, out of small pictures of it.

What holds still (walls, borders, edges of panels) holds still for as long as the layout does, while films and faces
move all the time. So each block of the screen is asked, for each gap between two looks, whether its still parts
differ before and after; a gap at which many blocks answer yes that seldom do so at other times is a change.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.edges import Grey

SMALL = (320, 180)
"""(width, height) of the small pictures, px"""
_BLOCK = 20
# Looks on either side that are compared.
_WINDOW = 4
# Grey levels: a step that counts as an edge, a pixel that holds still, a still pixel that has changed.
_EDGE, _STILL, _CHANGED = 10, 14, 22
# Share of a block's still matter that must differ, and share of the screen whose blocks must say so.
_DIFFERS, _SCREEN = 0.5, 0.03
_LEAST = 14
"""pixels of a block that hold still, below which it has no say"""

Flags = npt.NDArray[np.bool_]


def shrunk(image: npt.NDArray[np.uint8]) -> Grey:
    """A frame uint8 (H, W) or (H, W, 3) as a small grey picture (180, 320)."""
    small = cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small, np.uint8)


def find(looks: Sequence[Grey]) -> list[tuple[int, Flags]]:
    """Changes as (gap, changed pixels): gap k lies between looks k and k + 1.

    Args:
        looks: small grey pictures in order of time.

    Returns:
        In order of time; the flags are bool (180, 320), the blocks that changed.
    """
    count = len(looks)
    if count < 2:
        return []
    edges = np.stack([_edges(look) for look in looks])
    greys = np.stack(looks)
    sides = [(slice(max(0, k - _WINDOW + 1), k + 1), slice(k + 1, k + 1 + _WINDOW)) for k in range(count - 1)]
    answers = np.stack([_differ(greys, edges, before, after) for before, after in sides])
    # A block that keeps changing belongs to the film; a layout changes once or twice.
    starts = answers & ~np.concatenate([np.zeros_like(answers[:1]), answers[:-1]])
    weight = 1 / np.maximum(1, starts.sum(axis=0)) ** 2
    scores = (answers * weight).sum(axis=(1, 2)) / weight.size
    found: list[tuple[int, Flags]] = []
    for gap in range(count - 1):
        near = scores[max(0, gap - 2) : gap + 3]
        if scores[gap] < _SCREEN or scores[gap] < near.max() or (found and gap - found[-1][0] <= 2):
            continue
        # Where exactly is for those blocks to say that seldom change; a cut of the film beside it is not meant.
        seldom = answers[gap] & (weight >= weight[answers[gap]].max())
        speak = seldom if seldom.sum() >= _SCREEN * seldom.size else answers[gap]
        found.append((gap, np.kron(speak, np.ones((_BLOCK, _BLOCK), bool))))
    return [(_settled(greys, gap, where), where) for gap, where in found]


def split(pictures: Sequence[Grey], before: Grey, after: Grey, where: Flags) -> int:
    """How many of the pictures still look like `before` rather than `after`, at the pixels `where`."""
    if not pictures:
        return 0
    stack = np.stack(pictures)[:, where].astype(np.int16)
    to_before = np.abs(stack - before[where].astype(np.int16)).mean(axis=1)
    to_after = np.abs(stack - after[where].astype(np.int16)).mean(axis=1)
    costs = [to_before[:k].sum() + to_after[k:].sum() for k in range(len(pictures) + 1)]
    return int(np.argmin(costs))


def around(looks: Sequence[Grey], gap: int) -> tuple[Grey, Grey]:
    """What the screen looks like before and after a gap: medians over the looks next to it."""
    before = np.median(np.stack(looks[max(0, gap - 2) : gap + 1]), axis=0)
    after = np.median(np.stack(looks[gap + 1 : gap + 4]), axis=0)
    return np.asarray(before, np.uint8), np.asarray(after, np.uint8)


def _settled(greys: npt.NDArray[np.uint8], gap: int, where: Flags) -> int:
    """The gap itself or its neighbour, wherever the pictures really part."""
    low, high = max(0, gap - 2), min(len(greys), gap + 4)
    before = np.asarray(np.median(greys[max(0, gap - _WINDOW) : max(1, gap)], axis=0), np.uint8)
    after = np.asarray(np.median(greys[min(gap + 2, len(greys) - 1) : gap + 2 + _WINDOW], axis=0), np.uint8)
    return min(max(low + split(list(greys[low:high]), before, after, where) - 1, 0), len(greys) - 2)


def _edges(look: Grey) -> npt.NDArray[np.bool_]:
    """bool (2, 180, 320): steps to the right and downwards."""
    grey = look.astype(np.int16)
    out = np.zeros((2, *look.shape), bool)
    out[0, :, :-1] = np.abs(np.diff(grey, axis=1)) >= _EDGE
    out[1, :-1] = np.abs(np.diff(grey, axis=0)) >= _EDGE
    return out


def _differ(greys: npt.NDArray[np.uint8], edges: Flags, before: slice, after: slice) -> Flags:
    """Blocks (9, 16) whose still edges, or still pixels, differ."""
    held_before, held_after = edges[before].mean(axis=0) >= 0.75, edges[after].mean(axis=0) >= 0.75
    either = _blocks((held_before | held_after).sum(axis=0))
    both = _blocks((_near(held_before) & held_after | _near(held_after) & held_before).sum(axis=0))
    by_edges = (either >= _LEAST) & (either - both >= _DIFFERS * either)
    still = (np.ptp(greys[before], axis=0) < _STILL) & (np.ptp(greys[after], axis=0) < _STILL)
    jump = np.abs(np.median(greys[before], axis=0) - np.median(greys[after], axis=0)) >= _CHANGED
    pixels = _blocks(still)
    by_pixels = (pixels >= _BLOCK * _BLOCK / 4) & (_blocks(still & jump) >= _DIFFERS * pixels)
    return np.asarray(by_edges | by_pixels)


def _near(held: Flags) -> Flags:
    """Grown by a pixel, so that an edge between two pixels is found again in either."""
    grown = [cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) for part in held]
    return np.stack(grown).astype(bool)


def _blocks(values: npt.NDArray) -> npt.NDArray[np.float64]:
    """Sums over blocks: (180, 320) -> (9, 16)."""
    height, width = values.shape
    return np.asarray(values.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).sum(axis=(1, 3)), np.float64)
