"""Layout changes of a mashup, detected in small pictures.

Walls, borders and edges of panels are still as long as the layout is, while films and faces move. So for each gap
between two samples, the still parts of each screen block are compared before and after. A gap is a change if many
blocks differ that seldom differ at other gaps.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.frames import Gray
from rmset.stages.layout.edges import Rect
from rmset.stages.layout.median import median

SMALL = (320, 180)
"""(width, height) of the small pictures, px"""
_BLOCK = 20
# Looks compared on either side of a gap.
_WINDOW = 4
# Gray levels: least step of an edge, range of a still pixel, least change of a still pixel.
_EDGE, _STILL, _CHANGED = 10, 14, 22
# Share of a block's still pixels that must differ, and share of the screen's blocks that must differ.
_DIFFERS, _SCREEN = 0.5, 0.03
_LEAST = 14
"""still edge pixels of a block, below which its edges do not count"""

Flags = npt.NDArray[np.bool_]


def shrunk(image: Gray) -> Gray:
    """Return a frame uint8 (H, W) as a small picture (180, 320)."""
    return np.asarray(cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA), np.uint8)


def in_small(rect: Rect, frame_size: tuple[int, int]) -> Rect:
    """Scale a rectangle of a frame to its small picture, px; `frame_size` is (width, height)."""
    (width, height), (x0, y0, x1, y1) = SMALL, rect
    sx, sy = width / frame_size[0], height / frame_size[1]
    return (round(x0 * sx), round(y0 * sy), round(x1 * sx), round(y1 * sy))


def find(looks: Sequence[Gray]) -> list[tuple[int, Flags]]:
    """Find changes as (gap, changed pixels): gap k lies between looks k and k + 1.

    Args:
        looks: small gray pictures in order of time.

    Returns:
        Gaps in order of time; the flags are bool (180, 320) and cover the blocks that changed.
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
        # Only blocks that seldom change locate the change: a simultaneous cut of the film is left out.
        found.append((gap, np.kron(answers[gap] & (weight > 0), np.ones((_BLOCK, _BLOCK), bool))))
    # Neighboring gaps may move to the same place.
    settled = {_settled(looks, gap, where): where for gap, where in found}
    return sorted(settled.items())


def split(pictures: Sequence[Gray], before: Sequence[Gray], after: Sequence[Gray], where: Flags) -> int:
    """Count the pictures that belong to the looks `before` rather than `after`, at the pixels `where`.

    The side with less motion decides: scenes of a film before a grid of people may resemble neither side.
    """
    if not pictures:
        return 0
    usual_before, usual_after = median(before)[where], median(after)[where]
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


def _distance(looks: Sequence[Gray], usual: npt.NDArray[np.float32], where: Flags) -> npt.NDArray[np.float32]:
    """Mean gray difference (looks,) from the usual picture."""
    return np.asarray([np.abs(look[where] - usual).mean() for look in looks], np.float32)


def around(looks: Sequence[Gray], gap: int) -> tuple[Sequence[Gray], Sequence[Gray]]:
    """Return the looks just before and just after a gap."""
    return looks[max(0, gap - 2) : gap + 1], looks[gap + 1 : gap + 4]


def _settled(looks: Sequence[Gray], gap: int, where: Flags) -> int:
    """Return the gap itself or a neighbor, where `split` separates the looks best."""
    low, high = max(0, gap - 1), min(len(looks), gap + 3)
    before = looks[max(0, gap - _WINDOW) : max(1, gap)]
    after = looks[min(gap + 2, len(looks) - 1) : gap + 2 + _WINDOW]
    return min(max(low + split(looks[low:high], before, after, where) - 1, 0), len(looks) - 2)


def _edges(look: Gray) -> npt.NDArray[np.bool_]:
    """Edge flags, bool (2, 180, 320): gray steps to the right and downwards."""
    gray = look.astype(np.int16)
    out = np.zeros((2, *look.shape), bool)
    out[0, :, :-1] = np.abs(np.diff(gray, axis=1)) >= _EDGE
    out[1, :-1] = np.abs(np.diff(gray, axis=0)) >= _EDGE
    return out


def _differ(grays: npt.NDArray[np.uint8], edges: Flags, before: slice, after: slice) -> Flags:
    """Boolean flags of blocks (9, 16) whose still edges or still pixels differ."""
    held_before, held_after = edges[before].mean(axis=0) >= 0.75, edges[after].mean(axis=0) >= 0.75
    either = _blocks((held_before | held_after).sum(axis=0))
    both = _blocks((_near(held_before) & held_after | _near(held_after) & held_before).sum(axis=0))
    by_edges = (either >= _LEAST) & (either - both >= _DIFFERS * either)
    still = (np.ptp(grays[before], axis=0) < _STILL) & (np.ptp(grays[after], axis=0) < _STILL)
    jump = np.abs(median(grays[before]) - median(grays[after])) >= _CHANGED
    pixels = _blocks(still)
    by_pixels = (pixels >= _BLOCK * _BLOCK / 4) & (_blocks(still & jump) >= _DIFFERS * pixels)
    return np.asarray(by_edges | by_pixels)


def _near(held: Flags) -> Flags:
    """Still edges grown by one pixel, so that an edge between two pixels matches in either."""
    grown = [cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) for part in held]
    return np.stack(grown).astype(bool)


def _blocks(values: npt.NDArray) -> npt.NDArray[np.float64]:
    """Sum over blocks: (180, 320) -> (9, 16)."""
    height, width = values.shape
    return np.asarray(values.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).sum(axis=(1, 3)), np.float64)
