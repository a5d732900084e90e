"""Measured facts of a release, from which its statistics, card and datasheet are written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rmset.release.removals import Removal
from rmset.release.tables import SPLITS

NOT_STATED = "not stated"
_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Facts:
    """What is counted."""

    name: str
    version: str
    seed: int
    split_by: str
    asked: tuple[str, ...]
    """what was asked for by name: titles, persons, pixels, names"""
    videos: int
    left_out: int
    """videos of the root that are not finished"""
    reviewed: int
    """videos whose layout a person has confirmed"""
    hours: float
    frames: int
    people: int
    """people of videos; the same person in two videos counts twice"""
    persons: int | None
    """persons over all videos, by person_key; None if they are not linked"""
    faces: int
    crops: int
    splits: dict[str, dict[str, int]]
    licenses: dict[str, dict[str, int]]
    sizes: dict[str, int]
    """frame size -> videos"""
    rates: dict[str, int]
    """frames per second -> videos"""
    face_height: dict[str, float]
    """percentile -> px"""
    sources: dict[str, int]
    """how boxes came about -> faces"""
    removed: dict[str, int]
    """kind of removal -> how many"""
    configs: dict[str, dict[str, int]]
    """stage -> its settings, JSON -> videos"""

    def to_json(self) -> str:
        """Format as `statistics.json`."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


class Counts:
    """Counts over the videos, one after another, so that memory holds one video's faces."""

    def __init__(self) -> None:
        self.videos: list[dict[str, Any]] = []
        self.people: list[dict[str, Any]] = []
        self.sources: Counter[str] = Counter()
        # Heights in whole px: a histogram is exact enough, and does not grow.
        self._heights = np.zeros(1 << 16, np.int64)

    def add(self, video: dict[str, Any], people: list[dict[str, Any]], faces: pa.Table) -> None:
        """Count one video: its row of `videos.parquet`, its rows of `people.parquet`, its face rows."""
        self.videos.append(video)
        self.people += people
        self.sources.update({e["values"]: e["counts"] for e in pc.value_counts(faces["source"]).to_pylist()})
        height = np.clip(faces["y1"].to_numpy() - faces["y0"].to_numpy(), 0, len(self._heights) - 1)
        self._heights += np.bincount(np.rint(height).astype(np.int64), minlength=len(self._heights))

    def facts(self, removed: list[Removal], **about: Any) -> Facts:
        """Return the facts of all videos counted."""
        by_license: dict[str, Counter[str]] = {}
        for video in self.videos:
            row = by_license.setdefault(video["license"] or NOT_STATED, Counter())
            row.update(videos=1, faces=video["faces"])
        by_split: dict[str, Counter[str]] = {}
        for person in self.people:
            by_split.setdefault(person["split"], Counter()).update(people=1, faces=person["faces"])
        keys = {p["person_key"] for p in self.people if p.get("person_key") is not None}
        single = sum(p.get("person_key") is None for p in self.people)
        below = np.cumsum(self._heights)
        share = {str(p): float(np.searchsorted(below, p / 100 * below[-1])) for p in _PERCENTILES if below[-1]}
        configs: dict[str, Counter[str]] = {name: Counter() for name in ("layout", "track", "export")}
        for video in self.videos:
            for stage, counted in configs.items():
                counted[video[f"{stage}_config"]] += 1
        return Facts(
            videos=len(self.videos),
            reviewed=sum(v["reviewed"] for v in self.videos),
            hours=round(sum(v["duration_s"] for v in self.videos) / 3600, 4),
            frames=sum(v["frame_count"] for v in self.videos),
            people=len(self.people),
            persons=len(keys) + single if keys else None,
            faces=sum(v["faces"] for v in self.videos),
            crops=sum(v["crops"] for v in self.videos),
            splits={name: dict(by_split[name]) for name in SPLITS if name in by_split},
            licenses={name: dict(row) for name, row in sorted(by_license.items())},
            sizes=_counted(f"{v['width']}x{v['height']}" for v in self.videos),
            rates=_counted(f"{v['fps']:.4g}" for v in self.videos),
            face_height=share,
            sources=dict(sorted(self.sources.items())),
            removed=_counted(r.what for r in removed),
            configs={stage: dict(sorted(counted.items())) for stage, counted in configs.items()},
            **about,
        )


def _counted(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
