"""Identities: all traits of a generated person, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from rmset.synth.bumps import Bump, both

Color = tuple[int, int, int]

SHAPES: dict[str, tuple[Bump, ...]] = {
    "face_width": (Bump((224.5, 125), (46, 46), stretch=(0.13, 0)),),
    "face_length": (Bump((224.5, 140), (60, 48), stretch=(0, 0.13)),),
    "jaw_width": (Bump((224.5, 162), (44, 20), stretch=(0.17, 0)),),
    "chin_length": (Bump((224.5, 176), (24, 16), (0, 6.0)),),
    "cheeks": both(Bump((194, 132), (13, 16), (-3.6, 0))),
    "eye_size": both(Bump((201.5, 101), (13, 8), stretch=(0.20, 0.26))),
    "eye_distance": both(Bump((201.5, 99), (15, 13), (-4.0, 0))),
    "eye_tilt": both(Bump((192, 100), (7, 7), (0, -3.0)), Bump((212, 101.5), (6, 6), (0, 1.5))),
    "brow_height": both(Bump((201, 90), (14, 6), (0, -3.4))),
    "nose_width": (Bump((224.5, 126), (15, 9), stretch=(0.34, 0)),),
    "nose_length": (Bump((224.5, 128), (12, 10), (0, 5.0)),),
    "mouth_width": (Bump((225, 145), (22, 9), stretch=(0.20, 0)),),
    "mouth_height": (Bump((225, 146), (24, 10), (0, 3.4)),),
    "lips": (Bump((225, 146), (17, 8), stretch=(0, 0.22)),),
    "hair_width": both(Bump((158, 85), (18, 45), (-11.0, 0))),
    "hair_top": (Bump((225, 25), (75, 24), (0, -11.0)),),
    "hairline": (Bump((225, 78), (50, 9), (0, -5.0)),),
}
"""trait -> its moves at full strength; a person has each between -1 and 1"""

SKIN_TONES: tuple[Color, ...] = (
    (232, 192, 168), (120, 80, 58), (224, 180, 148), (198, 148, 112), (88, 58, 44), (226, 184, 160),
    (164, 114, 82), (212, 166, 136),
)  # fmt: skip
HAIR_COLORS: tuple[Color, ...] = (
    (42, 34, 32), (92, 62, 42), (206, 172, 112), (150, 74, 38), (62, 44, 34), (172, 168, 164), (122, 88, 56),
    (30, 28, 34), (96, 52, 110),
)  # fmt: skip
CLOTHES: tuple[Color, ...] = (
    (52, 78, 122), (148, 52, 52), (66, 102, 76), (188, 178, 160), (58, 56, 64), (206, 158, 70), (112, 84, 132),
    (70, 132, 140),
)  # fmt: skip
WALLS: tuple[Color, ...] = (
    (196, 188, 174), (92, 112, 134), (164, 182, 168), (124, 96, 88), (70, 72, 92), (208, 196, 200),
    (150, 164, 188), (110, 124, 104),
)  # fmt: skip
HAIR_STYLES = ("short", "long", "bob", "beanie")


@dataclass(frozen=True)
class Identity:
    """One person. Equal identities are drawn the same, to the last pixel."""

    name: str
    """cast and number, such as `train-003`"""
    shape: tuple[tuple[str, float], ...]
    """trait of `SHAPES` and its strength, -1 to 1"""
    style: tuple[tuple[str, float], ...]
    """action unit and this person's factor for it, about 1"""
    skin: Color
    hair: Color
    hair_style: str
    clothes: Color
    wall: Color
    mirror: bool
    brows: float
    """heaviness of the eyebrows, 0 to 1"""
    lips: float
    """redness of the lips, -0.5 to 1"""
    glasses: bool
    beard: float
    """0 none to 1 full"""
    light: tuple[float, float, float]
    """brightness, left-right slope, warmth; the photograph has 1, 0, 0"""
    scale: float
    """size in the panel; 1 is a face of about half the panel's height"""
    texture_seed: int
    """seed of furniture, strands of hair and other texture"""


def cast(name: str, count: int, seed: int) -> tuple[Identity, ...]:
    """Draw `count` different people.

    Casts of different names share no person, for any seeds: so `train`, `valid`, `test` and mashups have no
    person in common. Colors are dealt from shuffled decks, so that a small cast is varied.
    """
    dealers, people = np.random.default_rng([seed, crc32(name.encode())]).spawn(2)
    sizes = {
        "skin": len(SKIN_TONES),
        "hair": len(HAIR_COLORS),
        "style": len(HAIR_STYLES),
        "clothes": len(CLOTHES),
        "wall": len(WALLS),
    }
    # each deck and each person has its own generator, so that a larger cast begins with the smaller one
    decks = {key: _deal(rng, sizes[key], count) for key, rng in zip(sizes, dealers.spawn(len(sizes)), strict=True)}
    return tuple(
        _draw(f"{name}-{i:03d}", {key: int(deck[i]) for key, deck in decks.items()}, rng)
        for i, rng in enumerate(people.spawn(count))
    )


def _deal(rng: np.random.Generator, cards: int, count: int) -> np.ndarray:
    """Deal indices of cards, (count,): every card once before any repeats."""
    return np.concatenate([rng.permutation(cards) for _ in range(-(-count // cards) or 1)])


def _draw(name: str, cards: dict[str, int], rng: np.random.Generator) -> Identity:
    style = HAIR_STYLES[cards["style"]]
    shape = {trait: float(rng.uniform(-1, 1)) for trait in SHAPES}
    if style == "short":
        shape["hair_width"], shape["hair_top"] = float(rng.uniform(-1.6, -0.9)), float(rng.uniform(-0.9, 0.4))
    if style == "beanie":
        shape["hair_width"] = float(rng.uniform(-1.5, -0.8))
    units = ("smile", "lip_corner_depressor", "inner_brow_raiser", "outer_brow_raiser", "brow_lowerer", "jaw",
             "lip_tightener", "nose_wrinkler", "upper_lip_raiser", "lip_stretcher", "widen")  # fmt: skip
    return Identity(
        name=name,
        shape=tuple(shape.items()),
        style=tuple((unit, float(rng.uniform(0.8, 1.2))) for unit in units),
        skin=_near(rng, SKIN_TONES[cards["skin"]], 8),
        hair=_near(rng, HAIR_COLORS[cards["hair"]], 10),
        hair_style=style,
        clothes=_near(rng, CLOTHES[cards["clothes"]], 20),
        wall=_near(rng, WALLS[cards["wall"]], 16),
        mirror=bool(rng.random() < 0.5),
        brows=float(rng.uniform(0.25, 1.0)),
        lips=float(rng.uniform(-0.4, 0.5)),
        glasses=bool(rng.random() < 0.25),
        beard=float(rng.uniform(0.45, 0.9)) if style in ("short", "beanie") and rng.random() < 0.5 else 0.0,
        light=(float(rng.uniform(0.86, 1.08)), float(rng.uniform(-0.22, 0.22)), float(rng.uniform(-0.03, 0.05))),
        scale=float(rng.uniform(0.88, 1.12)),
        texture_seed=int(rng.integers(2**31)),
    )


def _near(rng: np.random.Generator, color: Color, spread: int) -> Color:
    """Return a random color near `color`."""
    r, g, b = (int(np.clip(c + rng.integers(-spread, spread + 1), 8, 250)) for c in color)
    return (r, g, b)
