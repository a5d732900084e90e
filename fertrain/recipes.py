"""Published settings by name. A recipe is a starting point: whatever a command line says beside it wins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .config import DataConfig, ModelConfig, OptimConfig, RunConfig
from .errors import UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """Settings with where they come from and what to expect of them."""

    paper: str
    """Whose settings."""
    command: str
    """How to run them."""
    expects: str
    """Published score, with its rule."""
    config: RunConfig
    """The settings."""


_BASE = RunConfig()

RECIPES: dict[str, Recipe] = {
    "ferplus-vgg13": Recipe(
        paper="Barsoum et al., ICMI 2016",
        command="fertrain supervised --labeled ferplus --recipe ferplus-vgg13",
        expects="84.716 ± 0.239 % on the test split under `majority` (CEL, five runs)",
        config=replace(
            _BASE,
            data=DataConfig(scheme="cel"),
            model=ModelConfig(name="vgg13", image_size=64),
            # the tool's momentum has unit gain, which in PyTorch is dampening
            optim=OptimConfig(
                epochs=(100,), batch_size=32, optimizer="sgd", lr=0.05, momentum=0.9, dampening=0.9,
                weight_decay=0.0, schedule="steps", steps=((20, 0.05), (20, 0.025), (60, 0.005)),
            ),
            augment="affine",
        ),
    ),
    "rmfer": Recipe(
        paper="RMFER, WACV 2024, and its authors' code",
        command="fertrain semi --labeled affectnet --unlabeled rmset --recipe rmfer --weights AFFECTNET.safetensors",
        expects="not reproduced here: RMset was never released",
        config=replace(
            _BASE,
            method="rmfer",
            data=DataConfig(scheme="mv", rule="argmax", balanced=True, unlabeled="rmset"),
            model=ModelConfig(name="tf_efficientnet_b2.ns_jft_in1k", image_size=260),
            optim=OptimConfig(epochs=(20, 30, 15), batch_size=32, optimizer="sam", lr=1e-4, schedule="constant"),
            augment="one-of",
        ),
    ),
}  # fmt: skip


def recipe(name: str) -> Recipe:
    """The recipe of that name."""
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
