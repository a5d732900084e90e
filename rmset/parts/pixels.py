"""Patches of a frame, resized by area averaging: from an RGB picture, or directly from the planes of a decoded frame.

`IntegralPixels` averages exactly like torch's `interpolate(mode="area")`, so MTCNN on it matches facenet-pytorch to the
digit. The tracker uses `PlanePixels`, which converts only patches to RGB: converting a full 1080p frame costs more than
all patches of its faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.frames import Frame, Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, half-open, inside the frame"""
Patch = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""uint8 or float32 (H, W, 3) RGB, 0 to 255"""


class Pixels(Protocol):
    """Source of patches of a picture."""

    width: int
    height: int

    def patch(self, rect: Rect, size: tuple[int, int]) -> Patch:
        """Return the rectangle, resized to `size` (width, height)."""

    def patches(self, rects: npt.NDArray[np.int64], side: int) -> Patch:
        """Return rectangles (N, 4), N > 0, resized to (N, side, side, 3)."""
        whole = ((x0, y0, x1, y1) for x0, y0, x1, y1 in rects.tolist())
        return cast(Patch, np.stack([self.patch(rect, (side, side)) for rect in whole]))

    def reduced(self, rect: Rect, scale: float) -> Pixels:
        """Return a source for patches of this rectangle at up to `scale` of its resolution."""

    def glance(self, rect: Rect) -> npt.NDArray[np.uint8]:
        """Brightness of the rectangle, (24, 24), to detect motion."""


class IntegralPixels(Pixels):
    """Patches of an RGB picture uint8 (H, W, 3), averaged over whole pixels as torch's adaptive pooling does."""

    def __init__(self, image: Image) -> None:
        self.height, self.width = image.shape[:2]
        # Sums of a frame of 4K fit into int32: 255 · 3840 · 2160 < 2³¹.
        self._sums = cv2.integral(image, sdepth=cv2.CV_32S)

    def patch(self, rect: Rect, size: tuple[int, int]) -> Patch:
        """Return the rectangle, resized to `size` (width, height)."""
        x0, y0, x1, y1 = rect
        left, right = _windows(x0, x1, size[0])
        top, bottom = _windows(y0, y1, size[1])
        upper, lower = self._sums[top], self._sums[bottom]
        total = lower[:, right] - lower[:, left] - upper[:, right] + upper[:, left]
        count = (bottom - top)[:, None] * (right - left)[None, :]
        return np.asarray(total / count[..., None], dtype=np.float32)

    def patches(self, rects: npt.NDArray[np.int64], side: int) -> Patch:
        """Return rectangles (N, 4), N > 0, resized to (N, side, side, 3): all at once."""
        left, right = _windows(rects[:, 0, None], rects[:, 2, None], side)
        top, bottom = _windows(rects[:, 1, None], rects[:, 3, None], side)
        flat, wide = self._sums.reshape(-1, 3), self._sums.shape[1]

        def corner(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
            return np.asarray(flat.take(rows[:, :, None] * wide + columns[:, None], axis=0), np.int32)

        total = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
        count = (bottom - top)[:, :, None] * (right - left)[:, None]
        return np.asarray(total / count[..., None], dtype=np.float32)

    def reduced(self, rect: Rect, scale: float) -> Pixels:  # noqa: ARG002  (the exact averages are all there)
        """Return itself: these patches are exact."""
        return self

    def glance(self, rect: Rect) -> npt.NDArray[np.uint8]:
        """Brightness of the rectangle, (24, 24)."""
        return np.asarray(self.patch(rect, _GLANCE).mean(axis=2), dtype=np.uint8)


def _windows(
    start: int | npt.NDArray[np.int64], stop: int | npt.NDArray[np.int64], parts: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and end of the input pixels averaged by each of `parts` output pixels; ranges may share a pixel."""
    steps, length = np.arange(parts), stop - start
    return start + steps * length // parts, start + -(-(steps + 1) * length // parts)


_GLANCE = (24, 24)
# Above this scale, reducing the picture costs more than it saves.
_WORTH_REDUCING = 0.8


class PlanePixels(Pixels):
    """Patches of a decoded 8-bit 4:2:0 frame, out of its planes; only the patch is converted to RGB."""

    def __init__(self, frame: VideoFrame) -> None:
        self.width, self.height = frame.width, frame.height
        self._y, self._u, self._v = (plane_of(frame, i) for i in range(3))
        self._to_rgb = to_rgb(int(frame.colorspace), is_full_range(frame))

    def patch(self, rect: Rect, size: tuple[int, int]) -> Patch:
        """Return the rectangle, resized to `size` (width, height)."""
        x0, y0, x1, y1 = rect
        half = (x0 // 2, y0 // 2, max((x1 + 1) // 2, x0 // 2 + 1), max((y1 + 1) // 2, y0 // 2 + 1))
        luma = _resized(self._y[y0:y1, x0:x1], size)
        chroma = [_resized(p[half[1] : half[3], half[0] : half[2]], size, smooth=False) for p in (self._u, self._v)]
        return np.asarray(cv2.transform(cv2.merge([luma, *chroma]), self._to_rgb), dtype=np.uint8)

    def reduced(self, rect: Rect, scale: float) -> Pixels:
        """Return a reduced RGB picture of the rectangle, if that saves time."""
        if scale > _WORTH_REDUCING:
            return self
        x0, y0, x1, y1 = rect
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        return ReducedPixels(self, rect, size)

    def glance(self, rect: Rect) -> npt.NDArray[np.uint8]:
        """Brightness of the rectangle, (24, 24), without averaging: a fiftieth of the cost of a patch."""
        x0, y0, x1, y1 = rect
        return _cv_resized(self._y[y0:y1, x0:x1], _GLANCE, cv2.INTER_LINEAR)


class ReducedPixels(Pixels):
    """One rectangle of a picture at lower resolution; coordinates remain those of the picture."""

    def __init__(self, pixels: Pixels, area: Rect, size: tuple[int, int]) -> None:
        self.width, self.height = pixels.width, pixels.height
        self._area, self._size = area, size
        self._image = np.asarray(pixels.patch(area, size), dtype=np.uint8)
        self._scale = (size[0] / (area[2] - area[0]), size[1] / (area[3] - area[1]))

    def patch(self, rect: Rect, size: tuple[int, int]) -> Patch:
        """Return the rectangle, which lies inside the area, resized to `size` (width, height)."""
        (sx, sy), (width, height) = self._scale, self._size
        x0, y0 = (
            min(width - 1, round((rect[0] - self._area[0]) * sx)),
            min(height - 1, round((rect[1] - self._area[1]) * sy)),
        )
        x1, y1 = max(x0 + 1, round((rect[2] - self._area[0]) * sx)), max(y0 + 1, round((rect[3] - self._area[1]) * sy))
        return _resized(self._image[y0:y1, x0:x1], size)

    def reduced(self, rect: Rect, scale: float) -> Pixels:  # noqa: ARG002  (it is small already)
        """Itself."""
        return self

    def glance(self, rect: Rect) -> npt.NDArray[np.uint8]:
        """Brightness of the rectangle, (24, 24)."""
        return np.asarray(self.patch(rect, _GLANCE).mean(axis=2), dtype=np.uint8)


def plane_of(frame: VideoFrame, index: int) -> npt.NDArray[np.uint8]:
    """Return a plane (H, W) without its padding, without a copy."""
    plane = frame.planes[index]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
    return np.asarray(rows[:, : plane.width], dtype=np.uint8)


def is_full_range(frame: VideoFrame) -> bool:
    """Whether black is 0 and white 255, not 16 and 235."""
    return frame.format.name == "yuvj420p" or int(frame.color_range) == _FULL_RANGE


_FULL_RANGE = 2
# FFmpeg's number of a color space -> shares of red and blue in luma: BT.709, FCC, SMPTE 240M, BT.2020.
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}


def to_rgb(colorspace: int, full_range: bool) -> npt.NDArray[np.float32]:
    """Matrix and offset (3, 3 + 1) from Y'CbCr to R'G'B', as in swscale; BT.601 if untagged."""
    red, blue = _LUMA.get(colorspace, (0.299, 0.114))
    green = 1 - red - blue
    y_scale, c_scale, y_zero = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    cb, cr = 2 * (1 - blue) * c_scale, 2 * (1 - red) * c_scale
    matrix = np.array(
        [[y_scale, 0, cr], [y_scale, -cb * blue / green, -cr * red / green], [y_scale, cb, 0]], dtype=np.float64
    )
    offset = -matrix @ np.array([y_zero, 128.0, 128.0])
    return np.hstack([matrix, offset[:, None]]).astype(np.float32)


def _resized(image: npt.NDArray[np.uint8], size: tuple[int, int], *, smooth: bool = True) -> npt.NDArray[np.uint8]:
    """Resize an image approximately by area averaging, in a tenth of the time.

    OpenCV is fast at halving and interpolating, but slow at averaging over fractional areas. So a large image is
    halved, interpolated to twice the target size, and halved again; without `smooth` the last two steps are one
    interpolation, which is enough for color.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    shrink = min(width / size[0], height / size[1])
    if shrink < 1:
        return _cv_resized(image, size, cv2.INTER_LINEAR)
    while shrink >= 4:
        height, width, shrink = height // 2, width // 2, shrink / 2
        image = _cv_resized(image[: 2 * height, : 2 * width], (width, height), cv2.INTER_AREA)
    if not smooth:
        return _cv_resized(image, size, cv2.INTER_LINEAR)
    if shrink >= 2:
        image = _cv_resized(image, (2 * size[0], 2 * size[1]), cv2.INTER_LINEAR)
    return _cv_resized(image, size, cv2.INTER_AREA)


def _cv_resized(image: npt.NDArray[np.uint8], size: tuple[int, int], how: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=how), dtype=np.uint8)


class MaskedPixels(Pixels):
    """A source with some rectangles masked black, also in parts of patches."""

    def __init__(self, pixels: Pixels, removed: Sequence[Rect]) -> None:
        self._pixels, self._removed = pixels, removed
        self.width, self.height = pixels.width, pixels.height

    def patch(self, rect: Rect, size: tuple[int, int]) -> Patch:
        """Return the rectangle, resized to `size` (width, height)."""
        patch = self._pixels.patch(rect, size)
        touched = False
        x0, y0, x1, y1 = rect
        for rx0, ry0, rx1, ry1 in self._removed:
            if rx0 >= x1 or rx1 <= x0 or ry0 >= y1 or ry1 <= y0:
                continue
            if not touched:
                # Copy first: the patch may be a view of the picture.
                patch, touched = patch.copy(), True
            sx, sy = size[0] / (x1 - x0), size[1] / (y1 - y0)
            left, right = max(0, int((rx0 - x0) * sx)), int(np.ceil((rx1 - x0) * sx))
            top, bottom = max(0, int((ry0 - y0) * sy)), int(np.ceil((ry1 - y0) * sy))
            patch[top:bottom, left:right] = 0
        return patch

    def reduced(self, rect: Rect, scale: float) -> Pixels:
        """Return the reduced source, with the same rectangles masked."""
        return MaskedPixels(self._pixels.reduced(rect, scale), self._removed)

    def glance(self, rect: Rect) -> npt.NDArray[np.uint8]:
        """Brightness of the rectangle, (24, 24), without masking: it serves only to detect motion."""
        return self._pixels.glance(rect)


# Largest brightness of what counts as dark, of what counts as black, and what the largest is raised to.
_DARK, _BLACK, _BRIGHT = 48.0, 4.0, 200.0
_BRIGHTEST = 98
"""percentile of pixels taken for the largest brightness"""


class LightenedPixels(Pixels):
    """A dark source with all brightness raised by one factor."""

    def __init__(self, pixels: Pixels, gain: float) -> None:
        self._pixels, self._gain = pixels, gain
        self.width, self.height = pixels.width, pixels.height

    def patch(self, rect: Rect, size: tuple[int, int]) -> Patch:
        """Return the rectangle, resized to `size` (width, height)."""
        lighter = self._pixels.patch(rect, size).astype(np.float32) * np.float32(self._gain)
        return np.asarray(np.minimum(lighter, 255), np.float32)

    def reduced(self, rect: Rect, scale: float) -> Pixels:
        """Return the reduced source, lightened as much."""
        return LightenedPixels(self._pixels.reduced(rect, scale), self._gain)

    def glance(self, rect: Rect) -> npt.NDArray[np.uint8]:
        """Brightness of the rectangle, (24, 24), not lightened: it serves only to detect motion."""
        return self._pixels.glance(rect)


def gain_for(pixels: Pixels, rect: Rect) -> float:
    """Return the factor that makes a rectangle bright enough for the nets: 1 unless it is dark, and not black."""
    small = np.asarray(pixels.patch(rect, _GLANCE), np.float32).max(axis=2)
    brightest = float(np.percentile(small, _BRIGHTEST))
    return _BRIGHT / brightest if _BLACK <= brightest < _DARK else 1.0


def lightened(pixels: Pixels, gain: float) -> Pixels:
    """Return the source with brightness raised by `gain`; itself where that is 1."""
    return pixels if gain == 1 else LightenedPixels(pixels, gain)


def pixels_of(frame: Frame, removed: Sequence[Rect] = ()) -> Pixels:
    """Return the cheapest source of patches of a decoded frame, with trigger regions removed.

    Upright 8-bit 4:2:0 planes are read in place; other formats are converted first.
    """
    raw = frame.planes
    pixels: Pixels = IntegralPixels(frame.rgb) if raw is None else PlanePixels(raw)
    return MaskedPixels(pixels, removed) if removed else pixels
