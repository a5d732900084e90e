"""Plans of `benchmarks.world`: seeds, worlds, settings and trainings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from fertrain.config.methods import RmferConfig
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from rmset.synth.labeled import SplitSize
from rmset.synth.world import WorldConfig

SEEDS = (1, 2, 3, 4, 5)
"""Seed 0 is not among them: on it rates, sizes and the number of anchors were chosen."""
LABELED = {"train": SplitSize(8, 40), "test": SplitSize(16, 30)}
WORLD = WorldConfig(videos=3, people=6, seconds=16, fps=10, max_delay=0.4, size=48)
SETTINGS = RunConfig(
    method="rmfer",
    data=DataConfig(balanced=True, holdout=0.02),
    model=ModelConfig("resnet10t", image_size=48),
    # one epoch is eight steps
    optim=OptimConfig(epochs=(60, 30, 16), batch_size=32, optimizer="adamw", lr=1e-3),
    rmfer=RmferConfig(tau=1.0, lambda1=1.2, lambda2=1.0, acl_lr=0.3, anchors=4),
    augment="affine",
    workers=0,
)


@dataclass(frozen=True)
class Cell:
    """One training."""

    seed: int
    variant: str
    """`base`, `ial`, `pre`, or one of the plan's"""
    noise: float | None = None
    """of the world learned from; None for trainings that see none"""

    @property
    def key(self) -> str:
        """Name of the training in the results."""
        return f"{self.variant}/{self.seed}" + ("" if self.noise is None else f"/{self.noise:g}")


@dataclass(frozen=True)
class Plan:
    """Worlds, variants and settings of one experiment."""

    name: str
    """Of its results."""
    videos: int
    """Six people each."""
    noise: tuple[float, ...]
    variants: tuple[str, ...]
    """Of L_total, by name in `RULES`."""
    settings: RunConfig = SETTINGS
    """Of the last phase; base and IAL are those of `SETTINGS`, the same for all plans."""

    @property
    def world(self) -> WorldConfig:
        """World of seed 0 in which all people follow the film."""
        return replace(WORLD, videos=self.videos)

    def cells(self) -> list[Cell]:
        """Trainings in order: all seeds of one noise level before the next, so that a part is already a result."""
        found = [Cell(seed, variant) for seed in SEEDS for variant in ("base", "ial", "pre")]
        return found + [Cell(seed, v, noise) for noise in self.noise for seed in SEEDS for v in self.variants]

    def fixed(self) -> dict[str, Any]:
        """Settings fixed beforehand; results with other settings are not mixed in."""
        everything = {
            "settings": asdict(self.settings), "world": asdict(self.world), "noise": self.noise, "seeds": SEEDS,
            "variants": self.variants, "labelled": {k: asdict(v) for k, v in LABELED.items()}, "anchors": ANCHORS,
            "each": EACH,
        }  # fmt: skip
        if self.settings != SETTINGS:
            everything["begun"] = asdict(SETTINGS)
        return dict(json.loads(json.dumps(everything)))


PLANS = {
    p.name: p
    for p in (
        Plan("world", 3, (0.0, 0.1, 0.25, 0.5, 1.0), ("total", "random")),
        Plan(
            "people", 12, (0.0, 1.0),
            ("total", "random-positives", "random", "unrefined", "unrefined-random-positives"),
        ),
        Plan(
            "longer", 12, (0.0, 1.0),
            ("total", "unrefined", "unrefined-random-positives", "unrefined-random"),
            replace(
                SETTINGS, optim=replace(SETTINGS.optim, epochs=(60, 30, 64)),
                rmfer=replace(SETTINGS.rmfer, tau=0.3, acl_lr=1.0),
            ),
        ),
    )
}  # fmt: skip
# as many images pass as after refinement: five of fifty are kept there, five are drawn here
_UNREFINED = {"gamma": 1.0, "max_candidates": 5}
RULES: dict[str, dict[str, Any]] = {
    "total": {},
    "random": {"candidates": "random"},
    "random-positives": {"candidates": "random-positives"},
    "unrefined": _UNREFINED,
    "unrefined-random-positives": {**_UNREFINED, "candidates": "random-positives"},
    "unrefined-random": {**_UNREFINED, "candidates": "random"},
}
"""Settings that distinguish the variants of L_total."""
ANCHORS = 300
EACH = 6
"""faces of each person and expression in a retrieval"""
