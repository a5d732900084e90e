"""RMset for torch: crops by row, and for each anchor the candidates that the mashup's own order gives.

rmset itself knows no torch; this is the only module of fertrain that opens a root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from torch import Tensor

from rmset.errors import UsageError
from rmset.read.crops import CropStore
from rmset.read.pairindex import open_sampler
from rmset.read.pairs import PairRule, PairSampler
from rmset.store import Root

from ..config import RmferConfig
from ..contract import InputContract
from ..errors import DatasetError
from .images import decode, resized, stacked
from .registry import UNLABELLED, entries, resolve

if TYPE_CHECKING:
    import numpy.typing as npt


def open_root(name: str, root: str | None = None) -> Root:
    """The root that a name means: datasets.toml's, `rmset:PATH`, or for `rmset` the current root."""
    if name == UNLABELLED and name not in entries():
        return Root.find(root)
    entry = resolve(name)
    if entry.kind != UNLABELLED:
        raise UsageError(f"expected an RMset root for --unlabeled, found '{name}' of kind {entry.kind}")
    return Root(entry.path)


class CropImages:
    """The crops of a root as `Images`; JPEG is decoded near the size wanted, which is most of the cost."""

    def __init__(self, store: CropStore, contract: InputContract) -> None:
        self.store, self.size, self.grey = store, contract.size, contract.grey

    def __len__(self) -> int:
        return len(self.store)

    def read(self, rows: Sequence[int]) -> Tensor:
        """uint8 (n, C, S, S)."""
        return stacked([self._decode(data) for data in self.store.read(np.asarray(rows, dtype=np.int64))])

    def _decode(self, data: bytes) -> npt.NDArray[np.uint8]:
        if not simplejpeg.is_jpeg(data):
            return resized(decode(data, "a crop", grey=self.grey), self.size)
        image = simplejpeg.decode_jpeg(
            data, colorspace="GRAY" if self.grey else "RGB", min_height=self.size, min_width=self.size
        )
        return resized(np.asarray(image, dtype=np.uint8), self.size)


@dataclass(frozen=True)
class Anchors:
    """Which rows of a root can be anchors, and a seeded draw of their candidates."""

    sampler: PairSampler
    """Knows who was there at the same moment, and who was the same person far away."""
    seed: int
    """Of the run."""

    def __len__(self) -> int:
        return len(self.sampler.anchors)

    def draw(self, epoch: int, step: int, n: int) -> list[tuple[list[int], int]]:
        """Rows for a step's anchors, each as ([anchor, positives…, negatives…], number of positives).

        A function of (seed, epoch, step) alone, whatever was drawn before and whoever decodes it.
        """
        rng = np.random.default_rng([self.seed, 3, epoch, step])
        rows = rng.choice(self.sampler.anchors, size=n, replace=n > len(self))
        return [
            ([int(row), *positives.tolist(), *negatives.tolist()], len(positives))
            for row, (positives, negatives) in zip(rows, self.sampler.draw_many(rows, rng), strict=True)
        ]


def open_crops(root: Root, settings: RmferConfig, seed: int) -> tuple[CropStore, Anchors]:
    """The crops of a root and its anchors; says why there are none, if there are none."""
    store = CropStore(root)
    rule = PairRule(d=settings.d, d_far=settings.d_far, stride=stride_of(store.keys.frame))
    # Its arrays are kept in the root, so that the next run has them at once.
    sampler = open_sampler(store, rule, max_candidates=settings.max_candidates)
    if len(sampler.anchors) == 0:
        people = len(np.unique(np.stack([store.keys.video, store.keys.person]), axis=1).T)
        raise DatasetError(
            f"expected anchors with another person within {settings.d} steps and themselves beyond "
            f"{settings.d_far} steps in {root.path}, found none among {len(store):,} crops of {people} people; "
            "export longer videos with two people or more, or lower --d-far"
        )
    return store, Anchors(sampler, seed)


def stride_of(frames: npt.NDArray[np.integer]) -> int:
    """Frames in one step: the export's stride, which the frame numbers still show as what divides them all."""
    return max(1, int(np.gcd.reduce(frames - frames.min()))) if len(frames) else 1
