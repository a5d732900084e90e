"""Pictures shared by two sets or splits: copied, mirrored, recompressed, or resized.

Standardized 16×16 gray thumbnails of both sides are compared; near pairs are compared again at 48×48, also mirrored.
Frames of one person within a second also look alike, so each pair is listed with its similarity.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rmset.progress import Progress, silent

from ..errors import DatasetError
from .base import Split
from .images import decode
from .pictures import pixel_hash

_SMALL, _LARGE = 16, 48
NEAR_SMALL, NEAR = 0.98, 0.985
"""Correlation thresholds: to compare two pictures closely, and to call them the same. Of 300 pictures of FERPlus, saved
as JPEG of quality 60 at 1.5 times their size, 283 are found again."""
_BLOCK = 2048

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """One picture on both sides."""

    a: tuple[str, str, str]
    """Set and split, name, class of the first image."""
    b: tuple[str, str, str]
    """The same for the second image."""
    how: str
    """`same pixels`, `mirrored`, or `saved again or resized`."""
    similarity: float
    """Correlation of the two at 48×48, 1 where the pixels are the same."""

    def row(self) -> dict[str, object]:
        """Flat, for a table."""
        (here, name, label), (there, other, other_label) = self.a, self.b
        return {
            "in": here, "image": name, "label": label, "also_in": there, "as": other, "other_label": other_label,
            "how": self.how, "similarity": round(self.similarity, 4),
        }  # fmt: skip


def overlap(here: Sequence[Split], there: Sequence[Split], progress: Progress = silent) -> list[Pair]:
    """Find pictures on both sides; each image of one side is paired with the most similar of the other.

    A split that is on both sides is not compared with itself.
    """
    found: list[Pair] = []
    thumbs = {_key(split): _thumbs(split, progress) for split in [*here, *there]}
    done: set[frozenset[tuple[str, str]]] = set()
    for a in here:
        for b in there:
            if _key(a) == _key(b) or frozenset((_key(a), _key(b))) in done:
                continue
            done.add(frozenset((_key(a), _key(b))))
            found += _pairs(a, b, thumbs[_key(a)], thumbs[_key(b)], progress)
    return found


def _key(split: Split) -> tuple[str, str]:
    return split.dataset, split.split


def _thumbs(split: Split, progress: Progress) -> Vectors:
    """(N, 256): zero mean, length 1; zeros for images that cannot be read."""
    out = np.zeros((len(split), _SMALL * _SMALL), dtype=np.float32)
    what = f"look at {split.dataset}:{split.split}"
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(split), 512):
            rows = range(start, min(start + 512, len(split)))
            for i, vector in zip(rows, pool.map(lambda i: _vector(split, i, _SMALL), rows), strict=True):
                out[i] = vector
            progress(what, rows.stop, len(split))
    return out


def _vector(split: Split, row: int, side: int) -> Vectors:
    name = split.names[row]
    try:
        image = decode(split.source.get(name), name, gray=True)[:, :, 0]
    except (DatasetError, FileNotFoundError):
        return np.zeros(side * side, dtype=np.float32)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small = small - small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), dtype=np.float32)


def _mirrored(vectors: Vectors, side: int) -> Vectors:
    return np.ascontiguousarray(vectors.reshape(-1, side, side)[:, :, ::-1]).reshape(-1, side * side)


def _pairs(a: Split, b: Split, va: Vectors, vb: Vectors, progress: Progress) -> Iterator[Pair]:
    if not len(a) or not len(b):
        return
    for start in range(0, len(a), _BLOCK):
        block = va[start : start + _BLOCK]
        straight, turned = block @ vb.T, _mirrored(block, _SMALL) @ vb.T
        for i in np.flatnonzero(np.maximum(straight.max(axis=1), turned.max(axis=1)) >= NEAR_SMALL):
            near = np.flatnonzero(np.maximum(straight[i], turned[i]) >= NEAR_SMALL)
            near = near[np.argsort(-np.maximum(straight[i], turned[i])[near], kind="stable")][:8]
            if (pair := _best(a, start + int(i), b, near.tolist())) is not None:
                yield pair
        progress(f"compare {a.dataset}:{a.split} with {b.dataset}:{b.split}", min(start + _BLOCK, len(a)), len(a))


def _best(a: Split, i: int, b: Split, near: Sequence[int]) -> Pair | None:
    own = _vector(a, i, _LARGE)
    turned = _mirrored(own[None], _LARGE)[0]
    digest = pixel_hash(a.source, a.names[i])
    best: tuple[float, int, str] | None = None
    for j in near:
        other = _vector(b, j, _LARGE)
        alike, mirrored = float(own @ other), float(turned @ other)
        how = "saved again or resized" if alike >= mirrored else "mirrored"
        if digest and digest == pixel_hash(b.source, b.names[j]):
            alike, how = 1.0, "same pixels"
        score = max(alike, mirrored)
        if score >= NEAR and (best is None or score > best[0]):
            best = score, j, how
    if best is None:
        return None
    score, j, how = best
    return Pair(_described(a, i), _described(b, j), how, min(score, 1.0))


def _described(split: Split, row: int) -> tuple[str, str, str]:
    return f"{split.dataset}:{split.split}", split.names[row], split.order.classes[int(split.classes[row])]
