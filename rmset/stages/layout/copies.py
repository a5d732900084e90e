"""Second copy of the film: smaller, larger or mirrored, over a corner, a person or the background.

    changes of the film from look to look  ->  matched at every place and size of the screen  ->  the best match

Only two copies of the same pictures change alike at the same times; other motion is independent. This holds for the
middle of the film even if its sides are cut off, and even if the copy was not found as a panel. Only detail that is
fine compared with the middle is matched: brightness changes of a film match its blurred background at every place and
size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from rmset.stages.layout.edges import Rect
from rmset.threads import at_once

# Least correlation of two places with the same pictures; other places stay below 0.55, copies are above 0.8.
_SAME = 0.7
# Coarsest detail compared, as a share of the middle's shorter side.
_COARSE = 0.5
# Share of the film's sides that is matched, around its middle: another copy may show no more.
_CORE = 0.45
# Ratio of sizes tried, small enough that the middle still overlaps its copy; then finer steps around the best size.
_STEP, _FINE = 1.12, np.linspace(-0.1, 0.1, 11)
_SMALLEST, _LARGEST = 0.08, 5.0
# Smallest shorter side of a copy, as a share of the screen's.
_LEAST = 0.14
# Fewest looks that show how a picture changes, and most that add information.
_FEWEST, _MOST = 4, 9
# Least share of the middle that no inset covers.
_FREE = 0.4
# Least share of a copy on the screen; otherwise strips of a blurred background match.
_ON_SCREEN = 0.85
# Overlap with the film above which a match is the film itself.
_ITSELF = 0.25

_Pictures = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Copy:
    """A second place of the film."""

    first: tuple[float, float]
    """center of the film, px of the frame"""
    center: tuple[float, float]
    """center of the copy, px of the frame"""
    scale: float
    """size of the copy divided by that of the film"""
    mirrored: bool
    score: float
    """correlation of their changes, at most 1"""

    def of(self, rect: Rect) -> Rect:
        """Map a rectangle of the film to the copy; the result may reach beyond the frame."""
        (ax, ay), (bx, by) = self.first, self.center
        x0, x1 = (bx + (-1 if self.mirrored else 1) * self.scale * (x - ax) for x in (rect[0], rect[2]))
        y0, y1 = (by + self.scale * (y - ay) for y in (rect[1], rect[3]))
        return (round(min(x0, x1)), round(y0), round(max(x0, x1)), round(y1))


def find(looks: npt.NDArray[np.uint8], film: Rect, frame_size: tuple[int, int], over: Sequence[Rect]) -> Copy | None:
    """Find a copy of the film; None if there is none.

    Args:
        looks: small gray pictures of the whole screen, uint8 (N, h, w).
        film: place of the film, px of the frame.
        frame_size: (width, height).
        over: insets over the film, px of the frame.
    """
    if len(looks) < _FEWEST:
        return None
    search = _Search(
        looks[np.linspace(0, len(looks) - 1, min(_MOST, len(looks))).round().astype(int)], film, frame_size, over
    )
    steps = range(int(np.log(_SMALLEST) / np.log(_STEP)), int(np.log(_LARGEST) / np.log(_STEP)) + 1)
    found = search.at_all((_STEP**k, mirrored) for k in steps for mirrored in (False, True))
    if not found:
        return None
    best = max(found, key=lambda c: c.score)
    finer = search.at_all((best.scale * (1 + by), best.mirrored) for by in _FINE)
    best = max([best, *finer], key=lambda c: c.score)
    return best if best.score >= _SAME else None


class _Search:
    """Template matching for the middle of one film."""

    def __init__(
        self, looks: npt.NDArray[np.uint8], film: Rect, frame_size: tuple[int, int], over: Sequence[Rect]
    ) -> None:
        _, height, width = looks.shape
        self._film = film
        self._to_small = (width / frame_size[0], height / frame_size[1])
        self._changes: _Pictures = looks - looks.mean(axis=0, dtype=np.float32)
        self._fine: dict[int, tuple[_Pictures, _Pictures]] = {}
        x0, y0, x1, y1 = self._small(film)
        self._side = min(x1 - x0, y1 - y0) / min(width, height)
        inside = (slice(*_middle(y0, y1)), slice(*_middle(x0, x1)))
        free = np.ones((height, width), np.float32)
        for rect in over:
            a0, b0, a1, b1 = self._small(rect)
            free[int(b0) : int(np.ceil(b1)), int(a0) : int(np.ceil(a1))] = 0
        self._free = free[inside]
        # The surroundings of the middle are needed to separate fine from coarse at its rim.
        self._around = self._changes[:, slice(*_middle(y0, y1, 2 * _CORE)), slice(*_middle(x0, x1, 2 * _CORE))]

    def at_all(self, sizes: Iterable[tuple[float, bool]]) -> list[Copy]:
        """Return what `at` finds for each size, in order."""
        found = at_once(partial(self.at, scale, mirrored) for scale, mirrored in sizes)
        return [copy for copy in found if copy is not None]

    def at(self, scale: float, mirrored: bool) -> Copy | None:
        """Find the best place for a copy of this size."""
        _, height, width = self._changes.shape
        size = (round(self._free.shape[1] * scale), round(self._free.shape[0] * scale))
        if size[0] > width or size[1] > height or self._side * scale < _LEAST:
            return None
        free = (_sized(self._free, size, mirrored) > 0.99).astype(np.float32)
        if free.mean() < _FREE:
            return None
        coarse = max(3, round(_COARSE * min(size)) | 1)
        changes, energy = self._finer_than(coarse)
        alike: _Pictures | float = 0.0
        own = 0.0
        around = (round(self._around.shape[2] * scale), round(self._around.shape[1] * scale))
        left, top = (around[0] - size[0]) // 2, (around[1] - size[1]) // 2
        for picture, screen in zip(self._around, changes, strict=True):
            fine = _fine(_sized(picture, around, mirrored), coarse)
            small = np.ascontiguousarray(fine[top : top + size[1], left : left + size[0]]) * free
            alike = alike + cv2.matchTemplate(screen, small, cv2.TM_CCORR)
            own += float(np.square(small).sum())
        there = np.maximum(cv2.matchTemplate(energy, free, cv2.TM_CCORR), 1.0)
        scores = np.asarray(alike / np.sqrt(there * max(own, 1.0)), np.float32)
        x0, y0, x1, y1 = self._small(self._film)
        itself = np.outer(_shared(scores.shape[0], size[1], y0, y1), _shared(scores.shape[1], size[0], x0, x1))
        scores[itself > _ITSELF] = 0
        inside = np.outer(_within(scores.shape[0], size[1], height), _within(scores.shape[1], size[0], width))
        scores[inside < _ON_SCREEN] = 0
        row, column = np.unravel_index(int(scores.argmax()), scores.shape)
        (sx, sy), film = self._to_small, self._film
        center = ((column + size[0] / 2) / sx, (row + size[1] / 2) / sy)
        first = ((film[0] + film[2]) / 2, (film[1] + film[3]) / 2)
        return Copy(first, center, float(scale), mirrored, float(scores[row, column]))

    def _finer_than(self, coarse: int) -> tuple[_Pictures, _Pictures]:
        """Detail finer than `coarse` px: changes (N, h, w) and their energy (h, w)."""
        if coarse not in self._fine:
            changes = np.stack([_fine(change, coarse) for change in self._changes])
            self._fine[coarse] = changes, np.square(changes).sum(axis=0)
        return self._fine[coarse]

    def _small(self, rect: Rect) -> tuple[float, float, float, float]:
        sx, sy = self._to_small
        return rect[0] * sx, rect[1] * sy, rect[2] * sx, rect[3] * sy


def _fine(picture: _Pictures, coarse: int) -> _Pictures:
    """Subtract the mean around each pixel, over a square with sides of `coarse` px."""
    return np.asarray(picture - cv2.blur(picture, (coarse, coarse)), np.float32)


def _shared(places: int, length: int, start: float, end: float) -> _Pictures:
    """Share (places,) of a window of `length` px, at each place, that lies between `start` and `end`."""
    at = np.arange(places, dtype=np.float32)
    return np.asarray(np.clip(np.minimum(at + length, end) - np.maximum(at, start), 0, None) / length, np.float32)


def _within(places: int, length: int, side: int) -> _Pictures:
    """Share (places,) of a whole copy that is on the screen; its middle of `length` px begins at each place."""
    center = np.arange(places, dtype=np.float32) + length / 2
    half = length / _CORE / 2
    return np.asarray((np.minimum(center + half, side) - np.maximum(center - half, 0)) / (2 * half), np.float32)


def _middle(start: float, end: float, share: float = _CORE) -> tuple[int, int]:
    """Return the middle `share` of a stretch in whole pixels around its center; inside the stretch if below 1."""
    center, half = (start + end) / 2, share * (end - start) / 2
    return round(center - half), max(round(center + half), round(center - half) + 1)


def _sized(picture: _Pictures, size: tuple[int, int], mirrored: bool) -> _Pictures:
    turned = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
    shrinks = size[0] < picture.shape[1]
    return np.asarray(
        cv2.resize(turned, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.float32
    )
