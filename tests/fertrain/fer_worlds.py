"""Tiny data sets in exact layouts, with faces of a few gray blobs; made in a second."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from fertrain.evaluation.evaluate import evaluate_run
from fertrain.labels import ORDERS
from fertrain.run_folder import RunFolder
from fertrain.training.data import split_of
from rmset import schema
from rmset.parts.shards import CropWriter

FOLDER_CLASSES = ORDERS["affectnet7"].classes
SUBJECT_CLASSES = ORDERS["fer2013"].classes


def face(kind: int, rng: np.random.Generator, size: int = 48, gray: bool = False) -> np.ndarray:
    """Face uint8 (S, S, 3): one bright bar on noise, whose place is the class."""
    image = rng.integers(60, 110, (size, size, 1 if gray else 3), dtype=np.uint8).repeat(3 if gray else 1, axis=2)
    top = 2 + kind * (size - 10) // 8
    image[top : top + 6, 8:-8] = 230
    return image


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def class_folders(root: Path, per_class: int = 12, test: int = 3, classes: tuple[str, ...] = FOLDER_CLASSES) -> Path:
    rng = np.random.default_rng(0)
    for split, n in (("train", per_class), ("test", test)):
        for k, name in enumerate(classes):
            for i in range(n):
                write(root / split / name / f"{i:03d}.png", face(k, rng))
    return root


def subjects(root: Path, people: int = 10, frames: int = 3) -> Path:
    """A table whose pictures show two grays: left the person, right the expression. Everybody lacks one of seven."""
    rows = []
    for s in range(people):
        for k, name in enumerate(SUBJECT_CLASSES):
            for i in range(frames if k != s % 7 else 0):
                image = np.zeros((48, 48, 3), np.uint8)
                image[:, :24], image[:, 24:] = 20 + 20 * s, 20 + 30 * k
                path = f"{s:02d}-{name}-{i}.png"
                cv2.imwrite(str(root / path), image)
                rows.append((path, name, f"P{s}", f"P{s}/{name}"))
    cv2.imwrite(str(root / "unknown.png"), np.zeros((48, 48, 3), np.uint8))
    rows.append(("unknown.png", SUBJECT_CLASSES[0], "", ""))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "label", "subject", "sequence"), *rows])
    return root


def ferplus(root: Path, train: int = 64, valid: int = 16, test: int = 0) -> Path:
    """FERPlus's layout; votes 8 + 2 on the next class, every ninth row a tie of three."""
    rng = np.random.default_rng(0)
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    lines = [head]
    number = 0
    for usage, folder, n in (
        ("Training", "FER2013Train", train), ("PublicTest", "FER2013Valid", valid), ("PrivateTest", "FER2013Test", test)
    ):  # fmt: skip
        for i in range(n):
            name, k, votes = f"fer{number:07d}.png", i % 8, [0] * 10
            if i % 9 == 8:
                for j in range(3):
                    votes[(k + j) % 8] = 3
                votes[8] = 1
            else:
                votes[k], votes[(k + 1) % 8] = 8, 2
            lines.append(",".join([usage, name, *map(str, votes)]))
            write(root / folder / name, face(k, rng, gray=True))
            number += 1
    lines.append("PublicTest,,0,0,0,0,0,0,0,0,0,10")
    (root / "fer2013new.csv").write_text("\n".join(lines) + "\n")
    return root


def rmset_root(root: Path, people: int = 3, frames: int = 60, stride: int = 1, video_id: str = "m-00000000") -> Path:
    """A root with crops only: all people show expression (frame // 10) % 7, each in their own gray tone."""
    rng = np.random.default_rng(1)
    folder = root / "crops" / video_id
    folder.mkdir(parents=True)
    with CropWriter(folder, rows_per_part=64) as writer:
        for frame in range(0, frames * stride, stride):
            for person in range(people):
                image = face((frame // (10 * stride)) % 7, rng) // (1 + person % 2)
                jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=90)
                row = {f.name: None for f in schema.crops()}
                row |= {
                    "video_id": video_id, "person_id": person, "frame_idx": frame, "time_ms": frame * 1000 / 30,
                    "width": 48, "height": 48, "image": {"bytes": jpeg, "path": f"{person}-{frame}.jpg"},
                }  # fmt: skip
                fill = {"string": "", "float": 0.0, "double": 0.0}
                for field in schema.crops():
                    if row[field.name] is None and not field.nullable:
                        row[field.name] = fill.get(str(field.type), 0)
                writer.add(row)
    return root


def evaluated(run, on):
    """Scores, invariance and values of a finished run, as `fertrain evaluate RUN --on ON` counts them."""
    return evaluate_run(run, split_of(RunFolder.open(run), on, "majority"))
