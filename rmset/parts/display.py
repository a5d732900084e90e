"""Display of decoded pictures: square pixels, one size, mirrored and rotated by the file's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import VideoError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Size = tuple[int, int]
"""(width, height) in pixels"""
Matrix = tuple[int, int, int, int]
"""a, b, c, d of FFmpeg's display matrix: x' = a·x + c·y, y' = b·x + d·y, pixels from the upper left corner"""

# Pixel aspect ratios beyond these are errors in the file.
_SHAPES = (Fraction(1, 4), Fraction(4))
# Relative tolerance of equal aspect ratios.
_SAME_SHAPE = 0.02
# Untagged pictures larger than this are BT.709, as for mpv; others are BT.601.
_SD_WIDTH, _SD_HEIGHT = 1279, 576
_UNTAGGED, _BT709 = 2, 1
_NO_CHROMA = {"gray", "gray10le", "gray12le", "gray16le", "monob", "monow", "ya8", "ya16le"}


@dataclass(frozen=True)
class Turn:
    """One of the eight orientations of a picture: transposed first, then mirrored."""

    transposed: bool = False
    mirrored: bool = False
    """left and right change places"""
    flipped: bool = False
    """above and below change places"""

    @classmethod
    def of(cls, matrix: Matrix) -> Turn:
        """Return the orientation of a display matrix, at any scale.

        Raises:
            VideoError: the rotation is not a multiple of 90°.

        >>> Turn.of((0, 65536, -65536, 0))
        Turn(transposed=True, mirrored=True, flipped=False)
        """
        values = np.array(matrix, np.float64).reshape(2, 2)
        largest = np.abs(values).max()
        signs = np.round(values / largest) if largest > 0 else values
        askew = np.abs(values / largest)[signs == 0].max(initial=0.0) if largest > 0 else 1.0
        straight, across = np.abs(signs) == np.eye(2), np.abs(signs) == np.eye(2)[::-1]
        if askew > 0.02 or not (straight.all() or across.all()):
            raise VideoError(
                "expected a picture that stands upright or is turned by quarters, found one that is to be shown "
                "askew; `ffmpeg -i FILE -c:a copy x.mp4` turns its pixels"
            )
        (a, b), (c, d) = signs.tolist()
        return cls(bool(across.all()), a + c < 0, b + d < 0)

    @property
    def is_mirror(self) -> bool:
        """Whether the picture is mirrored."""
        return self.transposed ^ self.mirrored ^ self.flipped

    @property
    def is_none(self) -> bool:
        """Whether the picture is unchanged."""
        return self == Turn()

    def size(self, stored: Size) -> Size:
        """Return the size of the turned picture."""
        return (stored[1], stored[0]) if self.transposed else stored

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the picture (H, W, …), turned."""
        if self.is_none:
            return image
        turned = image.swapaxes(0, 1) if self.transposed else image
        return np.ascontiguousarray(turned[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1])


def turn_of(raw: VideoFrame) -> Turn:
    """Return the orientation of a decoded frame."""
    data = raw.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Turn()
    values = np.frombuffer(bytes(data), np.int32)  # type: ignore[call-overload]  # a buffer, though typed as an object
    return Turn.of((int(values[0]), int(values[1]), int(values[3]), int(values[4])))


def meant(shape: Fraction | None) -> Fraction:
    """Return a plausible pixel aspect ratio, width by height; 1 if the file gives none."""
    return shape if shape and _SHAPES[0] <= shape <= _SHAPES[1] else Fraction(1)


def squared(size: Size, shape: Fraction | None) -> Size:
    """Return the size in square pixels; like players, it stretches one side and shrinks none.

    Args:
        size: stored.
        shape: width of a pixel by its height; None or 0 where the file does not say.

    >>> squared((480, 360), Fraction(4, 3))
    (640, 360)
    """
    shape = meant(shape)
    width, height = size
    return (round(width * shape), height) if shape > 1 else (width, round(height / shape))


def resized(raw: VideoFrame, size: Size, shape: float = 1) -> VideoFrame:
    """Return a decoded frame at another size, with black bars if the aspect ratio differs.

    Args:
        raw: as decoded.
        size: (width, height) in square pixels.
        shape: width of one of the frame's pixels by its height.
    """
    from av.video.frame import VideoFrame

    width, height = size
    wide = raw.width * shape
    if abs(wide * height / (raw.height * width) - 1) <= _SAME_SHAPE:
        return raw.reformat(width=width, height=height, interpolation="BICUBIC")
    scale = min(width / wide, height / raw.height)
    inner = (max(1, round(wide * scale)), max(1, round(raw.height * scale)))
    image = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = cv2.resize(np.asarray(raw.to_ndarray(format="rgb24")), inner, interpolation=how)
    image[top : top + inner[1], left : left + inner[0]] = part
    return VideoFrame.from_ndarray(image, format="rgb24")


def is_untagged(raw: VideoFrame) -> bool:
    """Whether a picture larger than SD has no color tags."""
    return (
        raw.colorspace == _UNTAGGED
        and (raw.width > _SD_WIDTH or raw.height > _SD_HEIGHT)
        and raw.format.name not in _NO_CHROMA
        and not raw.format.is_rgb
    )


def tag_color(raw: VideoFrame) -> None:
    """Choose the color space of untagged pictures by size, like players: BT.709 if larger than SD."""
    if is_untagged(raw):
        raw.colorspace = _BT709
