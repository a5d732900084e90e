"""Small labeled set of generated faces, for trainings of a few seconds that still learn.

    <folder>/train/<expression>/*.png      valid/…      test/…

No person is in two splits, and none is in a mashup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rmset.errors import UsageError
from rmset.outputs import written_folder
from rmset.progress import Progress, silent
from rmset.synth.arrays import Box, Image, u8
from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.faces import Person, Pose
from rmset.synth.identity import Identity, cast

WIDEN = 0.31
"""share of its width by which a face's box is widened in RMset's crops (RMFER, section 3)"""

_PANEL = (320, 240)


@dataclass(frozen=True)
class SplitSize:
    """Numbers of people and of images per expression in a split."""

    people: int
    images_per_class: int


SPLITS: Mapping[str, SplitSize] = {"train": SplitSize(24, 150), "valid": SplitSize(8, 40), "test": SplitSize(8, 40)}


def split_identities(split: str, people: int, seed: int) -> tuple[Identity, ...]:
    """Return the people of one split; splits share no people (see `cast`)."""
    return cast(f"labeled-{split}", people, seed)


def write_labeled_set(
    folder: Path,
    splits: Mapping[str, SplitSize] = SPLITS,
    *,
    expressions: tuple[str, ...] = EXPRESSIONS,
    size: int = 96,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Write class folders of face crops, cut like RMset's.

    Args:
        folder: new or empty folder; on failure nothing of it is left.
        splits: name -> people and images per class.
        expressions: the classes.
        size: side of the images, pixels.
        seed: the same seed gives the same bytes.
        progress: progress callback on images.

    Raises:
        UsageError: the folder is not empty, or no image is requested.
        RmsetError: the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"expected a new or empty folder, found content in {folder}; remove it or name another")
    total = sum(split.images_per_class for split in splits.values()) * len(expressions)
    if total == 0:
        raise UsageError("expected at least one image, found 0 requested; raise images per class")
    done = 0
    with written_folder(folder) as whole:
        for number, (name, split) in enumerate(splits.items()):
            rng = np.random.default_rng([seed, number])
            people = [Person(identity) for identity in split_identities(name, split.people, seed)]
            for expression in expressions:
                target = whole / name / expression
                target.mkdir(parents=True)
                for image in range(split.images_per_class):
                    person = people[image % len(people)]
                    crop = _draw(person, expression, size, rng)
                    content = cv2.imencode(".png", crop[..., ::-1])[1]
                    (target / f"{person.identity.name}-{image:04d}.png").write_bytes(content.tobytes())
                    done += 1
                    progress("drawing labeled faces", done, total)


def crop_face(image: Image, box: Box, size: int, widen: float = WIDEN) -> Image:
    """Crop a face to (size, size, 3): the box is widened by `widen` of its width, border pixels are repeated."""
    x0, y0, x1, y1 = box
    extra = widen * (x1 - x0) / 2
    sx, sy = (x1 - x0 + 2 * extra) / size, (y1 - y0) / size
    matrix = np.array([[sx, 0, x0 - extra + (sx - 1) / 2], [0, sy, y0 + (sy - 1) / 2]])
    return u8(
        cv2.warpAffine(
            image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
    )


def _draw(person: Person, expression: str, size: int, rng: np.random.Generator) -> Image:
    """Draw one face as in a data set: random pose and light, and a slightly shifted box."""
    pose = Pose(
        dx=float(rng.uniform(-0.1, 0.1)),
        roll=float(rng.normal(0, 4)),
        zoom=float(rng.uniform(0.9, 1.1)),
        turn=float(rng.normal(0, 0.45)),
        nod=float(rng.normal(0, 0.35)),
        blink=1.0 if rng.random() < 0.03 else 0.0,
        light=float(rng.uniform(0.65, 1.2)),
    )
    drawn = person.render(expression, float(rng.uniform(0.45, 1.0)), pose, _PANEL)
    x0, y0, x1, y1 = drawn.box
    off = rng.normal(0, 0.02, 4) * (y1 - y0)
    crop = crop_face(drawn.image, (x0 + off[0], y0 + off[1], x1 + off[2], y1 + off[3]), size)
    noise = rng.normal(0, rng.uniform(1, 5), crop.shape)
    return u8(crop + noise)
