"""Tiny data sets in the exact layouts of sets that may not be redistributed."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import cv2
import fer_worlds
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


NUMBERS = range(1, 8)


def rafdb_kaggle(root: Path, tables: bool = True) -> Path:
    for split in ("train", "test"):
        lines = ["image,label"]
        for k in NUMBERS:
            for i in range(2):
                name = f"{split}_{2 * k + i:05d}_aligned.jpg"
                write(root / "DATASET" / split / str(k) / name, face(k - 1, RNG, 100))
                lines.append(f"{name},{k}")
        if tables:
            (root / f"{split}_labels.csv").write_text("\n".join(lines) + "\n")
    return root


def rafdb_aligned_names(root: Path) -> Path:
    rafdb(root)
    file = root / "EmoLabel" / "list_patition_label.txt"
    file.write_text(file.read_text().replace(".jpg", "_aligned.jpg"))
    return root


def affectnet_lists(root: Path) -> Path:
    affectnet_tables(root)
    (root / "Manually_Annotated_file_lists").mkdir()
    for name in ("training", "validation"):
        (root / f"{name}.csv").rename(root / "Manually_Annotated_file_lists" / f"{name}.csv")
    return root


AFFECTNET_NAMES = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def affectnet_kaggle(root: Path) -> Path:
    lines = [",pth,label,relFCs"]
    for k, name in enumerate(AFFECTNET_NAMES):
        for i in range(2):
            write(root / name / f"image{k}{i}.jpg", face(k, RNG, 96))
            lines.append(f"{2 * k + i},{name}/image{k}{i}.jpg,{name},0.87")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def affectnet_yolo(root: Path) -> Path:
    base = root / "YOLO_format"
    for split in ("train", "valid", "test"):
        for k in range(8):
            write(base / split / "images" / f"ffhq_{k}.png", face(k, RNG, 96))
            (base / split / "labels").mkdir(exist_ok=True)
            (base / split / "labels" / f"ffhq_{k}.txt").write_text(f"{k} 0.5 0.5 1.0 1.0\n")
    names = ", ".join(f"'{name.title()}'" for name in AFFECTNET_NAMES)
    (base / "data.yaml").write_text(f"train: ../train/images\nval: ../valid/images\n\nnc: 8\nnames: [{names}]\n")
    return root


def fer2013_competition(root: Path) -> Path:
    rows = [f"{i % 7}," + " ".join(map(str, face(i % 7, RNG, gray=True)[:, :, 0].ravel())) for i in range(14)]
    (root / "train.csv").write_text("\n".join(["emotion,pixels", *rows]) + "\n")
    (root / "test.csv").write_text("\n".join(["pixels", *(row.partition(",")[2] for row in rows[:3])]) + "\n")
    return root


FER_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def fer2013_usage_folders(root: Path) -> Path:
    for split in ("Training", "PublicTest", "PrivateTest"):
        for k, name in enumerate(FER_NAMES):
            write(root / split / name.title() / f"{k}.jpg", face(k, RNG, gray=True))
    return root


def fer2013_testing_folders(root: Path) -> Path:
    for split in ("training", "testing"):
        for k in range(7):
            write(root / split / str(k) / f"{k}.jpg", face(k, RNG, gray=True))
    return root


def fer2013_no_splits(root: Path) -> Path:
    for k, name in enumerate(FER_NAMES):
        for i in range(8):
            write(root / name / f"{i}.png", face(k, RNG, gray=True))
    return root


def ckplus_zips(root: Path) -> Path:
    inner = root / "unpacked"
    ckplus(inner)
    for archive, folder in (
        ("extended-cohn-kanade-images.zip", "cohn-kanade-images"),
        ("Emotion_labels.zip", "Emotion"),
    ):
        with zipfile.ZipFile(root / archive, "w") as made:
            for path in sorted((inner / folder).rglob("*")):
                made.write(path, path.relative_to(inner).as_posix())
    shutil.rmtree(inner)
    return root


def ckplus_unpacked(root: Path) -> Path:
    ckplus(root / "extended-cohn-kanade-images")
    (root / "Emotion_labels").mkdir()
    (root / "extended-cohn-kanade-images" / "Emotion").rename(root / "Emotion_labels" / "Emotion")
    return root


def ckextended(root: Path) -> Path:
    usages = ["Training"] * 16 + ["PublicTest"] * 8 + ["PrivateTest"] * 8
    rows = ["emotion,pixels,Usage"]
    for i, usage in enumerate(usages):
        rows.append(f"{i % 8}," + " ".join(map(str, face(i % 8, RNG, gray=True)[:, :, 0].ravel())) + f",{usage}")
    (root / "ckextended.csv").write_text("\n".join(rows) + "\n")
    return root


def ferplus_images(root: Path) -> Path:
    """Votes above `images/`, like a checkout beside an unpacked archive."""
    fer_worlds.ferplus(root / "images", train=16, valid=8, test=8)
    (root / "images" / "fer2013new.csv").rename(root / "fer2013new.csv")
    return root


def ferplus_label_csv(root: Path) -> Path:
    """Output of the authors' tools: label.csv in each folder, no table above."""
    fer_worlds.ferplus(root / "data", train=16, valid=8, test=8)
    table = (root / "data" / "fer2013new.csv").read_text().splitlines()[1:]
    folders = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
    for usage, folder in folders.items():
        rows = [line.split(",") for line in table if line.startswith(usage) and line.split(",")[1]]
        lines = [",".join([row[1], '"(0, 0, 48, 48)"', *row[2:]]) for row in rows]
        (root / "data" / folder / "label.csv").write_text("\n".join(lines) + "\n")
    (root / "data" / "fer2013new.csv").unlink()
    return root


def windows_tsv(root: Path) -> Path:
    """A table from another machine: tabs, backslashes, a drive, other column names."""
    lines = ["Pth\tExpression\tUsage"]
    for k, name in enumerate(("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")):
        for usage in ("Training", "PrivateTest"):
            write(root / "faces" / f"{usage}{k}.png", face(k, RNG))
            lines.append(f"D:\\data\\faces\\{usage}{k}.png\t{name}\t{usage}")
    (root / "list.tsv").write_text("\r\n".join(lines) + "\r\n")
    return root


def parquet_from_one(root: Path) -> Path:
    """Labels from 1, as in RAF-DB, without further information."""
    for split in ("train", "test"):
        images = [bytes(cv2.imencode(".png", face(k, RNG))[1]) for k in range(7)]
        pq.write_table(
            pa.table({"image": images, "label": pa.array(range(1, 8), pa.int64())}), root / f"{split}.parquet"
        )
    return root


def numbered_folders(root: Path, numbers: range, per_class: int = 2) -> Path:
    for split in ("train", "test"):
        for k in numbers:
            for i in range(per_class):
                write(root / split / str(k) / f"{i}.png", face(k % 8, RNG))
    return root
