"""Room behind a person: a wall, a window or a lamp, and some furniture, all blurred."""

from __future__ import annotations

import cv2
import numpy as np

from rmset.synth.arrays import Field, Image, f32
from rmset.synth.identity import Identity


def paint_room(identity: Identity, size: tuple[int, int]) -> Image:
    """Paint the room of a person, (H, W, 3) for `size` (width, height)."""
    rng = np.random.default_rng([identity.texture_seed, 1])
    width, height = 320, 180
    wall = f32(identity.wall)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = 1.08 - 0.3 * y / height + rng.uniform(-0.25, 0.25) * (x / width - 0.5)
    room = wall * slope[..., None]
    for _ in range(int(rng.integers(2, 5))):
        _furnish(room, wall, rng)
    if rng.random() < 0.6:
        _lamp(room, rng)
    room = cv2.GaussianBlur(room, (0, 0), float(rng.uniform(3.5, 7.0)))
    vignette = 1 - 0.28 * (((x / width - 0.5) * 2) ** 2 + ((y / height - 0.5) * 2) ** 2) / 2
    room = np.clip(room * vignette[..., None] * identity.light[0], 0, 255)
    # cover a panel of any shape
    scale = max(size[0] / width, size[1] / height)
    grown = cv2.resize(room, (max(size[0], round(width * scale)), max(size[1], round(height * scale))))
    left, top = (grown.shape[1] - size[0]) // 2, (grown.shape[0] - size[1]) // 2
    return np.ascontiguousarray(grown[top : top + size[1], left : left + size[0]].astype(np.uint8))


def _furnish(room: Field, wall: Field, rng: np.random.Generator) -> None:
    """Draw a shelf, a picture or a door: a rectangle with a few rectangles in it."""
    x0, y0 = int(rng.integers(-20, 280)), int(rng.integers(-20, 130))
    w, h = int(rng.integers(30, 90)), int(rng.integers(30, 120))
    color = wall * rng.uniform(0.35, 1.2) + rng.uniform(-25, 25, 3)
    cv2.rectangle(room, (x0, y0), (x0 + w, y0 + h), color.tolist(), -1)
    for _ in range(int(rng.integers(0, 6))):
        bx, bw = x0 + int(rng.integers(0, w)), int(rng.integers(4, 12))
        by = y0 + h // 2 * int(rng.integers(0, 2))
        book = rng.uniform(30, 220, 3)
        cv2.rectangle(room, (bx, by + 6), (min(bx + bw, x0 + w), by + h // 2 - 2), book.tolist(), -1)


def _lamp(room: Field, rng: np.random.Generator) -> None:
    """Draw a warm light or a cold screen in the background."""
    x, y = int(rng.choice([rng.integers(0, 70), rng.integers(250, 320)])), int(rng.integers(10, 90))
    glow = np.zeros(room.shape[:2], np.float32)
    cv2.circle(glow, (x, y), int(rng.integers(8, 22)), 1.0, -1)
    glow = glow + 2.5 * cv2.GaussianBlur(glow, (0, 0), 18)
    color = f32([255, 214, 150] if rng.random() < 0.6 else [150, 190, 255])
    room += np.clip(glow, 0, 1)[..., None] * (color - room) * 0.8
