"""Generated people who pose expressions, as a small posed set (CK+) does: the same faces in several sequences.

    <folder>/labels.csv              name, label, subject, sequence
    <folder>/<subject>/<expression>/00.png … the sequence in order of time, from weak to full

A person looks the same in all of their sequences (bones, skin, hair, glasses, room) and differently from the others.
"""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from rmset.errors import UsageError
from rmset.outputs import written_folder
from rmset.progress import Progress, silent
from rmset.synth.arrays import Image, u8
from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.faces import Person, Pose
from rmset.synth.identity import cast
from rmset.synth.labeled import crop_face

_PANEL = (320, 240)


def write_posed_set(
    folder: Path, people: int, *, frames: int = 6, has: float = 0.7, size: int = 48, seed: int = 0,
    progress: Progress = silent,
) -> None:  # fmt: skip
    """Write one sequence of each person's expressions.

    Args:
        folder: new or empty folder; on failure nothing of it is left.
        people: number of people.
        frames: images of a sequence.
        has: probability that a person poses an expression; everybody poses three or more.
        size: side of the images, px.
        seed: the same seed gives the same bytes.
        progress: progress callback on people.

    Raises:
        UsageError: the folder is not empty, or a number is out of range.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"expected a new or empty folder, found content in {folder}; remove it or name another")
    if people < 1 or frames < 1 or not 0 <= has <= 1 or not 24 <= size <= 512:
        raise UsageError(
            f"expected a person and an image or more, a share from 0 to 1 and 24 to 512 px, found {people} people, "
            f"{frames} images, {has:g} and {size} px"
        )
    rows: list[tuple[str, str, str, str]] = []
    with written_folder(folder) as whole:
        draws = np.random.default_rng([seed, 23]).spawn(people)
        for done, (identity, rng) in enumerate(zip(cast("posed", people, seed), draws, strict=True), start=1):
            person = Person(identity)
            # everybody poses the first three of their own order, and some of the others
            order = rng.permutation(len(EXPRESSIONS))
            posed = [int(k) for i, k in enumerate(order) if rng.random() < has or i < 3]
            for k in sorted(posed):
                expression = EXPRESSIONS[k]
                target = whole / identity.name / expression
                target.mkdir(parents=True)
                for i, image in enumerate(_sequence(person, expression, frames, size, rng)):
                    (target / f"{i:02d}.png").write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
                    name = f"{identity.name}/{expression}/{i:02d}.png"
                    rows.append((name, expression, identity.name, f"{identity.name}/{expression}"))
            progress("drawing people", done, people)
        with (whole / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("name", "label", "subject", "sequence"))
            writer.writerows(rows)


def _sequence(person: Person, expression: str, frames: int, size: int, rng: np.random.Generator) -> list[Image]:
    """Draw a sequence: the intensity rises, the head moves a little, light and place differ between sequences."""
    least, most = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.8, 1.0))
    begin, move = rng.normal(0, 1, 4), rng.normal(0, 0.15, 4)
    light, noise = float(rng.uniform(0.75, 1.15)), float(rng.uniform(1, 4))
    images = []
    for i in range(frames):
        share = i / max(1, frames - 1)
        turn, nod, roll, dx = begin + share * move
        pose = Pose(
            dx=0.05 * float(dx), roll=3 * float(roll), turn=0.4 * float(turn), nod=0.3 * float(nod), light=light
        )  # fmt: skip
        drawn = person.render(expression, least + share * (most - least), pose, _PANEL)
        x0, y0, x1, y1 = drawn.box
        off = rng.normal(0, 0.015, 4) * (y1 - y0)
        crop = crop_face(drawn.image, (x0 + off[0], y0 + off[1], x1 + off[2], y1 + off[3]), size)
        images.append(u8(crop + rng.normal(0, noise, crop.shape)))
    return images
