"""Tiny data sets in the exact layouts of those that may not be redistributed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fer_worlds import face, write

RNG = np.random.default_rng(5)
JAFFE_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")


def fer2013_csv(root: Path, icml: bool = False, n: int = 14) -> Path:
    usages = ["Training"] * (n - 4) + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    rows = []
    for i, usage in enumerate(usages):
        pixels = " ".join(map(str, face(i % 7, RNG, gray=True)[:, :, 0].ravel()))
        rows.append(f"{i % 7},{usage},{pixels}" if icml else f"{i % 7},{pixels},{usage}")
    head = "emotion, Usage, pixels" if icml else "emotion,pixels,Usage"
    (root / ("icml_face_data.csv" if icml else "fer2013.csv")).write_text("\n".join([head, *rows]) + "\n")
    return root


def fer2013_names(root: Path) -> Path:
    lines = ["row,usage,image_name,emotion,ambiguous"]
    for i in range(8):
        usage, folder = ("Training", "FER2013Train") if i < 6 else ("PublicTest", "FER2013Valid")
        write(root / folder / f"fer{i:07d}.png", face(i % 7, RNG, gray=True))
        lines.append(f"{i},{usage},fer{i:07d}.png,{i % 7},{int(i == 1)}")
    (root / "fer2013_labels.csv").write_text("\n".join(lines) + "\n")
    return root


def affectnet_tables(root: Path) -> Path:
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    for name, n in (("training", 11), ("validation", 8)):
        lines = [head]
        for k in range(n):
            lines.append(f"{k}/{name}{k}.jpg,0,0,48,48,1;2,{k},0.1,0.2")
            write(root / "Manually_Annotated_Images" / str(k) / f"{name}{k}.jpg", face(k % 8, RNG))
        (root / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return root


def affectnet_annotations(root: Path) -> Path:
    for split in ("train_set", "val_set"):
        (root / split / "annotations").mkdir(parents=True)
        for k in range(8):
            write(root / split / "images" / f"{k}.jpg", face(k, RNG))
            # the released files hold the number as text
            np.save(root / split / "annotations" / f"{k}_exp.npy", np.array(str(k)))
            np.save(root / split / "annotations" / f"{k}_aro.npy", np.array("0.1"))
    return root


def rafdb(root: Path, per_class: int = 1) -> Path:
    lines = []
    for split in ("train", "test"):
        for i in range(7 * per_class):
            name = f"{split}_{i + 1:05d}"
            lines.append(f"{name}.jpg {i % 7 + 1}")
            write(root / "Image" / "aligned" / f"{name}_aligned.jpg", face(i % 7, RNG, 100))
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def ckplus(root: Path, subjects: int = 10) -> Path:
    for s in range(subjects):
        for take in (1, 2):
            folder = Path(f"S{s:03d}") / f"{take:03d}"
            for frame in range(1, 5):
                image = root / "cohn-kanade-images" / folder / f"S{s:03d}_{take:03d}_{frame:08d}.png"
                write(image, face(s % 7, RNG, gray=True))
            if take == 1:
                label = root / "Emotion" / folder / f"S{s:03d}_{take:03d}_{4:08d}_emotion.txt"
                label.parent.mkdir(parents=True)
                label.write_text(f"   {s % 7 + 1}.0000000e+00\n")
    return root


def ck48(root: Path) -> Path:
    for k, name in enumerate(("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")):
        for s in range(6):
            write(root / name / f"S{s:03d}_001_{k:08d}.png", face(k, RNG, gray=True))
    return root


def jaffe(root: Path) -> Path:
    for s in ("KA", "KL", "KM", "KR", "MK"):
        for i, code in enumerate(JAFFE_CODES):
            for take in (1, 2, 3):
                write(root / f"{s}.{code}{take}.{i * 3 + take}.tiff", face(i, RNG, gray=True))
    return root


def ferg(root: Path) -> Path:
    for character in ("aia", "bonnie", "jules", "malcolm", "mery", "ray"):
        for k, name in enumerate(("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")):
            for i in range(2):
                folder = root / "FERG_DB_256" / character / f"{character}_{name}"
                write(folder / f"{character}_{name}_{i}.png", face(k, RNG))
    return root


def parquet(root: Path, named: bool = True) -> Path:
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    meta = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    for split in ("train", "test"):
        images = [{"bytes": bytes(cv2.imencode(".png", face(k, RNG))[1]), "path": f"{k}.png"} for k in range(7)]
        table = pa.table({"image": images, "label": pa.array(range(7), pa.int64())})
        if named:
            table = table.replace_schema_metadata({"huggingface": json.dumps(meta)})
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
    return root


def labels_csv(root: Path) -> Path:
    out = io.StringIO("name,label,split\n")
    out.seek(0, 2)
    for k, name in enumerate(("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")):
        for split in ("train", "test"):
            write(root / "all" / f"{split}{k}.png", face(k, RNG))
            out.write(f"all/{split}{k}.png,{name},{split}\n")
    (root / "labels.csv").write_text(out.getvalue())
    return root
