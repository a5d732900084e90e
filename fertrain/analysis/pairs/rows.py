"""Tables of agreement between anchors and candidates: by kind, by distance in time, by pair of people."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...unlabeled.crops import Crops
from ...unlabeled.ground_truth import GroundTruth
from .delays import PairLag
from .purity import Chosen, Purity, by_distance, by_pair, purity

Labels = npt.NDArray[np.int64]


def kind_rows(
    kinds: dict[str, list[Chosen]], shown: Labels, known: GroundTruth | None, crops: Crops
) -> list[dict[str, Any]]:
    rows = []
    video, person = np.asarray(crops.keys.video), np.asarray(crops.keys.person)
    for note, found in kinds.items():
        seen = purity(found, shown, video, person)
        true = None if known is None else purity(found, known.expression, video, person)
        for kind in ("P", "P_imp", "N", "N_imp"):
            if note and kind.startswith("N"):
                continue  # the anchor's own faces do not change
            agree, chance = _agreement(seen, kind)
            truly, by_chance = (None, None) if true is None else _agreement(true, kind)
            rows.append({
                "candidates": kind + note, "anchors": len(found), "agree": agree, "chance": chance,
                "true_agree": truly, "true_chance": by_chance,
            })  # fmt: skip
    return rows


def _agreement(found: Purity, kind: str) -> tuple[float, float]:
    """Share of a kind's candidates that show what the anchor shows, and what chance gives."""
    if kind.startswith("P"):
        return (found.p_imp if kind == "P_imp" else found.p), found.p_chance
    return 1 - (found.n_imp if kind == "N_imp" else found.n), 1 - found.n_chance


def distance_rows(
    found: list[Chosen], apart: list[tuple[list[int], int]], shown: Labels, known: GroundTruth | None, crops: Crops,
    d_far: int, max_lag: int,
) -> list[dict[str, Any]]:  # fmt: skip
    step = crops.keys.frame / crops.stride
    none = np.empty(0, np.int64)
    wide = [Chosen(rows[0], np.array(rows[1 : 1 + p]), none, none, none) for rows, p in apart]
    far = [d_far]
    while far[-1] < np.ptp(step):
        far.append(max(1, far[-1] * 2))
    near = [0.0, *(k + 0.5 for k in range(max_lag + 1))]
    rows = []
    for who, kind, some, edges in (
        ("others", "positives", wide, near), ("others, kept", "positives_imp", found, near),
        ("same person", "negatives", found, far), ("same person, kept", "negatives_imp", found, far),
    ):  # fmt: skip
        bins = by_distance(some, kind, shown, step, edges)
        true = by_distance(some, kind, known.expression, step, edges) if known is not None else [None] * len(bins)
        for b, t in zip(bins, true, strict=True):
            if b.pairs:
                whole = kind.startswith("positives")
                rows.append({
                    "who": who, "from": int(np.ceil(b.low)) if whole else b.low,
                    "to": int(b.high) if whole else b.high, "pairs": b.pairs, "agree": b.agree,
                    "true_agree": None if t is None else t.agree,
                })  # fmt: skip
    return rows


def pair_rows(
    found: list[Chosen], shown: Labels, lags: dict[str, list[PairLag]], known: GroundTruth | None, crops: Crops
) -> list[dict[str, Any]]:
    keys = crops.keys
    shares = by_pair(found, shown, np.asarray(keys.video), np.asarray(keys.person))
    places = {name: keys.video_ids.index(name) for name in lags}
    rows = []
    for video, pairs in lags.items():
        for q in pairs:
            share = shares.get((places[video], q.a, q.b))
            true = None if known is None else (known.delays.get((video, q.a)), known.delays.get((video, q.b)))
            rows.append({
                "video": video, "a": q.a, "b": q.b, "pairs": share.pairs if share else 0,
                "agree": share.agree if share else None, "lag": number(q.lag), "correlation": number(q.correlation),
                "true_lag": (true[1] - true[0]) / crops.stride
                if true and true[0] is not None and true[1] is not None else None,
            })  # fmt: skip
    return rows


def number(value: float) -> float | None:
    return None if np.isnan(value) else value
