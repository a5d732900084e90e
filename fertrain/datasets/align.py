"""Crop the faces of a labeled set as in RMset, so that both streams show the same part of a face.

    image -> detector -> the face nearest to the middle, larger ones first -> rmset.parts.cropping.cut -> PNG

The result is a set of the kind `folder`: SPLIT/CLASS/name.png, and a note with the crop settings.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.outputs import written_folder
from rmset.parts.cropping import cut
from rmset.parts.detect import Detections, Detector
from rmset.progress import Progress, silent

from ..errors import DatasetError
from .base import GIVEN, LabeledSet, Split
from .images import decode
from .registry import note_crop

MISSED = "missed.csv"


@dataclass(frozen=True)
class AlignSettings:
    """Crop settings; the defaults are RMset's."""

    size: int = 260
    """Side of a crop, px."""
    widen: float = 0.31
    """Margin added to the box, as a share of its width."""
    min_face: float = 20
    """Smallest face to look for, px."""


@dataclass(frozen=True)
class Aligned:
    """Counts of cropped and missed images."""

    written: int
    """Crops in the new folder."""
    missed: tuple[str, ...]
    """Images left out because they are unreadable or show no face; missed.csv gives each reason."""


def main_face(found: Detections, size: tuple[int, int]) -> npt.NDArray[np.float32] | None:
    """Return the box (4,) of a photograph's main face: large, and near the middle; None if there is none.

    Args:
        found: all faces.
        size: (width, height) of the image, px.
    """
    if len(found) == 0:
        return None
    centers = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    away = np.linalg.norm((centers - np.asarray(size) / 2) / max(size), axis=1)
    sides = np.sqrt(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)) / max(size)
    return np.asarray(found.boxes[int(np.argmax(sides - away))], dtype=np.float32)


def align(
    data: LabeledSet, out: Path, detector: Detector, settings: AlignSettings | None = None,
    progress: Progress = silent, splits: Sequence[str] = (),
) -> Aligned:  # fmt: skip
    """Write the crops of every split.

    Raises:
        UsageError: the set has votes (FERPlus is already cropped), or `out` is not empty.
    """
    s = settings or AlignSettings()
    if data.rules() != [GIVEN]:
        raise UsageError(f"expected a data set with one label per image to align, found votes in {data.name}")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"expected an empty folder for the crops, found files in {out}; give another -o")
    written, missed = 0, dict[str, str]()
    # A set of which some images are missing must not look like a set.
    with written_folder(out) as folder:
        for name in splits or data.splits():
            split = data.load(name, GIVEN)
            for done, (image_name, k) in enumerate(zip(split.names, split.classes.tolist(), strict=True), start=1):
                progress(f"align {name}", done, len(split))
                if why := _write_crop(folder / name / split.order.classes[k], split, image_name, detector, s):
                    missed[image_name] = why
                else:
                    written += 1
        note_crop(folder, asdict(s))
        with (folder / MISSED).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("name", "why"), *missed.items()])
    return Aligned(written, tuple(missed))


def _write_crop(folder: Path, split: Split, name: str, detector: Detector, s: AlignSettings) -> str:
    """Write the crop of one image; returns why there is none, else nothing."""
    try:
        image = decode(split.source.get(name), name, gray=False)
    except (DatasetError, FileNotFoundError) as error:
        # one bad file in a large set costs one image
        return "no file" if isinstance(error, FileNotFoundError) else "no image"
    image = image if image.shape[2] == 3 else image.repeat(3, axis=2)
    height, width = image.shape[:2]
    box = main_face(detector.detect(image, s.min_face), (width, height))
    if box is None:
        return "no face"
    x0, y0, x1, y1 = (float(v) for v in box)
    crop = cut(image, (x0, y0, x1, y1), (0, 0, width, height), s.size, s.widen)
    target = folder / (_flat(name) + ".png")
    if target.exists():
        # a.jpg beside a.png
        target = target.with_stem(f"{target.stem}-{Path(name).suffix[1:]}")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not cv2.imwrite, which tells nothing of a full disk.
    target.write_bytes(cv2.imencode(".png", cv2.cvtColor(crop.image, cv2.COLOR_RGB2BGR))[1].tobytes())
    return ""


def _flat(name: str) -> str:
    """Return a path as one file name, so that images of different folders do not collide."""
    return Path(name).with_suffix("").as_posix().replace("/", "__").replace("#", "-")
