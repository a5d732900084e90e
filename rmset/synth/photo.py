"""The photograph from which all generated people are made, and masks of its parts.

Coordinates named "photo" are pixels of scikit-image's 512×512 `astronaut()` (NASA, public domain). The working
picture, the *canvas*, is the part of it around the head, enlarged by `SCALE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import RmsetError
from rmset.synth.arrays import Field, Image, Numbers, f32, fixed_point, u8

SCALE = 2.0
"""canvas pixels per photo pixel"""
ORIGIN = (64, -10)
"""photo coordinates of the canvas's upper left corner"""
EXTENT = (320, 340)
"""width and height of the canvas, in photo pixels"""

FACE_BOX = (180.3, 60.7, 268.4, 172.2)
"""the face's box by MTCNN (facenet-pytorch 2.5.3), xyxy photo pixels"""
FACE_CENTER = (224.5, 116.5)
FACE_HEIGHT = 111.5

_FACE = [(184, 118), (184, 96), (187, 76), (200, 80), (214, 82), (228, 81), (240, 82), (252, 86), (265, 92),
         (269, 105), (269, 122), (267, 140), (262, 156), (251, 168), (253, 196), (186, 196), (186, 160),
         (182, 140), (180, 128)]  # fmt: skip
_EARS = [
    [(170, 118), (180, 117), (183, 134), (176, 131)],
    [(268, 129), (281, 126), (277, 134), (267, 138)],
]
_HEAD_SURE = [(184, 45), (225, 26), (265, 45), (280, 75), (268, 110), (262, 150), (245, 172), (245, 180),
              (195, 176), (188, 150), (183, 110), (168, 75)]  # fmt: skip
_EYES = [
    [(193, 101), (196, 98.6), (201.5, 97.2), (207, 98.8), (211, 102.3), (206, 104.2), (201, 104.6), (196, 103.4)],
    [(237.5, 104.6), (242, 100.8), (247, 99.4), (253, 100.8), (257, 103.6), (252, 106.4), (247, 107.6), (241, 106.8)],
]
_TEETH = [(206, 141.6), (215, 143.2), (225, 143.9), (235, 143.2), (243, 141.6), (237, 145.8), (231, 148.4),
          (225, 149.3), (218, 148.4), (212, 145.8)]  # fmt: skip


@dataclass(frozen=True)
class Photo:
    """The canvas and its masks, all (680, 640): head, skin, and parts that keep their color."""

    rgb: Image
    """(H, W, 3); the head's colors continue beyond its outline, so that edges show no fringe"""
    head: Field
    """0 to 1: head with hair and neck against the background"""
    skin: Field
    """skin of the head; the rest of the head is hair"""
    fixed: Field
    """eyes and teeth, which keep their color under every skin tone"""


def to_canvas(points: npt.ArrayLike) -> Field:
    """Photo coordinates (…, 2) to canvas coordinates of pixel centers."""
    return (f32(points) - f32(ORIGIN) + 0.5) * SCALE - 0.5


def canvas_size() -> tuple[int, int]:
    """(width, height) of the canvas in its own pixels."""
    return int(EXTENT[0] * SCALE), int(EXTENT[1] * SCALE)


def polygon_mask(points: npt.ArrayLike, soft: float) -> Field:
    """Return a filled polygon (N, 2) in photo pixels as a canvas mask whose edge is `soft` photo pixels wide."""
    width, height = canvas_size()
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [fixed_point(to_canvas(points))], 255, cv2.LINE_AA, 4)
    return _blurred((1 / 255) * mask.astype(np.float32), soft)


def ellipse_mask(center: tuple[float, float], radii: tuple[float, float], soft: float) -> Field:
    """Return a filled ellipse in photo pixels as a canvas mask."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return polygon_mask(np.stack([center[0] + radii[0] * np.cos(angle), center[1] + radii[1] * np.sin(angle)], 1), soft)


@lru_cache(maxsize=1)
def load_photo() -> Photo:
    """Read the photograph and cut out the head (once per process, about a second).

    Raises:
        RmsetError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise RmsetError(
            "generated people need scikit-image's photograph, which is not installed; pip install 'rmset[demo]'"
        ) from error
    picture = np.ascontiguousarray(data.astronaut())
    head = _cut_out(picture)
    rgb = u8(_on_canvas(_bleed(picture, head), cv2.INTER_CUBIC))
    head = _smoothstep((_blurred(_on_canvas(head, cv2.INTER_LINEAR), 0.9) - 0.35) / 0.5)
    skin = np.maximum.reduce([polygon_mask(p, 1.5) for p in [_FACE, *_EARS]])
    fixed = np.maximum.reduce([*(polygon_mask(eye, 0.7) for eye in _EYES), polygon_mask(_TEETH, 0.7)])
    return Photo(rgb, head, skin, fixed)


def _cut_out(picture: Image) -> Field:
    """Segment the head by GrabCut, seeded with a polygon inside the head; (512, 512), 0 or 1."""
    labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    labels[10:200, 148:306] = cv2.GC_PR_BGD
    cv2.ellipse(labels, (226, 72), (74, 60), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.fillPoly(labels, [np.asarray(_HEAD_SURE, np.int32)], cv2.GC_FGD)
    labels[140:200, 148:184] = cv2.GC_BGD
    labels[142:200, 270:306] = cv2.GC_BGD
    cv2.setRNGSeed(7)
    window = (slice(0, 215), slice(130, 325))
    inside = labels[window].copy()
    cv2.grabCut(np.ascontiguousarray(picture[window]), inside, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 4,
                cv2.GC_INIT_WITH_MASK)  # fmt: skip
    head = np.zeros(picture.shape[:2], np.float32)
    head[window] = (inside == cv2.GC_FGD) | (inside == cv2.GC_PR_FGD)
    head[:, :150] = 0
    return np.asarray(cv2.morphologyEx(head, cv2.MORPH_OPEN, np.ones((3, 3))), np.float32)


def _bleed(picture: Image, head: Field) -> Image:
    """Extend the head's colors beyond its outline, so that the old background does not show through."""
    sure = cv2.erode(head, np.ones((5, 5)))[..., None]
    weight = cv2.GaussianBlur(sure, (0, 0), 3)[..., None]
    carried = cv2.GaussianBlur(picture * sure, (0, 0), 3) / np.maximum(weight, 1e-3)
    return u8(picture * sure + carried * (1 - sure))


def _on_canvas(picture: Numbers, how: int) -> npt.NDArray[np.integer | np.floating]:
    """Enlarge the part of the photo that the canvas shows."""
    shift = to_canvas((0.0, 0.0))
    matrix = f32([[SCALE, 0, shift[0]], [0, SCALE, shift[1]]])
    return cv2.warpAffine(picture, matrix, canvas_size(), flags=how, borderMode=cv2.BORDER_REPLICATE)


def _blurred(mask: npt.NDArray[np.integer | np.floating], soft: float) -> Field:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft * SCALE / 2), np.float32)


def _smoothstep(t: Field) -> Field:
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
