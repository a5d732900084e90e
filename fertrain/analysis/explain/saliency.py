"""Saliency of a run by class: occlusion (Deep-Emotion, section 4) and integrated gradients, as figures and numbers.

occlusion     share of the correctly classified images that are misclassified when a region is covered
attribution   mean of |gradient · (x − baseline)| along a path (Sundararajan et al., 2017)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from ...datasets.base import Split
from ...datasets.images import Images
from ...datasets.registry import images_of, open_split, open_target
from ...files import whole, write_figure
from ...labels import permutation
from ...models.inference import eval_mode
from ...models.weights import load
from ...run_folder import RunFolder
from ...transforms.input_spec import InputSpec


@dataclass(frozen=True)
class Explained:
    """Saliency by class, and the files written."""

    rows: list[dict[str, Any]]
    """By kind and class: images, largest value, and its position (row and column, as shares of the face)."""
    files: list[Path]
    """Figures, and the maps as .npz."""


def explain_run(
    path: Path, on: str | None, out: Path, *, occlusion: bool, attribution: bool, side: int | None = None,
    per_class: int = 20, eval_rule: str = "majority", progress: Progress = silent,
) -> Explained:  # fmt: skip
    """Write saliency maps of a run on a split.

    Raises:
        UsageError: the network classifies no image correctly, so there is nothing to explain.
    """
    folder = RunFolder.open(path)
    model, labels, spec = load(folder.weights)
    data, name = open_target(on or folder.config().data.labeled)
    split = open_split(data, name, eval_rule)
    images = images_of(split, spec)
    rows = chosen(model, labels, spec, split, images, per_class)
    if not any(rows.values()):
        raise UsageError(f"expected images of {split.dataset}:{name} that {path} classifies correctly, found none")
    made: dict[str, list[ClassMap]] = {}
    region = side or max(1, spec.size // 8)
    if occlusion:
        made[f"occlusion of {region}×{region} px"] = occluded(model, labels, spec, images, rows, region, progress)
    if attribution:
        made["integrated gradients"] = attributed(model, labels, spec, images, rows, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    table: list[dict[str, Any]] = []
    for title, maps in made.items():
        stem = out / title.split()[0]
        write_figure(stem.with_suffix(".png"), class_maps(maps, f"{title}, {split.dataset}:{name}"), dpi=130)
        labeled: dict[str, Any] = {m.label: m.values for m in maps}
        with whole(stem.with_suffix(".npz")) as part, part.open("wb") as file:
            np.savez_compressed(file, **labeled)
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


Map = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassMap:
    """Mean map and mean face of one class."""

    label: str
    """The class."""
    images: int
    """Number of images averaged: those of this class that were classified correctly."""
    face: Map
    """Mean gray image, (S, S) in [0, 1]; an average of many people."""
    values: Map
    """(R, R) shares of 0 to 1 for occlusion; (S, S), largest 1, for attribution."""


def chosen(
    model: nn.Module, labels: Sequence[str], spec: InputSpec, split: Split, images: Images, most: int
) -> dict[str, list[int]]:
    """For each class up to `most` rows, evenly spaced, that the network classifies correctly."""
    columns = permutation(labels, split.order.classes)
    rows: dict[str, list[int]] = {}
    for k, name in enumerate(split.order.classes):
        own = np.flatnonzero(split.classes == k)
        tried = own[np.unique(np.linspace(0, max(len(own) - 1, 0), min(len(own), 4 * most)).astype(np.int64))]
        right: list[int] = []
        for start in range(0, len(tried), 64):
            part = tried[start : start + 64].tolist()
            with eval_mode(model):
                said = model(spec.prepare(images.read(part)))[:, columns].argmax(dim=1)
            right += [row for row, answer in zip(part, said.tolist(), strict=True) if answer == k]
        rows[name] = right[:most]
    return rows


def occluded(
    model: nn.Module, labels: Sequence[str], spec: InputSpec, images: Images,
    rows: dict[str, list[int]], side: int, progress: Progress = silent,
) -> list[ClassMap]:  # fmt: skip
    """Occlusion maps by class; `rows` has every class of the data set in its order, `side` of a region is in px."""
    columns = permutation(labels, list(rows))
    maps: list[ClassMap] = []
    done, total = 0, sum(map(len, rows.values()))
    for k, (name, own) in enumerate(rows.items()):
        flips = []
        for row in own:
            flips.append(occlusion(model, spec, images.read([row])[0], columns, k, side))
            done += 1
            progress("occlude", done, total)
        if flips:
            maps.append(ClassMap(name, len(own), _mean_face(images, own), np.mean(flips, axis=0)))
    return maps


def attributed(
    model: nn.Module, labels: Sequence[str], spec: InputSpec, images: Images,
    rows: dict[str, list[int]], steps: int = 16, progress: Progress = silent,
) -> list[ClassMap]:  # fmt: skip
    """Integrated gradients by class; the path starts at the data set's mean image and has `steps` points."""
    from captum.attr import IntegratedGradients

    with eval_mode(model, gradients=True):
        method = IntegratedGradients(model)
        maps: list[ClassMap] = []
        for done, (name, own) in enumerate(rows.items(), start=1):
            total = torch.zeros(spec.size, spec.size, dtype=torch.float64)
            for start in range(0, len(own), 8):
                part = own[start : start + 8]
                x = spec.prepare(images.read(part))
                found = method.attribute(x, target=list(labels).index(name), n_steps=steps, internal_batch_size=64)
                total += found.detach().abs().sum(dim=(0, 1)).double()
            if own:
                values = (total / total.max().clamp_min(1e-12)).numpy()
                maps.append(ClassMap(name, len(own), _mean_face(images, own), values))
            progress("attribute", done, len(rows))
    return maps


def _mean_face(images: Images, rows: Sequence[int]) -> Map:
    return np.asarray(images.read(rows).double().mean(dim=(0, 1)).numpy() / 255)


def occlusion(
    model: nn.Module, spec: InputSpec, pixels: Tensor, columns: Sequence[int], label: int, side: int
) -> npt.NDArray[np.bool_]:
    """Cover one square region after another; a region matters if covering it makes the prediction wrong.

    Args:
        model: prepared images -> logits.
        spec: what the model expects.
        pixels: one image, uint8 (C, S, S).
        columns: columns of the logits in the order of the data set's classes; other outputs are ignored.
        label: the true class, as an index into `columns`.
        side: side of a region, px; the last ones of a row or column may be smaller.

    Returns:
        (R, R) with R = ⌈S / side⌉: True where the prediction is wrong without the region.
    """
    x = spec.prepare(pixels.unsqueeze(0))
    steps = range(0, spec.size, side)
    covered = x.repeat(len(steps) ** 2, 1, 1, 1)
    for k, (top, left) in enumerate((t, s) for t in steps for s in steps):
        covered[k, :, top : top + side, left : left + side] = 0  # 0 is the data set's mean after normalization
    with eval_mode(model):
        wrong = torch.cat([model(part)[:, list(columns)].argmax(dim=1) != label for part in torch.split(covered, 256)])
    return np.asarray(wrong.cpu().numpy().reshape(len(steps), len(steps)), dtype=np.bool_)


def class_maps(maps: Sequence[ClassMap], title: str) -> Figure:
    """Draw each class's map over its mean face."""
    columns = min(4, max(1, len(maps)))
    rows = max(1, -(-len(maps) // columns))
    figure = Figure(figsize=(2.5 * columns, 2.8 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for cell in axes.flat:
        cell.axis("off")
    for cell, found in zip(axes.flat, maps, strict=False):
        side = found.face.shape[0]
        cell.imshow(found.face, cmap="gray", vmin=0, vmax=1)
        cell.imshow(
            found.values, cmap="inferno", alpha=0.55, vmin=0, vmax=max(float(found.values.max()), 1e-9),
            extent=(-0.5, side - 0.5, side - 0.5, -0.5),
        )  # fmt: skip
        cell.set_title(f"{found.label}, n = {found.images}\nlargest {found.values.max():.2f}", fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
