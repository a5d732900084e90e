"""What a network looks at, class by class: occlusion as in Deep-Emotion, and captum's attribution, averaged.

occlusion     share of the rightly judged images whose prediction a covered region makes wrong
attribution   mean of |gradient · (x − baseline)| along a path (integrated gradients; Sundararajan et al., 2017)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rmset.progress import Progress, silent

from ..contract import InputContract
from ..datasets.images import Images
from ..datasets.labelled import Split
from ..inference import at_test
from ..labels import permutation
from .occlusion import occlusion

Map = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassMap:
    """One class's mean map over its mean face."""

    label: str
    """The class."""
    images: int
    """Images that were averaged: of this class and judged right."""
    face: Map
    """Their mean, grey, (S, S) in [0, 1]; of many people, so of nobody."""
    values: Map
    """(R, R) shares of 0 to 1 for occlusion; (S, S), largest 1, for attribution."""


def chosen(
    model: nn.Module, labels: Sequence[str], contract: InputContract, split: Split, images: Images, most: int
) -> dict[str, list[int]]:
    """For each class up to `most` rows, evenly spaced, that the network judges right."""
    columns = permutation(labels, split.order.classes)
    rows: dict[str, list[int]] = {}
    for k, name in enumerate(split.order.classes):
        own = np.flatnonzero(split.classes == k)
        tried = own[np.unique(np.linspace(0, max(len(own) - 1, 0), min(len(own), 4 * most)).astype(np.int64))]
        right: list[int] = []
        for start in range(0, len(tried), 64):
            part = tried[start : start + 64].tolist()
            with at_test(model):
                said = model(contract.prepare(images.read(part)))[:, columns].argmax(dim=1)
            right += [row for row, answer in zip(part, said.tolist(), strict=True) if answer == k]
        rows[name] = right[:most]
    return rows


def occluded(
    model: nn.Module, labels: Sequence[str], contract: InputContract, images: Images,
    rows: dict[str, list[int]], side: int, progress: Progress = silent,
) -> list[ClassMap]:  # fmt: skip
    """Occlusion maps by class; `rows` has every class of the data set in its order, `side` of a region is in px."""
    columns = permutation(labels, list(rows))
    maps: list[ClassMap] = []
    done, total = 0, sum(map(len, rows.values()))
    for k, (name, own) in enumerate(rows.items()):
        flips = []
        for row in own:
            flips.append(occlusion(model, contract, images.read([row])[0], columns, k, side))
            done += 1
            progress("occlude", done, total)
        if flips:
            maps.append(ClassMap(name, len(own), _mean_face(images, own), np.mean(flips, axis=0)))
    return maps


def attributed(
    model: nn.Module, labels: Sequence[str], contract: InputContract, images: Images,
    rows: dict[str, list[int]], steps: int = 16, progress: Progress = silent,
) -> list[ClassMap]:  # fmt: skip
    """Integrated gradients by class, from the data set's mean image, `steps` points of the path."""
    from captum.attr import IntegratedGradients

    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        method = IntegratedGradients(model)
        maps: list[ClassMap] = []
        for done, (name, own) in enumerate(rows.items(), start=1):
            total = torch.zeros(contract.size, contract.size, dtype=torch.float64)
            for start in range(0, len(own), 8):
                part = own[start : start + 8]
                x = contract.prepare(images.read(part))
                found = method.attribute(x, target=list(labels).index(name), n_steps=steps, internal_batch_size=64)
                total += found.detach().abs().sum(dim=(0, 1)).double()
            if own:
                values = (total / total.max().clamp_min(1e-12)).numpy()
                maps.append(ClassMap(name, len(own), _mean_face(images, own), values))
            progress("attribute", done, len(rows))
    finally:
        for module, training in modes:
            module.training = training
    return maps


def _mean_face(images: Images, rows: Sequence[int]) -> Map:
    return np.asarray(images.read(rows).double().mean(dim=(0, 1)).numpy() / 255)
