"""Draw one person: identity, expression and pose to pixels, with the face's exact box.

    photograph -> person's colors (once) -> lips and lids (each frame) -> one warp to the panel -> over the room

For each pixel of the panel, the warp applies the pose first, then the person's geometry, then the action units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from rmset.synth.apertures import open_eyes, open_mouth
from rmset.synth.arrays import Box, Field, Image, f32, look_up, u8
from rmset.synth.bumps import displacement
from rmset.synth.expressions import UNITS, action_units
from rmset.synth.identity import SHAPES, Identity
from rmset.synth.paint import frown_lines, paint_glasses, paint_person, rested
from rmset.synth.photo import FACE_BOX, FACE_CENTER, FACE_HEIGHT, SCALE, load_photo, to_canvas
from rmset.synth.rooms import paint_room

FACE_SHARE = 0.50
"""height of a face as a share of the panel's height, for a person of scale 1 who sits upright in the middle"""

_CREASE = f32([0.26, 0.34, 0.36])
"""share of red, green and blue that a crease removes: shadow on skin is reddish"""

_STEP = 2.0
_GRID_ORIGIN = (24.0, -60.0)
_GRID_CELLS = (210, 210)
"""coarse grid of the warp: columns, rows, `_STEP` photo pixels apart"""
_FACE_CELLS = (slice(22, 142), slice(58, 146))
"""rows and columns of the grid in which action units move anything"""


@dataclass(frozen=True)
class Pose:
    """Pose of the head, relative to a person who sits upright in the middle."""

    dx: float = 0.0
    """shift to the right, in face heights"""
    dy: float = 0.0
    """shift down, in face heights"""
    roll: float = 0.0
    """tilt in degrees, clockwise"""
    zoom: float = 1.0
    turn: float = 0.0
    """to the side, about -1 to 1"""
    nod: float = 0.0
    """up and down, about -1 to 1"""
    blink: float = 0.0
    """0 eyes as the expression has them, 1 closed"""
    light: float = 1.0
    """factor by which the light of the film brightens the picture"""


@dataclass(frozen=True)
class Rendered:
    """One picture of one person."""

    image: Image
    """(H, W, 3) RGB"""
    box: Box
    """the face as MTCNN would box it, xyxy pixels of the picture; may reach beyond the picture"""


class Person:
    """An identity ready to be drawn, with precomputed textures and warps (about 0.1 s)."""

    def __init__(self, identity: Identity) -> None:
        """Paint the person's textures and measure their geometry."""
        self.identity = identity
        photo = load_photo()
        self._smiling = paint_person(photo, identity)
        self._resting = rested(self._smiling)
        self._frown = frown_lines()
        self._glasses = paint_glasses() if identity.glasses else None
        self._scratch = self._smiling.copy()
        self._style = dict(identity.style)
        grid = _grid_points()
        self._shape = np.zeros_like(grid)
        for trait, strength in identity.shape:
            self._shape -= strength * displacement(SHAPES[trait], grid)
        bent = (grid + self._shape)[_FACE_CELLS]
        self._units = {unit: displacement(bumps, bent) for unit, bumps in UNITS.items()}
        self._rooms: dict[tuple[int, int], Image] = {}

    def render(self, expression: str, intensity: float, pose: Pose, size: tuple[int, int]) -> Rendered:
        """Draw the person.

        Args:
            expression: one of `EXPRESSIONS`.
            intensity: 0 (neutral) to 1.
            pose: pose of the head.
            size: (width, height) of the picture, pixels.
        """
        units = action_units(expression, intensity, self._style)
        units["turn"] = units.get("turn", 0.0) + pose.turn
        units["nod"] = units.get("nod", 0.0) + pose.nod
        texture = self._texture(units, pose.blink)
        warp = self._warp(units)
        placed = self._placement(pose, size)
        at = _panel_maps(f32(cv2.invertAffineTransform(placed)), warp, size)
        layer = u8(look_up(texture, at, cv2.BORDER_CONSTANT))
        image = _over(layer, self._room(size))
        if self._glasses is not None:
            stiff = self._warp({unit: units[unit] for unit in ("turn", "nod")})
            at = _panel_maps(f32(cv2.invertAffineTransform(placed)), stiff, size)
            image = _over(u8(look_up(self._glasses, at, cv2.BORDER_CONSTANT)), image)
        if pose.light != 1.0:
            image = np.asarray(cv2.convertScaleAbs(image, alpha=pose.light), np.uint8)
        stir = max(units.get("jaw_drop", 0.0), units.get("inner_brow_raiser", 0.0))
        return Rendered(image, _box(warp, placed, max(0.0, stir)))

    def _texture(self, units: Mapping[str, float], blink: float) -> Image:
        """Return the texture with lips and lids drawn for these units; valid until the next call."""
        smile = units["smile"]
        out = self._scratch
        cheeks = (slice(200, 360), slice(200, 440))
        base = self._smiling.copy() if smile > 0 else self._resting.copy()
        if 0 < smile < 1:
            base[cheeks] = cv2.addWeighted(self._smiling[cheeks], smile, self._resting[cheeks], 1 - smile, 0)
        creases = units.get("frown_lines", 0.0)
        if creases > 0:
            brow = (slice(170, 230), slice(290, 350))
            dark = 1 - min(1.0, creases) * self._frown[brow][..., None] * _CREASE
            base[brow][..., :3] = (base[brow][..., :3] * dark).astype(np.uint8)
        np.copyto(out, base)
        lids = max(units.get("lids", 0.0), blink)
        open_eyes(base, out, lids, units.get("widen", 0.0) * (1 - blink))
        open_mouth(base, out, smile, units.get("jaw", 0.0), units.get("parted", 0.0))
        return out

    def _warp(self, units: Mapping[str, float]) -> Field:
        """Grid (rows, columns, 2) of offsets from each photo coordinate to the source of the pixel shown there."""
        warp = self._shape.copy()
        face = warp[_FACE_CELLS]
        for unit, weight in units.items():
            if unit in self._units and weight:
                face -= weight * self._units[unit]
        return warp

    def _placement(self, pose: Pose, size: tuple[int, int]) -> Field:
        """Affine matrix (2, 3) from photo coordinates to panel pixels."""
        # a narrow panel must still hold the shoulders' inner half
        face = FACE_SHARE * min(size[1], size[0] * 0.8) * self.identity.scale
        scale = face / FACE_HEIGHT * pose.zoom
        angle = np.deg2rad(pose.roll)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        flip = -1.0 if self.identity.mirror else 1.0
        linear = np.array([[cos * flip, -sin], [sin * flip, cos]])
        # the neck is the pivot: heads tilt about it
        pivot = np.array([FACE_CENTER[0], FACE_CENTER[1] + 90.0])
        upright = np.array([size[0] / 2, size[1] * 0.5 + 90.0 * scale])
        shift = upright + face * np.array([pose.dx, pose.dy]) - linear @ pivot
        return np.asarray(np.column_stack([linear, shift]), np.float32)

    def _room(self, size: tuple[int, int]) -> Image:
        if size not in self._rooms:
            self._rooms[size] = paint_room(self.identity, size)
        return self._rooms[size]


def _grid_points() -> Field:
    """Photo coordinates of the warp's grid, (rows, columns, 2)."""
    columns, rows = _GRID_CELLS
    x = _GRID_ORIGIN[0] + _STEP * np.arange(columns, dtype=np.float32)
    y = _GRID_ORIGIN[1] + _STEP * np.arange(rows, dtype=np.float32)
    return np.asarray(np.stack(np.meshgrid(x, y), axis=-1), np.float32)


def _panel_maps(panel_to_photo: Field, warp: Field, size: tuple[int, int]) -> Field:
    """Canvas coordinates of each pixel of the panel, (H, W, 2), for `cv2.remap`."""
    to_grid = panel_to_photo.astype(np.float64).copy()
    to_grid[:, 2] -= _GRID_ORIGIN
    to_grid /= _STEP
    moves = cv2.warpAffine(warp, to_grid, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                           borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    corner = to_canvas((0.0, 0.0))
    matrix = panel_to_photo * SCALE
    x, y = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)[:, None]
    maps = moves * SCALE
    maps[..., 0] += matrix[0, 0] * x + (matrix[0, 1] * y + (matrix[0, 2] + corner[0]))
    maps[..., 1] += matrix[1, 0] * x + (matrix[1, 1] * y + (matrix[1, 2] + corner[1]))
    return np.asarray(maps, np.float32)


def _over(layer: Image, room: Image) -> Image:
    """Return a layer (H, W, 4) over a picture (H, W, 3)."""
    alpha = cv2.cvtColor(layer[..., 3], cv2.COLOR_GRAY2RGB)
    behind = cv2.multiply(room, cv2.bitwise_not(alpha), scale=1 / 255)
    return np.asarray(cv2.add(np.ascontiguousarray(layer[..., :3]), behind), np.uint8)


def _box(warp: Field, placed: Field, stir: float) -> Box:
    """Box of the face in the panel: the middles of its sides, mapped through warp and pose.

    `stir` is the distance (0 to 1) of jaw or brows from rest: MTCNN's box is then a little larger (measured).
    """
    x0, y0, x1, y1 = FACE_BOX
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    source = f32([[x0, middle[1]], [x1, middle[1]], [middle[0], y0], [middle[0], y1]])
    shown = source.copy()
    # shown + warp(shown) = source, solved by fixed-point iteration; the warp contracts
    for _ in range(8):
        at = (shown - f32(_GRID_ORIGIN)) / _STEP
        moves = f32(look_up(warp, at[None], cv2.BORDER_REPLICATE)[0])
        shown = source - moves
    panel = shown @ placed[:, :2].T + placed[:, 2]
    low, high = panel.min(axis=0), panel.max(axis=0)
    more = 0.035 * stir * float(high[1] - low[1])
    return (float(low[0]) - more, float(low[1]), float(high[0]) + more, float(high[1]) + more)
