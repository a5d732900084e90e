"""Expressions as mixtures of facial action units, after Ekman and Friesen's coding system (FACS, EMFACS).

Each unit is a smooth move of the face. Parting lips and closing lids are not smooth: they uncover or cover something.
Those amounts are separate (`jaw`, `smile`, `lids`, `widen`) and drawn by `apertures`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rmset.synth.bumps import Bump, both

EXPRESSIONS: tuple[str, ...] = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
"""FERPlus's names and order, without contempt"""

UNITS: dict[str, tuple[Bump, ...]] = {
    # undoes the smile of the photograph (weight 1 - smile)
    "rest": (
        *both(Bump((203, 139.0), (10, 8), (3.8, 5.6)), Bump((203, 124), (11, 8), (0, 2.0))),
        Bump((225, 148), (11, 7), (0, -1.8)),
        Bump((225, 147), (16, 6), stretch=(0, 0.22)),
    ),
    "inner_brow_raiser": both(Bump((213, 91), (7.5, 6.5), (0.5, -5.6)), Bump((212, 98), (6, 4), (0, -1.5))),
    "outer_brow_raiser": both(Bump((194, 89), (10, 7), (0, -5.4))),
    "brow_lowerer": both(Bump((213, 91.5), (9, 7), (3.4, 6.0)), Bump((196, 89), (8, 6), (0, 1.0))),
    "cheek_raiser": both(Bump((201, 110), (11, 6), (0, -1.8))),
    "nose_wrinkler": (
        *both(Bump((213, 127), (8, 8), (-0.5, -5.0)), Bump((216, 110), (6, 8), (1.6, -1.5))),
        Bump((225, 122), (10, 9), (0, -2.5), (0, -0.12)),
    ),
    "upper_lip_raiser": (
        *both(Bump((212, 137), (9, 7), (0, -3.4))),
        Bump((225, 149), (18, 6), stretch=(0, 0.12)),
    ),
    "lip_corner_puller": both(Bump((203, 139.5), (10, 8), (-1.5, -2.0))),
    "lip_corner_depressor": (
        *both(Bump((204, 144.5), (11, 9), (-0.8, 6.4)), Bump((204, 130), (7, 9), (0, 1.5))),
        Bump((225, 147), (15, 9), (0, -2.2)),
    ),
    "lip_stretcher": both(Bump((205, 144), (11, 8), (-6.0, 1.8))),
    "lip_funneler": (*both(Bump((206, 144), (12, 10), (6.0, 0.5))), Bump((225, 147), (15, 10), stretch=(0, 0.15))),
    "lip_tightener": (
        *both(Bump((206, 144), (9, 7), (2.6, 0))),
        Bump((225, 147.0), (18, 6.5), stretch=(0, -0.6)),
    ),
    "chin_raiser": (Bump((225, 160), (13, 8), (0, -3.6)),),
    "jaw_drop": (
        Bump((225, 174), (34, 15), (0, 9.0)),
        *both(Bump((207, 146), (8, 12), (0.8, 2.0))),
    ),
    "turn": (Bump((224, 116), (38, 52), (9.0, 0)),),
    "nod": (Bump((224, 116), (46, 42), (0, 8.0)),),
}
"""action unit -> its moves at full strength; `turn` and `nod` move the middle of the face against its outline"""

_MIXTURES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"smile": 1.0, "cheek_raiser": 0.9, "lip_corner_puller": 1.0, "lids": 0.18},
    "surprise": {
        "inner_brow_raiser": 1.0, "outer_brow_raiser": 1.15, "widen": 1.0, "jaw": 1.0, "jaw_drop": 1.0,
        "lip_funneler": 0.75,
    },
    "sadness": {
        "inner_brow_raiser": 1.15, "outer_brow_raiser": -0.55, "lip_corner_depressor": 1.15, "chin_raiser": 0.7,
        "lids": 0.34, "nod": 0.25,
    },
    "anger": {
        "brow_lowerer": 1.3, "outer_brow_raiser": 0.35, "lip_tightener": 1.0, "lids": 0.12, "widen": 0.3,
        "chin_raiser": 0.5, "lip_corner_depressor": 0.25, "frown_lines": 1.0,
    },
    "disgust": {
        "nose_wrinkler": 1.35, "upper_lip_raiser": 1.0, "brow_lowerer": 0.6, "lids": 0.45, "cheek_raiser": 1.4,
        "lip_corner_depressor": 0.45, "frown_lines": 0.5, "parted": 0.4, "chin_raiser": 0.5,
    },
    "fear": {
        "inner_brow_raiser": 1.2, "outer_brow_raiser": 0.15, "brow_lowerer": 0.25, "widen": 1.2,
        "lip_stretcher": 0.85, "lip_corner_depressor": 0.9, "jaw": 0.5, "jaw_drop": 0.35,
    },
}  # fmt: skip

AMOUNTS = ("smile", "jaw", "parted", "lids", "widen", "frown_lines")
"""amounts drawn rather than moved: teeth shown, jaw opened, lips parted, lids closed or widened, creased brow"""


def action_units(expression: str, intensity: float, style: Mapping[str, float] | None = None) -> dict[str, float]:
    """Strength of each unit and amount.

    Args:
        expression: one of `EXPRESSIONS`.
        intensity: 0 (neutral) to 1.
        style: a person's factor for each unit, 1 by default; it makes one expression look different in each person.

    Raises:
        ValueError: an unknown expression.
    """
    if expression not in _MIXTURES:
        raise ValueError(f"expected an expression out of {', '.join(EXPRESSIONS)}, found {expression!r}")
    style = style or {}
    units = {unit: weight * intensity * style.get(unit, 1.0) for unit, weight in _MIXTURES[expression].items()}
    units["smile"] = min(1.0, units.get("smile", 0.0))
    units["rest"] = 1.0 - units["smile"]
    return units
