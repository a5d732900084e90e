"""Drawing of one mashup frame: background, panels with corners, lines and shadows, title cards."""

from __future__ import annotations

import cv2
import numpy as np

from rmset.synth.arrays import Image, f32
from rmset.synth.layouts import IntBox, PanelLayout


class Screen:
    """The frame being drawn."""

    def __init__(self, layout: PanelLayout) -> None:
        self._layout = layout
        width, height = layout.frame_size
        self.image: Image = np.zeros((height, width, 3), np.uint8)
        self._masks: dict[tuple[int, int], Image] = {}
        self._shade = _shade(layout) if layout.shadow else None

    def clear(self, film: Image) -> None:
        """Paint the background between the panels."""
        if self._layout.background == "blurred":
            # a few pixels, enlarged: a cheap blur
            few = cv2.GaussianBlur(cv2.resize(film, (32, 18), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
            width, height = self._layout.frame_size
            cv2.resize(few // 2 + 12, (width, height), dst=self.image, interpolation=cv2.INTER_CUBIC)
        if self._shade is not None:
            self.image = np.asarray(cv2.multiply(self.image, self._shade, scale=1 / 255), np.uint8)

    def put(self, picture: Image, box: IntBox) -> None:
        """Draw a picture into a box of its size, with the layout's rounded corners and line."""
        x0, y0, x1, y1 = box
        if self._layout.frame:
            picture = picture.copy()
            line = self._layout.frame
            cv2.rectangle(picture, (0, 0), (x1 - x0 - 1, y1 - y0 - 1), (236, 236, 236), 2 * line - 1)
        if not self._layout.corner_radius:
            self.image[y0:y1, x0:x1] = picture
            return
        size = (x1 - x0, y1 - y0)
        if size not in self._masks:
            self._masks[size] = _rounded(size, self._layout.corner_radius)
        mask = self._masks[size]
        behind = cv2.multiply(self.image[y0:y1, x0:x1], 255 - mask, scale=1 / 255)
        self.image[y0:y1, x0:x1] = cv2.add(behind, cv2.multiply(picture, mask, scale=1 / 255))


def placeholder(size: tuple[int, int]) -> Image:
    """Draw the dim card in the panel of a person who has not joined yet, (H, W, 3)."""
    width, height = size
    card = np.full((height, width, 3), (38, 40, 46), np.uint8)
    cv2.circle(card, (width // 2, int(height * 0.42)), height // 8, (62, 65, 74), -1, cv2.LINE_AA)
    cv2.ellipse(card, (width // 2, int(height * 0.8)), (height // 4, height // 5), 0, 180, 360, (62, 65, 74), -1)
    return card


def title_card(size: tuple[int, int], seconds: float, text: str) -> Image:
    """Draw a title that grows slowly over a gradient, (H, W, 3)."""
    width, height = size
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    card = np.repeat(f32([28, 24, 60]) * (1 - ramp) + f32([120, 44, 92]) * ramp, width, axis=1).astype(np.uint8)
    scale = height / 360 * (1 + 0.02 * seconds)
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, 3)
    at = ((width - w) // 2, (height + h) // 2)
    cv2.putText(card, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, (250, 240, 230), max(1, height // 240), cv2.LINE_AA)
    return np.asarray(card, np.uint8)


def _shade(layout: PanelLayout) -> Image:
    """Light left around panels by their shadows, (H, W, 3); 255 is full light."""
    width, height = layout.frame_size
    dark = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1 in (*layout.triggers, *layout.panels.values()):
        dark[y0:y1, x0:x1] = 1
    soft = cv2.GaussianBlur(dark, (0, 0), layout.shadow / 2)
    return np.ascontiguousarray(np.repeat((255 * (1 - 0.65 * soft))[..., None], 3, axis=2).astype(np.uint8))


def _rounded(size: tuple[int, int], radius: int) -> Image:
    """Return a mask (H, W, 3), 255 within a rectangle with round corners."""
    width, height = size
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    dx = np.maximum(radius - np.minimum(x, width - x), 0)
    dy = np.maximum(radius - np.minimum(y, height - y), 0)
    inside = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1) * 255
    return np.ascontiguousarray(np.repeat(inside[..., None], 3, axis=2).astype(np.uint8))
