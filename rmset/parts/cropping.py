"""The paper's transform (RMFER, section 3): keep the face's height, widen its width, resize to a square.

A crop that would reach beyond its bounds is padded by replication: never shifted, squeezed, or filled with a
neighbor's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from rmset.geometry import Box
from rmset.layout_record import Layout
from rmset.parts.frames import Gray, Image
from rmset.parts.grid import Grid, Window


def widened(box: Box, widen: float = 0.31) -> Box:
    """Return the box with w = w_f + widen · w_f about its center, height kept.

    >>> widened((100, 50, 200, 181), 0.31)
    (84.5, 50, 215.5, 181)
    """
    extra = (box[2] - box[0]) * widen / 2
    return (box[0] - extra, box[1], box[2] + extra, box[3])


@dataclass(frozen=True)
class Crop:
    """One aspect-normalized face in color."""

    image: Image
    """uint8 (size, size, 3) RGB"""
    padding: float
    """share of the crop, 0 to 1, that lay beyond its bounds and was replicated"""

    @property
    def gray(self) -> Gray:
        """Its brightness: uint8 (size, size)."""
        return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@dataclass(frozen=True)
class Bounds:
    """The rectangles that crops never reach beyond."""

    panels: Mapping[tuple[int, int], Box | None]
    """(segment, person) -> panel"""
    frame: Box
    """the whole frame, for a person without a panel"""

    @classmethod
    def in_layout(cls, layout: Layout) -> Bounds:
        """Return the panels of a layout."""
        width, height = layout.frame_size
        panels = {(i, p.person_id): p.panel for i, s in enumerate(layout.segments) for p in s.people}
        return cls(panels, (0.0, 0.0, float(width), float(height)))

    def of(self, segment: int, person_id: int) -> Box:
        """Return the bounds of a person's crops in a segment, xyxy px."""
        return self.panels.get((segment, person_id)) or self.frame


class Seen(Protocol):
    """A crop in color or in planes, as far as it is measured."""

    @property
    def gray(self) -> Gray:
        """Its brightness: uint8 (size, size)."""

    @property
    def padding(self) -> float:
        """Share of it, 0 to 1, that lay beyond its bounds."""


@dataclass(frozen=True)
class EncodedCrop:
    """One crop as it is stored, with what was measured on its pixels."""

    data: bytes
    sharpness: float
    """variance of the Laplacian, gray levels²"""
    brightness: float
    """mean gray value, 0 (black) to 1 (white)"""
    padding: float
    """share of the crop, 0 to 1, that lay beyond its bounds"""

    @classmethod
    def of(cls, crop: Seen, data: bytes) -> EncodedCrop:
        """Measure a crop that was encoded as `data`."""
        return cls(data, *quality(crop.gray), crop.padding)


def windows(box: Box, bounds: Box, frame_size: tuple[int, int], widen: float = 0.31) -> tuple[Window, Window] | None:
    """Return the rectangle of the crop and its part within the bounds; None if that is empty.

    Args:
        box: the face, xyxy px; it may reach beyond `bounds`.
        bounds: the person's panel, or the whole frame.
        frame_size: (width, height), px.
        widen: Δw / w_f.
    """
    x0, y0, x1, y1 = (round(v) for v in widened(box, widen))
    left, top = max(0, round(bounds[0])), max(0, round(bounds[1]))
    right, bottom = min(frame_size[0], round(bounds[2])), min(frame_size[1], round(bounds[3]))
    inside = (max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return None
    return (x0, y0, x1, y1), inside


def window_of(
    box: Box, bounds: Box, frame_size: tuple[int, int], widen: float, grid: Grid | None
) -> tuple[Window, Window]:
    """Return the rectangle of the crop and its part within the bounds, in pixels of the frame or of the grid.

    Raises:
        ValueError: box and bounds share no pixel.
    """
    if grid is None:
        found = windows(box, bounds, frame_size, widen)
    else:
        found = windows(grid.box(box), grid.box(bounds), (grid.width, grid.height), widen)
    if found is None:
        raise ValueError(f"expected a face that shares a pixel with its bounds {bounds}, found {box}")
    return found


def cut(image: Image, box: Box, bounds: Box, size: int, widen: float = 0.31, grid: Grid | None = None) -> Crop:
    """Crop a face from a frame and resize it to `size` × `size`.

    Args:
        image: the frame, uint8 (H, W, 3) RGB.
        box: the face, xyxy px; it may reach beyond `bounds`, but must share at least a pixel with it.
        bounds: the person's panel, or the whole frame.
        size: side of the result, px.
        widen: Δw / w_f.
        grid: pixels in which the window is rounded; None: those of the frame.

    Raises:
        ValueError: box and bounds share no pixel.
    """
    (x0, y0, x1, y1), inside = window_of(box, bounds, (image.shape[1], image.shape[0]), widen, grid)
    left, top, right, bottom = inside
    part = image[top:bottom, left:right] if grid is None else grid.sample(image, inside)
    borders = (top - y0, y1 - bottom, left - x0, x1 - right)
    if any(borders):
        part = np.asarray(cv2.copyMakeBorder(part, *borders, cv2.BORDER_REPLICATE), dtype=np.uint8)
    shrinks = part.shape[0] > size or part.shape[1] > size
    # Area averaging avoids aliasing when shrinking, but is blocky when enlarging.
    resized = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    kept = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
    return Crop(np.asarray(resized, dtype=np.uint8), 1 - kept)


def quality(gray: Gray) -> tuple[float, float]:
    """Sharpness and brightness of a crop, uint8 (H, W).

    Sharpness is the variance of the Laplacian, higher is sharper; brightness is the mean gray value, 0 (black) to 1
    (white).
    """
    # 16 bits hold every Laplacian of 8-bit pixels (4 · 255 either way) and sum faster than floats.
    edges = cv2.Laplacian(gray, cv2.CV_16S)
    mean = cv2.sumElems(edges)[0] / gray.size
    # Twice as fast as `meanStdDev`, and as exact: the sums are of whole numbers.
    return cv2.norm(edges, cv2.NORM_L2SQR) / gray.size - mean**2, float(cv2.mean(gray)[0]) / 255


def yaw(landmarks: np.ndarray) -> float:
    """Head yaw from landmarks (5, 2): 0 frontal, about ±1 profile, positive toward the right.

    Twice the distance of the nose from the middle of the eyes, along the line between the eyes, in eye distances. NaN
    if landmarks are unknown.
    """
    eyes = landmarks[1] - landmarks[0]
    length = float(np.hypot(*eyes))
    if length < 1e-6:
        return 0.0
    offset = landmarks[2] - (landmarks[0] + landmarks[1]) / 2
    return float(np.clip(2 * np.dot(offset, eyes) / length**2, -1, 1))


def crop_row(
    crop: EncodedCrop,
    size: int,
    suffix: str,
    *,
    video_id: str,
    person_id: int,
    segment: int,
    frame_idx: int,
    time_ms: float,
    landmarks: np.ndarray,
) -> dict[str, Any]:
    """Return a crop as a row of `rmset.schema.crops()`, without `encoded_size`, which the writer counts.

    Args:
        crop: encoded pixels and their measures.
        size: side of the crop, px.
        suffix: suffix of the picture's name, as `jpg`.
        video_id: id of the video.
        person_id: id of the person.
        segment: segment of the layout.
        frame_idx: frame of the source.
        time_ms: time since the start of the video.
        landmarks: (5, 2) px; NaN if unknown.
    """
    return {
        "video_id": video_id,
        "person_id": person_id,
        "segment": segment,
        "frame_idx": frame_idx,
        "time_ms": time_ms,
        "width": size,
        "height": size,
        "image": {"bytes": crop.data, "path": f"{video_id}/{person_id:03d}/{frame_idx:07d}.{suffix}"},
        "sharpness": crop.sharpness,
        "brightness": crop.brightness,
        "yaw": yaw(landmarks),
        "padding": crop.padding,
    }
