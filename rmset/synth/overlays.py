"""Overlays that editors draw over a mashup: captions, countdowns, stickers, end cards."""

from __future__ import annotations

import cv2
import numpy as np

from rmset.synth.arrays import Image
from rmset.synth.scene import Overlay

_WORDS = ("OH NO", "WAIT FOR IT", "HE DID NOT", "3... 2... 1", "WHAT", "SUBSCRIBE", "LOL", "NO WAY")


def draw(image: Image, overlay: Overlay, frame: int, fps: float) -> None:
    """Draw an overlay into a frame (H, W, 3), in place."""
    x0, y0, x1, y1 = overlay.box
    part = image[y0:y1, x0:x1]
    if overlay.kind == "caption":
        # The text changes every 1.5 seconds.
        _text(part, _WORDS[(overlay.seed + int((frame - overlay.start) / (1.5 * fps))) % len(_WORDS)], 0.7)
    elif overlay.kind == "countdown":
        left = max(0, overlay.end - frame) / fps
        cv2.rectangle(part, (0, 0), (x1 - x0 - 1, y1 - y0 - 1), (16, 16, 16), -1)
        _text(part, f"{left:.0f}", 0.8)
    elif overlay.kind == "sticker":
        _sticker(part, overlay.seed, (frame - overlay.start) / fps)
    else:
        _end_card(part, overlay.seed)


def _text(part: Image, words: str, share: float) -> None:
    height, width = part.shape[:2]
    scale = min(share * height / 22, 0.95 * width / max(1, cv2.getTextSize(words, 0, 1.0, 2)[0][0]))
    (w, h), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, 2)
    at = ((width - w) // 2, (height + h) // 2)
    thick = max(1, round(scale * 1.5))
    cv2.putText(part, words, at, cv2.FONT_HERSHEY_DUPLEX, scale, (0, 0, 0), thick + 4, cv2.LINE_AA)
    cv2.putText(part, words, at, cv2.FONT_HERSHEY_DUPLEX, scale, (255, 244, 120), thick, cv2.LINE_AA)


def _sticker(part: Image, seed: int, seconds: float) -> None:
    """Draw a laughing disc that sways."""
    height, width = part.shape[:2]
    color = tuple(int(v) for v in np.random.default_rng(seed).integers(90, 255, 3))
    middle = (width // 2, height // 2)
    radius = min(width, height) // 2 - 1
    cv2.circle(part, middle, radius, color, -1, cv2.LINE_AA)
    tilt = 15 * float(np.sin(4 * seconds))
    cv2.ellipse(part, middle, (radius * 6 // 10, radius * 6 // 10), tilt, 15, 165, (30, 20, 20), -1, cv2.LINE_AA)


def _end_card(part: Image, seed: int) -> None:
    """Draw still cards that advertise the next video."""
    height, width = part.shape[:2]
    rng = np.random.default_rng(seed)
    part[:] = rng.integers(20, 70, 3).astype(np.uint8)
    for left in (0.06, 0.54):
        x0, x1 = int(width * left), int(width * (left + 0.4))
        y0, y1 = int(height * 0.2), int(height * 0.7)
        ramp = np.linspace(0.4, 1.0, x1 - x0)[None, :, None] * rng.integers(60, 230, 3)
        part[y0:y1, x0:x1] = ramp.astype(np.uint8)
        cv2.rectangle(part, (x0, y0), (x1, y1), (240, 240, 240), max(1, height // 120))
    _text(part[int(height * 0.75) :], "NEXT VIDEO", 0.5)
