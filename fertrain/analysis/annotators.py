"""Agreement study of a FERPlus set: how many taggers does a face need, and which images are disputed?

Our definition: k of an image's ten votes are drawn without replacement; their plurality (ties broken by a fair
draw) agrees if it is the plurality of all ten. Images whose ten votes tie for most have no plurality and are left
out. An agreement is the mean over images and draws.

The FERPlus paper reports 46 % with 3 taggers, 67 % with 5 and over 80 % with 7, without defining the measure. Ours
is not fitted to these numbers.

    votes: int (N, 10), columns as in `labels.ORDERS["ferplus-votes"]`, rows sum to about ten
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from ..datasets.ferplus import FerPlus
from ..datasets.images import decode
from ..datasets.registry import open_labeled
from ..datasets.vote_rules import Votes
from ..errors import DatasetError
from ..files import whole, write_figure
from ..labels import ORDERS

TAGGERS = tuple(range(1, 11))
_DPI = 130


@dataclass(frozen=True)
class Study:
    """Agreement by number of taggers, and the files written."""

    agreements: list[Agreement]
    """One entry per number of taggers."""
    human: float
    """Share of single votes that agree with the plurality of the others."""
    human_images: int
    """Images counted in `human`."""
    files: list[Path]
    """Files written."""
    unreadable: int
    """Unreadable images of the sheet; each is drawn as a gray tile."""


def study(
    name: str, out: Path, *, draws: int = 20, disputed: int = 48, split: str | None = None, seed: int = 0,
    progress: Progress = silent,
) -> Study:  # fmt: skip
    """Resample votes, rank images by dispute, draw the figures.

    Raises:
        UsageError: the data set has no votes, or not that split.
    """
    data = open_labeled(name)
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
    write_figure(files[0], agreements(found), dpi=_DPI)
    bits = dispute(votes)
    order = np.argsort(-bits, kind="stable")
    columns = ORDERS["ferplus-votes"].classes
    with whole(files[1]) as part, part.open("w", newline="", encoding="utf-8") as file:
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
    """Draw the most disputed images that are on disk; returns how many of them cannot be read."""
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
            image = decode(data.source.get(name), name, gray=True)
        except FileNotFoundError:
            continue  # votes are known even where the images of a split are missing
        except DatasetError:
            image, said = np.full((48, 48, 1), 128, np.uint8), "cannot be read"
            unreadable += 1
        images.append(image)
        captions.append(f"{data.table.names[row].removesuffix('.png')}, {b:.1f} bit\n{said}")
    write_figure(path, contact_sheet(images, captions), dpi=_DPI)
    return unreadable


PUBLISHED = {3: 0.46, 5: 0.67, 7: 0.80}
"""The paper's numbers by taggers; its definition is not known."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of k taggers with all taggers."""

    taggers: int
    """k."""
    agreement: float
    """Share of draws whose plurality is that of all votes."""
    images: int
    """Images with one plurality and at least k votes."""
    published: float | None
    """The paper's number for k, if it has one."""


def agreement(votes: Votes, taggers: int, draws: int = 20, seed: int = 0) -> Agreement:
    """Draw `taggers` votes of each image, `draws` times, and compare pluralities."""
    usable = votes[_settled(votes) & (votes.sum(axis=1) >= taggers)]
    truth = usable.argmax(axis=1)
    rng = np.random.default_rng([seed, 9, taggers])
    agreed = 0
    for _ in range(draws):
        drawn = _draw(usable, taggers, rng)
        # adding less than one breaks ties fairly and changes nothing else
        agreed += int(((drawn + rng.random(drawn.shape) * 0.5).argmax(axis=1) == truth).sum())
    share = agreed / (draws * len(usable)) if len(usable) else float("nan")
    return Agreement(taggers, share, len(usable), PUBLISHED.get(taggers))


def one_against_nine(votes: Votes) -> tuple[float, int]:
    """Compute the human baseline: one vote against the plurality of the others, over all ways to pick the one.

    Returns:
        Share that agrees, and the number of images counted: those whose remaining votes have one plurality
        whichever vote is left out.
    """
    right, total, images = 0.0, 0.0, 0
    distinct, counts = np.unique(votes, axis=0, return_counts=True)
    for row, n in zip(distinct, counts, strict=True):
        if row.sum() < 2:
            continue
        share, weight = 0.0, 0.0
        for k in np.flatnonzero(row):
            others = row.copy()
            others[k] -= 1
            if (others == others.max()).sum() > 1:
                break
            weight += row[k]
            share += row[k] * (others.argmax() == k)
        else:
            right, total, images = right + n * share / row.sum(), total + n * weight / row.sum(), images + int(n)
    return (right / total if total else float("nan")), images


def dispute(votes: Votes) -> npt.NDArray[np.float64]:
    """Disagreement of taggers: entropy of each image's votes in bits; 0 where all agree. (N, C) -> (N,)."""
    p = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1))


def _settled(votes: Votes) -> npt.NDArray[np.bool_]:
    """Whether one column has strictly the most votes; (N,)."""
    most = votes.max(axis=1, keepdims=True)
    return np.asarray(((votes == most).sum(axis=1) == 1) & (most[:, 0] > 0), dtype=np.bool_)


def _draw(votes: Votes, k: int, rng: np.random.Generator) -> Votes:
    """K votes of each row without replacement: column by column, each hypergeometric given those before."""
    drawn = np.zeros_like(votes)
    left, wanted = votes.sum(axis=1), np.full(len(votes), k)
    for column in range(votes.shape[1]):
        good = votes[:, column]
        drawn[:, column] = rng.hypergeometric(good, left - good, wanted)
        left, wanted = left - good, wanted - drawn[:, column]
    return drawn


def agreements(found: Sequence[Agreement]) -> Figure:
    """Agreement by number of taggers, ours and the published numbers."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([a.taggers for a in found], [100 * a.agreement for a in found], "o-", color="#1f6f8b", label="ours")
    axes.plot(
        list(PUBLISHED), [100 * v for v in PUBLISHED.values()], "s--", color="#c8553d",
        label="published (definition not known)",
    )  # fmt: skip
    axes.set(xlabel="taggers", ylabel="agree with the plurality of all votes, %", ylim=(0, 102))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks([a.taggers for a in found])
    axes.legend(frameon=False)
    return figure


def contact_sheet(images: Sequence[npt.NDArray[np.uint8]], captions: Sequence[str], columns: int = 8) -> Figure:
    """Draw images (H, W, 1 or 3) with a caption each. Not for publication: they may show real people."""
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(1.45 * columns, 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for cell in axes.flat:
        cell.axis("off")
    for cell, image, caption in zip(axes.flat, images, captions, strict=False):
        cell.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        cell.set_title(caption, fontsize=6, linespacing=1.2)
    return figure
