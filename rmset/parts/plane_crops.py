"""Crops straight from the planes of a decoded 4:2:0 frame, as planes that a JPEG takes as they are.

Converting a whole 1080p frame to RGB costs as much as all of its crops, and a JPEG would halve the chroma again. So
luma and chroma are cut and resized apart, and range and matrix are converted on the crop:

    Y' = k·(Y − y₀) + a·(Cb − 128) + b·(Cr − 128)        (Cb', Cr') = M₂ · (Cb − 128, Cr − 128) + 128

Gray has no chroma in any matrix, so Y does not enter the second line, which is computed at the chroma's own size.
A stream's chroma lies at the left pixel of each pair (MPEG-2 and later) or between the two (JPEG, full range); a JPEG's
lies between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from rmset.geometry import Box
from rmset.parts.cropping import Crop, cut, window_of
from rmset.parts.frames import Frame, Image
from rmset.parts.grid import Grid
from rmset.parts.pictures import PictureFormat, encoder
from rmset.parts.pixels import is_full_range, plane_of, to_rgb

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Plane = npt.NDArray[np.uint8]
"""uint8 (H, W)"""
Levels = npt.NDArray[np.float32]
"""float32 (H, W), 0 to 255"""

# R'G'B' to the Y'CbCr of a JPEG: BT.601, full range.
_JPEG = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float64
)
# Weights of chroma below this are rounding: the matrix is a JPEG's already.
_NOTHING = 1e-4


@dataclass(frozen=True)
class PlaneCrop:
    """One aspect-normalized face as the planes of a JPEG: BT.601, full range, chroma halved."""

    luma: Plane
    """uint8 (size, size)"""
    chroma: tuple[Plane, Plane]
    """Cb and Cr, each uint8 (⌈size / 2⌉, ⌈size / 2⌉)"""
    padding: float
    """share of the crop, 0 to 1, that lay beyond its bounds and was replicated"""

    @property
    def gray(self) -> Plane:
        """Its brightness: uint8 (size, size)."""
        return self.luma

    def jpeg(self, quality: int) -> bytes:
        """Return it encoded."""
        import simplejpeg

        return bytes(simplejpeg.encode_jpeg_yuv_planes(self.luma, *self.chroma, quality=quality))


class Picture(Protocol):
    """A frame out of which crops are cut."""

    def cut(self, box: Box, bounds: Box, size: int, widen: float) -> Crop | PlaneCrop:
        """Cut a face out and bring it to `size` × `size`; see `rmset.parts.cropping.cut`."""


def picture_of(frame: Frame, form: PictureFormat, grid: Grid | None = None) -> Picture:
    """Return how crops are cut out of a frame that will be encoded so: from its planes where both halve the chroma.

    Args:
        frame: the frame.
        form: encoding of the crops.
        grid: pixels in which windows are rounded; None: those of the frame.
    """
    planes = frame.stored_planes if form == "jpeg" else None
    return PlaneFrame(planes, grid) if planes is not None else ColorFrame(frame.rgb, grid)


def encoded(crop: Crop | PlaneCrop, form: PictureFormat, quality: int) -> bytes:
    """Return a crop as bytes."""
    return crop.jpeg(quality) if isinstance(crop, PlaneCrop) else encoder(form, quality)(crop.image)


class ColorFrame:
    """A frame in RGB, uint8 (H, W, 3), out of which crops are cut."""

    def __init__(self, image: Image, grid: Grid | None = None) -> None:
        self._image, self._grid = image, grid

    def cut(self, box: Box, bounds: Box, size: int, widen: float = 0.31) -> Crop:
        """Cut a face out; see `rmset.parts.cropping.cut`."""
        return cut(self._image, box, bounds, size, widen, self._grid)


class PlaneFrame:
    """A decoded 8-bit 4:2:0 frame out of which crops are cut."""

    def __init__(self, frame: VideoFrame, grid: Grid | None = None) -> None:
        self._grid = grid
        self.size = (frame.width, frame.height)
        self._luma, *self._chroma = (plane_of(frame, i) for i in range(3))
        full = is_full_range(frame)
        self._color = _to_jpeg(int(frame.colorspace), full)
        # where a chroma sample lies in its pair of columns, from the left edge, in columns; its rows lie between
        self._sited = 1.0 if full else 0.5

    def cut(self, box: Box, bounds: Box, size: int, widen: float = 0.31) -> PlaneCrop:
        """Cut a face out and bring it to `size` × `size`; see `rmset.parts.cropping.cut`.

        Raises:
            ValueError: box and bounds share no pixel.
        """
        grid = self._grid
        (x0, y0, x1, y1), inside = window_of(box, bounds, self.size, widen, grid)
        left, top, right, bottom = inside
        part = self._luma[top:bottom, left:right] if grid is None else grid.sample(self._luma, inside)
        borders = (top - y0, y1 - bottom, left - x0, x1 - right)
        if any(borders):
            part = np.asarray(cv2.copyMakeBorder(part, *borders, cv2.BORDER_REPLICATE), dtype=np.uint8)
        how = cv2.INTER_AREA if max(part.shape) > size else cv2.INTER_CUBIC
        luma = np.asarray(cv2.resize(part, (size, size), interpolation=how), dtype=np.uint8)
        whole: Box = (x0, y0, x1, y1) if grid is None else grid.here((x0, y0, x1, y1))
        seen: Box = inside if grid is None else grid.here(inside)
        # samples whose pairs lie within the bounds, if only by one pixel
        low, high = [max(0, floor(v / 2)) for v in seen[:2]], [ceil(v / 2) for v in seen[2:]]
        columns = _Axis((whole[2] - whole[0]) / 2, (whole[0] + 1 - self._sited) / 2 - low[0])
        rows = _Axis((whole[3] - whole[1]) / 2, whole[1] / 2 - low[1])
        half = -(-size // 2)
        span = size / 2
        cb, cr = (
            _sampled(plane[low[1] : high[1], low[0] : high[0]], columns, rows, half, span) for plane in self._chroma
        )
        kept = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
        return PlaneCrop(*self._color.of(luma, cb, cr), padding=1 - kept)


@dataclass(frozen=True)
class _Axis:
    """A run of samples: how many, and where it begins, from the edge of the first sample that may be used."""

    length: float
    start: float

    def halved(self) -> _Axis:
        """Return the same run after pairs of samples have become one."""
        return _Axis(self.length / 2, self.start / 2)


def _sampled(samples: Plane, columns: _Axis, rows: _Axis, size: int, span: float) -> Levels:
    """Return a part of a plane, which may begin between samples, as (size, size) samples; beyond it, it is replicated.

    In floats: several roundings that all go up would be a cast of color.

    Args:
        samples: those that may be used.
        columns: the part, from left to right.
        rows: the part, from top to bottom.
        size: side of the result.
        span: side of the result that the part fills; half a sample less where the crop's side is odd.
    """
    plane = samples.astype(np.float32)
    while min(columns.length, rows.length) >= 4 * span and min(plane.shape) >= 2:
        height, width = plane.shape[0] // 2, plane.shape[1] // 2
        whole = plane[: 2 * height, : 2 * width]
        plane = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)
        columns, rows = columns.halved(), rows.halved()
    # Where more than two samples become one, they are interpolated at twice the size, then averaged.
    finer = 2 if min(columns.length, rows.length) >= 2 * span else 1
    sx, sy = columns.length / (span * finer), rows.length / (span * finer)
    at = np.array([[sx, 0, columns.start + sx / 2 - 0.5], [0, sy, rows.start + sy / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    side = (size * finer, size * finer)
    taken = cv2.warpAffine(plane, at, side, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if finer == 2:
        taken = cv2.resize(taken, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(taken, dtype=np.float32)


@dataclass(frozen=True)
class _Color:
    """From a stream's Y'CbCr to a JPEG's, as weights of single planes: OpenCV adds planes faster than it multiplies."""

    gain: float
    """k"""
    zero: float
    """offset added to k·Y"""
    levels: Plane
    """k·(Y − y₀) for each Y"""
    lean: tuple[float, float]
    """a and b"""
    turn: tuple[tuple[float, float, float], tuple[float, float, float]]
    """M₂ with its offsets"""

    def of(self, luma: Plane, cb: Levels, cr: Levels) -> tuple[Plane, tuple[Plane, Plane]]:
        """Return luma and chroma as a JPEG has them."""
        a, b = self.lean
        if max(abs(a), abs(b)) > _NOTHING:
            # As bytes about 128: floats of the crop's size would take longer than all else.
            added = _weighted(cb, a, cr, b, 128 - 128 * (a + b))
            added = np.asarray(cv2.resize(added, luma.shape, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
            luma = _weighted(luma, self.gain, added, 1.0, self.zero - 128)
        elif self.gain != 1:
            luma = np.asarray(cv2.LUT(luma, self.levels), dtype=np.uint8)
        (m00, m01, u), (m10, m11, v) = self.turn
        return luma, (_weighted(cb, m00, cr, m01, u), _weighted(cb, m10, cr, m11, v))


def _weighted(one: npt.NDArray[Any], weight: float, other: npt.NDArray[Any], share: float, offset: float) -> Plane:
    """Return weight · one + share · other + offset, rounded, 0 to 255."""
    return np.asarray(cv2.addWeighted(one, weight, other, share, offset, dtype=cv2.CV_8U), dtype=np.uint8)


@lru_cache
def _to_jpeg(colorspace: int, full_range: bool) -> _Color:
    rgb = to_rgb(colorspace, full_range).astype(np.float64)
    matrix = _JPEG @ rgb
    gain, a, b, offset = (float(v) for v in matrix[0])
    # The offset holds −k·y₀ and what takes 128 off chroma; the latter goes with chroma.
    zero = offset + 128 * (a + b)
    levels = np.clip(np.round(gain * np.arange(256) + zero), 0, 255).astype(np.uint8)
    cb, cr = ((float(m[1]), float(m[2]), float(m[3]) + 128) for m in matrix[1:])
    return _Color(gain, zero, levels, (a, b), (cb, cr))
