"""The agreement study of a FERPlus set, written to a folder: plot, ranking of labels by dispute, contact sheet."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from . import figures
from .datasets.ferplus import FerPlus
from .datasets.images import decode
from .datasets.registry import open_labelled
from .errors import DatasetError
from .labels import ORDERS
from .taggers import Agreement, agreement, dispute, one_against_nine

TAGGERS = tuple(range(1, 11))


@dataclass(frozen=True)
class Study:
    """What was found."""

    agreements: list[Agreement]
    """By number of taggers."""
    human: float
    """Share of single votes that agree with the plurality of the others."""
    human_images: int
    """Images that this is over."""
    files: list[Path]
    """What was written."""
    unreadable: int
    """Images of the sheet that cannot be read; a grey tile stands for each."""


def study(
    name: str, out: Path, *, draws: int = 20, disputed: int = 48, split: str | None = None, seed: int = 0,
    progress: Progress = silent,
) -> Study:  # fmt: skip
    """Resample, rank, draw.

    Raises:
        UsageError: the data set has no votes, or not that split.
    """
    data = open_labelled(name)
    if not isinstance(data, FerPlus):
        raise UsageError(f"expected a data set with votes (kind ferplus), found {name}, which has one label per image")
    table = data.table
    rows = np.arange(len(table.votes)) if split is None else np.flatnonzero(table.splits == split)
    if len(rows) == 0:
        raise UsageError(f"expected votes of the split '{split}', found none; known: train, valid, test")
    votes = table.votes[rows]
    found = []
    for k in TAGGERS:
        found.append(agreement(votes, k, draws, seed))
        progress("resample", k, len(TAGGERS))
    human, images = one_against_nine(votes)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "agreement.png", out / "dispute.csv"]
    figures.agreements(found, files[0])
    bits = dispute(votes)
    order = np.argsort(-bits, kind="stable")
    columns = ORDERS["ferplus-votes"].classes
    with files[1].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", "name", "dispute_bits", *columns])
        for i in order:
            row = rows[i]
            writer.writerow([table.splits[row], table.names[row], f"{bits[i]:.4f}", *table.votes[row].tolist()])
    unreadable = 0
    if disputed:
        files.append(out / "most_disputed.png")
        unreadable = _sheet(data, rows[order], bits[order], disputed, files[-1])
    return Study(found, human, images, files, unreadable)


def _sheet(data: FerPlus, rows: npt.NDArray[np.int64], bits: npt.NDArray[np.float64], most: int, path: Path) -> int:
    """The images that taggers differ most on, as far as they are here; returns how many of them cannot be read."""
    unreadable = 0
    images: list[npt.NDArray[np.uint8]] = []
    captions: list[str] = []
    for row, b in zip(rows, bits, strict=True):
        if len(images) == most:
            break
        name = data.image_of(str(data.table.splits[row]), row)
        v = data.table.votes[row]
        top = np.argsort(-v, kind="stable")[:3]
        said = " ".join(f"{ORDERS['ferplus-votes'].classes[k][:4]} {v[k]}" for k in top if v[k])
        try:
            image = decode(data.source.get(name), name, grey=True)
        except FileNotFoundError:
            continue  # a split whose images are not here has votes all the same
        except DatasetError:
            image, said = np.full((48, 48, 1), 128, np.uint8), "cannot be read"
            unreadable += 1
        images.append(image)
        captions.append(f"{data.table.names[row].removesuffix('.png')}, {b:.1f} bit\n{said}")
    figures.contact_sheet(images, captions, path)
    return unreadable
