"""Paint a person over the photograph: skin, hair, brows, glasses, beard, clothes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rmset.synth.arrays import Field, Image, f32, fixed_point, u8
from rmset.synth.identity import Identity
from rmset.synth.photo import Photo, canvas_size, ellipse_mask, polygon_mask, to_canvas

_BUST = [(183, 166), (192, 180), (208, 188), (224, 190), (240, 188), (250, 180), (256, 166), (268, 186), (304, 200),
         (334, 220), (350, 256), (358, 340), (78, 340), (88, 256), (106, 218), (140, 200), (172, 186)]  # fmt: skip
_COLLAR = [(181, 164), (190, 181), (207, 190), (224, 192), (241, 190), (252, 181), (258, 164)]
_LONG_HAIR = [(160, 60), (152, 110), (150, 170), (156, 226), (182, 238), (192, 190), (196, 120), (254, 120),
              (258, 190), (268, 238), (294, 226), (300, 170), (298, 110), (288, 60)]  # fmt: skip
_BOB = [(158, 70), (152, 120), (156, 160), (176, 170), (190, 150), (196, 110), (252, 110), (260, 150), (274, 172),
        (294, 160), (300, 120), (292, 70)]  # fmt: skip
_BEANIE = [(164, 76), (166, 48), (182, 24), (206, 11), (226, 8), (248, 11), (272, 24), (286, 48), (288, 80),
           (270, 72), (226, 66), (182, 70)]  # fmt: skip
_BROWS = ([(190, 91.0), (199, 88.8), (207, 89.8), (213.5, 92.6)], [(236, 93.8), (244, 91.8), (253, 92.4), (262, 95.6)])
_LIPS = [(204, 140), (215, 138.6), (222, 138.2), (225, 139), (228, 138.2), (236, 138.6), (246, 140), (240, 149),
         (233, 154.5), (225, 156), (217, 154.5), (209, 149)]  # fmt: skip
_BEARD = [(183, 126), (190, 136), (200, 134), (212, 135), (225, 133), (238, 135), (250, 134), (260, 136),
          (268, 126), (266, 150), (254, 170), (240, 180), (224, 183), (208, 180), (194, 168), (184, 150)]  # fmt: skip
_FOLDS = ([(213, 120), (205, 128), (197, 136)], [(237, 121), (245, 129), (252, 138)])
_PHOTO_SKIN = f32([226, 186, 160])


def paint_person(photo: Photo, identity: Identity) -> Image:
    """Return the person as a texture (H, W, 4): RGB times alpha, and alpha; smiling as photographed."""
    rng = np.random.default_rng(identity.texture_seed)
    face = _face(photo, identity, rng)
    layers: list[tuple[Field, Field]] = [_clothes(identity, rng), (face, photo.head)]
    if identity.hair_style in ("long", "bob"):
        outline = _LONG_HAIR if identity.hair_style == "long" else _BOB
        layers.insert(1, (_strands(identity, rng), polygon_mask(outline, 3.0)))
    if identity.hair_style == "beanie":
        layers.append(_beanie(identity, rng))
    width, height = canvas_size()
    out = np.zeros((height, width, 4), np.float32)
    for color, alpha in layers:
        out *= 1 - alpha[..., None]
        out[..., :3] += color * alpha[..., None]
        out[..., 3] += 255 * alpha
    out[..., :3] *= _lighting(identity)
    return np.clip(out, 0, out[..., 3:]).astype(np.uint8)


def rested(texture: Image) -> Image:
    """Soften the smile's folds in the cheeks."""
    soft = np.zeros(texture.shape[:2], np.uint8)
    for fold in _FOLDS:
        cv2.polylines(soft, [to_canvas(fold).astype(np.int32)], False, 255, 13, cv2.LINE_AA)
    weight = cv2.GaussianBlur(soft, (0, 0), 5.0).astype(np.float32)[..., None] / 255
    blurred = cv2.GaussianBlur(texture, (0, 0), 9.0)
    return np.asarray(texture * (1 - 0.92 * weight) + blurred * (0.92 * weight), np.uint8)


def frown_lines() -> Field:
    """Darkness (0 to 1) of the creases between lowered brows, on the canvas."""
    lines = np.zeros(canvas_size()[::-1], np.float32)
    for points in ([(220.5, 86), (221.5, 95)], [(229, 86.5), (228, 96)]):
        cv2.polylines(lines, [fixed_point(to_canvas(points))], False, 1.0, 2, cv2.LINE_AA, 4)
    return np.asarray(np.clip(cv2.GaussianBlur(lines, (0, 0), 2.6) * 1.5, 0, 1), np.float32)


def _face(photo: Photo, identity: Identity, rng: np.random.Generator) -> Field:
    """Return the photograph in this person's colors, (H, W, 3) 0 to 255."""
    rgb = photo.rgb.astype(np.float32)
    tone = f32(identity.skin) / _PHOTO_SKIN
    # dark skin keeps its highlights and loses contrast in its shadows: gamma a little under 1
    skin = 255 * (rgb / 255) ** (1.0 + 0.25 * (1 - tone.mean())) * tone
    lips = polygon_mask(_LIPS, 1.5)[..., None] * identity.lips
    skin *= 1 - lips * f32([0.08, 0.42, 0.36])
    out = _dyed(rgb, identity.hair)
    out += photo.skin[..., None] * (skin - out)
    # darker skin reflects less light onto the whites of eyes and teeth
    whites = rgb * (1 - 0.3 * (1 - min(1.0, float(tone.mean()))))
    out += photo.fixed[..., None] * (whites - out)
    dark = 0.55 * f32(identity.hair) + 0.15 * f32(identity.skin)
    for brow in _BROWS:
        out += _stroke(brow, 1.4 + 2.2 * identity.brows)[..., None] * (0.35 + 0.5 * identity.brows) * (dark - out)
    if identity.beard:
        # beards are darker than hair, and skin shows through
        stubble = 0.5 * f32(identity.hair) + 0.2 * f32(identity.skin)
        grain = 0.75 + 0.5 * _noise(rng, (340, 320), 1.0)
        beard = polygon_mask(_BEARD, 6.0) * (1 - ellipse_mask((225, 146), (21, 8.5), 3.0)) * photo.skin
        out += (beard * np.clip(identity.beard * grain, 0, 0.95))[..., None] * (stubble - out)
    return np.asarray(np.clip(out, 0, 255), np.float32)


def _dyed(rgb: Field, color: tuple[int, int, int]) -> Field:
    """Dye the photographed hair, keeping its light and shade."""
    luminance = np.clip(rgb @ f32([0.299, 0.587, 0.114]) / 118.0, 0.05, 1.6)
    # bright hair shows its strands less than dark hair
    contrast = 0.95 - 0.6 * max(color) / 255
    shine = np.clip(luminance - 1.25, 0, 1)[..., None] * 40
    return np.asarray(f32(color) * (luminance**contrast)[..., None] + shine, np.float32)


def _strands(identity: Identity, rng: np.random.Generator) -> Field:
    """Long hair, (H, W, 3): streaks of light and shade."""
    streaks = _noise(rng, (20, 320), 0.8)
    light = 0.42 + 0.55 * streaks
    light *= np.linspace(1.0, 0.8, light.shape[0], dtype=np.float32)[:, None]
    return np.asarray(f32(identity.hair) * light[..., None], np.float32)


def _clothes(identity: Identity, rng: np.random.Generator) -> tuple[Field, Field]:
    """Plain sweater with a round collar: color and mask."""
    width, height = canvas_size()
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shade = 1.08 - 0.5 * np.abs(x / width - 0.5) ** 1.5 * 2 - 0.18 * (y / height)
    shade = shade * (0.86 + 0.28 * _noise(rng, (14, 10), 2.0)) * (0.97 + 0.06 * _noise(rng, (340, 320), 0.6))
    color = f32(identity.clothes) * shade[..., None]
    collar = _stroke(_COLLAR, 6.0)[..., None]
    color = color * (1 - 0.22 * collar)
    return np.asarray(color, np.float32), polygon_mask(_BUST, 1.2)


def _beanie(identity: Identity, rng: np.random.Generator) -> tuple[Field, Field]:
    """Knitted hat, in the clothes' color with red and blue exchanged: color and mask."""
    width, height = canvas_size()
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shade = 1.1 - 0.45 * ((x / width - 0.5) * 2.6) ** 2
    knit = 0.9 + 0.1 * np.sin(x * 0.9) * (0.6 + 0.4 * np.sin(y * 0.8))
    color = f32(identity.clothes)[::-1] * (shade * knit)[..., None]
    brim = polygon_mask([(162, 80), (163, 58), (182, 52), (226, 48), (270, 54), (288, 62), (289, 84), (270, 74),
                         (226, 67), (182, 72)], 1.0)  # fmt: skip
    color = color * (1 - 0.22 * brim[..., None] * (0.8 + 0.2 * _noise(rng, (340, 320), 0.8))[..., None])
    return np.asarray(color, np.float32), np.maximum(polygon_mask(_BEANIE, 1.2), brim)


def paint_glasses() -> Image:
    """Glasses as a texture (H, W, 4) of their own, because brows move and glasses do not."""
    frame = np.zeros(canvas_size()[::-1], np.float32)
    for center in ((201.5, 102.5), (247.5, 105.0)):
        middle = tuple(int(v) for v in to_canvas(center) * 16)
        cv2.ellipse(frame, middle, (17 * 32, 400), 2, 0, 360, 1.0, 4, cv2.LINE_AA, 4)
    for bar in ([(218.5, 101), (225, 99.5), (230.5, 102)], [(184.5, 100), (178, 97)], [(264.5, 103), (271, 101)]):
        cv2.polylines(frame, [fixed_point(to_canvas(bar))], False, 1.0, 4, cv2.LINE_AA, 4)
    soft = 0.9 * cv2.GaussianBlur(frame, (0, 0), 0.7)[..., None]
    return u8(soft * f32([26, 26, 28, 255]))


def _lighting(identity: Identity) -> Field:
    """Factors of the room's light for the texture, (1, W, 3)."""
    brightness, slope, warmth = identity.light
    x = np.linspace(-1.6, 1.6, canvas_size()[0], dtype=np.float32)[None, :, None]
    return np.asarray(brightness * (1 + slope * np.tanh(x)) * f32([1 + warmth, 1, 1 - warmth]), np.float32)


def _stroke(points: npt.ArrayLike, width: float) -> Field:
    """Return a soft line through photo points, `width` photo pixels wide."""
    line = np.zeros(canvas_size()[::-1], np.float32)
    cv2.polylines(line, [fixed_point(to_canvas(points))], False, 1.0, max(1, round(width * 2)), cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(line, (0, 0), 1.2), np.float32)


def _noise(rng: np.random.Generator, cells: tuple[int, int], soft: float) -> Field:
    """Smooth noise 0 to 1 over the canvas, from a grid of (rows, columns) random values."""
    grid = cv2.GaussianBlur(rng.random(cells, dtype=np.float32), (0, 0), soft)
    grid = (grid - grid.min()) / max(float(np.ptp(grid)), 1e-6)
    return np.asarray(cv2.resize(grid, canvas_size(), interpolation=cv2.INTER_LINEAR), np.float32)
