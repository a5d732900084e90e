"""A run explained on a data set: maps by class, as figures and as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from ..datasets.reported import images_of, open_split, open_target
from ..models.weights import load
from ..runs import RunFolder
from .attribution import ClassMap, attributed, chosen, occluded
from .classmaps import class_maps


@dataclass(frozen=True)
class Explained:
    """What was written."""

    rows: list[dict[str, Any]]
    """By kind and class: images, largest value, and where it lies (row and column, as shares of the face)."""
    files: list[Path]
    """Figures, and the maps as .npz."""


def explain_run(
    path: Path, on: str | None, out: Path, *, occlusion: bool, attribution: bool, side: int | None = None,
    per_class: int = 20, eval_rule: str = "majority", progress: Progress = silent,
) -> Explained:  # fmt: skip
    """Maps of a run on a split.

    Raises:
        UsageError: the network judges none of the images right, so that there is nothing to explain.
    """
    folder = RunFolder.open(path)
    model, labels, contract = load(folder.weights)
    data, name = open_target(on or folder.config().data.labeled)
    split = open_split(data, name, eval_rule)
    images = images_of(split, contract)
    rows = chosen(model, labels, contract, split, images, per_class)
    if not any(rows.values()):
        raise UsageError(f"expected images of {split.dataset}:{name} that {path} judges right, found none")
    made: dict[str, list[ClassMap]] = {}
    region = side or max(1, contract.size // 8)
    if occlusion:
        made[f"occlusion of {region}×{region} px"] = occluded(model, labels, contract, images, rows, region, progress)
    if attribution:
        made["integrated gradients"] = attributed(model, labels, contract, images, rows, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    table: list[dict[str, Any]] = []
    for title, maps in made.items():
        stem = out / title.split()[0]
        class_maps(maps, f"{title}, {split.dataset}:{name}", stem.with_suffix(".png"))
        labelled: dict[str, Any] = {m.label: m.values for m in maps}
        np.savez_compressed(stem.with_suffix(".npz"), **labelled)
        files += [stem.with_suffix(".png"), stem.with_suffix(".npz")]
        table += [_row(title, m) for m in maps]
    return Explained(table, files)


def _row(title: str, m: ClassMap) -> dict[str, Any]:
    down, across = np.unravel_index(int(m.values.argmax()), m.values.shape)
    height, width = m.values.shape
    return {
        "kind": title, "class": m.label, "images": m.images, "mean": float(m.values.mean()),
        "largest": float(m.values.max()), "down": round((int(down) + 0.5) / height, 3),
        "across": round((int(across) + 0.5) / width, 3),
    }  # fmt: skip
