"""The small posed sets without splits: CK+, JAFFE, FERG; their files name the subject.

CK+      cohn-kanade-images/S005/001/S005_001_00000011.png with Emotion/S005/001/S005_001_00000011_emotion.txt,
         below any folders, or both official zips side by side as they were downloaded
CK+48    anger/S010_004_00000017.png, the last three frames of each sequence
CK+.csv  ckextended.csv (Kaggle): emotion, pixels, Usage; it does not name the subjects
JAFFE    KA.AN1.39.tiff: subject, expression, take
FERG     aia/aia_anger/aia_anger_1.png: six drawn characters

The option `split` is `subject` (no subject in two splits) or `image` (as in Deep-Emotion); `seed` seeds the draw. A
split by image partly measures how well faces are memorized; papers report it, so it is available.
Options are those returned by `options.read_options`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError

from ..errors import DatasetError
from ..labels import ORDERS, LabelOrder, canonical
from .base import Issue, Labeled, Level, Listing, position
from .pixel_tables import CsvPixels
from .sources import SUFFIXES, Archives, Bytes, FolderBytes, children, files_below, folders, is_image

_JAFFE = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness",
          "SU": "surprise"}  # fmt: skip
CK_TABLE = "ckextended.csv"
_CK_IMAGE = re.compile(r"(?:.*/)?cohn-kanade-images/([^/]+)/([^/]+)/[^/]+")
_CK_LABEL = re.compile(r"(?:.*/)?Emotion/([^/]+)/([^/]+)/[^/]+_emotion\.txt")
_CK48_NAME = re.compile(r"(S\d{3})_(\d{3})_\d{8}.*")
_ZIP_WORDS = ("cohn-kanade", "emotion")


def find_ck(path: Path) -> Bytes | None:
    """Return the source of CK+ as published: a folder, or the two zips; None if it is not present."""
    if (path / "cohn-kanade-images").is_dir() or any((p / "cohn-kanade-images").is_dir() for p in folders(path)):
        return FolderBytes(path)
    zips = [p for p in children(path) if p.suffix.lower() == ".zip" and any(w in p.name.lower() for w in _ZIP_WORDS)]
    if zips:
        source = Archives(zips)
        if any(_CK_IMAGE.fullmatch(name) for name in source.names()):
            return source
    return None


def find_ck48(path: Path) -> Path | None:
    """Return the parent of CK+48's class folders, recognized by file names like `S010_004_00000017.png`."""
    for base in (path, *folders(path)):
        owners = [p for p in folders(base) if canonical(p.name) in ORDERS["ckplus7"].classes]
        if len(owners) > 1 and all(any(_CK48_NAME.fullmatch(f.stem) for f in children(p)) for p in owners):
            return base
    return None


def ckplus(path: Path, options: Mapping[str, Any]) -> Listing:
    """CK+: the last `frames` (default 1) of each labeled sequence; `neutral = true` adds each first frame."""
    source = find_ck(path)
    if source is None:
        return _ck_table(path, options) if (path / CK_TABLE).is_file() else _ck48(path, options)
    frames, neutral = options.get("frames", 1), options.get("neutral", False)
    order = ORDERS["ckplus" if neutral else "ckplus7"]
    sequences: dict[tuple[str, str], list[str]] = {}
    labels: dict[tuple[str, str], str] = {}
    for name in sorted(source.names()):
        if (m := _CK_IMAGE.fullmatch(name)) and Path(name).suffix.lower() in SUFFIXES:
            sequences.setdefault((m[1], m[2]), []).append(name)
        elif m := _CK_LABEL.fullmatch(name):
            labels.setdefault((m[1], m[2]), name)
    if not labels:
        raise DatasetError(
            f"expected Emotion/ (Emotion_labels.zip) beside cohn-kanade-images/ in {path}, found none; put both zips "
            "of the authors, or what is in them, side by side"
        )
    rows: list[Labeled] = []
    groups: dict[str, dict[str, str]] = {"subject": {}, "sequence": {}}
    unlabeled = 0
    for (subject, take), images in sequences.items():
        if (subject, take) not in labels:
            unlabeled += 1
            continue
        k = _ck_class(source, labels[subject, take], order, path)
        chosen = [(image, k) for image in images[-frames:]]
        if neutral:
            chosen.append((images[0], order.classes.index("neutral")))
        rows += chosen
        for image, _ in chosen:
            groups["subject"][image], groups["sequence"][image] = subject, f"{subject}/{take}"
    notes = (Issue("all", "sequence without an emotion label (skipped)", unlabeled),) if unlabeled else ()
    subjects = [groups["subject"][name] for name, _ in rows]
    return Listing(order, _split(rows, subjects, options, "subject", 0.1, 0.2), source, True, notes, groups)


def _ck_class(source: Bytes, name: str, order: LabelOrder, path: Path) -> int:
    """Emotion files hold one number, like "   3.0000000e+00": 1 anger … 7 surprise."""
    where = str(path / name)
    try:
        number = int(float(source.get(name).decode("ascii").split()[0]))
    except (ValueError, IndexError):
        raise DatasetError(f"expected one number in {where}, found something else") from None
    full = ORDERS["ckplus"]
    return order.classes.index(full.classes[position(number, 1, ORDERS["ckplus7"], where) + 1])


def _refuse_frames(path: Path, options: Mapping[str, Any], what: str) -> None:
    if strange := {"frames", "neutral"} & options.keys():
        raise UsageError(
            f"expected no option {' or '.join(sorted(strange))} for {what}, found one; {path} has no "
            "cohn-kanade-images/"
        )


def _ck48(path: Path, options: Mapping[str, Any]) -> Listing:
    _refuse_frames(path, options, "CK+48, which holds three frames of each sequence")
    order = ORDERS["ckplus7"]
    rows: list[Labeled] = []
    groups: dict[str, dict[str, str]] = {"subject": {}, "sequence": {}}
    base = find_ck48(path) or path
    for folder in folders(base):
        if canonical(folder.name) not in order.classes:
            continue
        for image in children(folder):
            if image.is_file() and is_image(image):
                name = f"{folder.name}/{image.name}"
                rows.append((name, order.classes.index(canonical(folder.name))))
                subject, _, rest = image.name.partition("_")
                groups["subject"][name] = subject
                groups["sequence"][name] = f"{subject}/{rest.partition('_')[0]}"
    if not rows:
        raise DatasetError(
            f"expected cohn-kanade-images/ and Emotion/, the folders of CK+48 (anger, contempt, …), or {CK_TABLE}, in "
            f"{path}, found none of them"
        )
    subjects = [groups["subject"][name] for name, _ in rows]
    return Listing(
        order, _split(rows, subjects, options, "subject", 0.1, 0.2), FolderBytes(base), True, groups=groups
    )  # fmt: skip


def _ck_table(path: Path, options: Mapping[str, Any]) -> Listing:
    _refuse_frames(path, options, f"{CK_TABLE}, which holds single frames")
    if options.get("split") == "subject":
        raise UsageError(f"expected no split by subject for {CK_TABLE}, which does not name the subjects, found one")
    order, source = ORDERS["ckextended"], CsvPixels(path / CK_TABLE)
    rows: dict[str, list[Labeled]] = {"train": [], "valid": [], "test": []}
    for name, split, emotion, where in source.labeled():
        rows[split].append((name, position(emotion, 0, order, where)))
    what = f"{CK_TABLE} names no subjects: one person is on several sides of its splits"
    return Listing(order, rows, source, True, (Issue("all", what, sum(map(len, rows.values())), level=Level.WARNING),))


def jaffe(path: Path, options: Mapping[str, Any]) -> Listing:
    """JAFFE: 213 images of ten women. By image 120 / 23 / 70 with ten of each class in test, as Deep-Emotion has it."""
    order = ORDERS["fer2013"]
    rows: list[Labeled] = []
    subjects: list[str] = []
    for image in sorted(p for p in files_below(path) if is_image(p)):
        parts = image.name.split(".")
        code = parts[1][:2].upper() if len(parts) > 2 else ""
        if code not in _JAFFE:
            raise DatasetError(f"expected a name like KA.AN1.39.tiff in {path}, found {image.name}")
        rows.append((image.relative_to(path).as_posix(), order.classes.index(_JAFFE[code])))
        subjects.append(parts[0].upper())
    groups = {"subject": {name: who for (name, _), who in zip(rows, subjects, strict=True)}}
    # 23 of the 213 images are the split that chooses the epoch
    sides = _split(rows, subjects, options, "subject", 23 / 213, 10)
    return Listing(order, sides, FolderBytes(path), True, groups=groups)


def ferg(path: Path, options: Mapping[str, Any]) -> Listing:
    """FERG: 55,767 drawn faces. By image 34k / 14k / 7k with 1,000 of each class in test, as Deep-Emotion has it."""
    base = path / "FERG_DB_256" if (path / "FERG_DB_256").is_dir() else path
    order = ORDERS["ferg"]
    rows: list[Labeled] = []
    subjects: list[str] = []
    for folder in sorted(inner for outer in folders(base) for inner in folders(outer)):
        character, _, name = folder.name.partition("_")
        if canonical(name) not in order.classes:
            raise DatasetError(f"expected folders like aia/aia_anger in {base}, found {folder.relative_to(base)}")
        for image in children(folder):
            if image.is_file() and is_image(image):
                rows.append((image.relative_to(base).as_posix(), order.classes.index(canonical(name))))
                subjects.append(character)
    groups = {"subject": {name: who for (name, _), who in zip(rows, subjects, strict=True)}}
    return Listing(order, _split(rows, subjects, options, "image", 14 / 55.767, 1000), FolderBytes(base), groups=groups)


def _split(
    rows: Sequence[Labeled], subjects: Sequence[str], options: Mapping[str, Any], default: str, valid: float,
    test: float,
) -> Parts:  # fmt: skip
    how, seed = options.get("split", default), options.get("seed", 0)
    # a tenth and a fifth of the people; the paper gives counts of images only
    if how == "subject" and len(set(subjects)) > 2:
        return by_subject(rows, subjects, (0.1, 0.2), seed)
    return by_class(rows, valid, test, seed)


Parts = dict[str, list[Labeled]]


def by_subject(rows: Sequence[Labeled], subjects: Sequence[str], shares: tuple[float, float], seed: int = 0) -> Parts:
    """Assign whole people to splits.

    Args:
        rows: the images.
        subjects: subject of each row.
        shares: shares of the *people* for valid and test, rounded, at least one; the rest is train.
        seed: of the draw.
    """
    people = sorted(set(subjects))
    np.random.default_rng([seed, 7]).shuffle(people)
    valid, test = (max(1, round(share * len(people))) if len(people) > 2 else 0 for share in shares)
    side = {p: "test" if i < test else "valid" if i < test + valid else "train" for i, p in enumerate(people)}
    parts: Parts = {"train": [], "valid": [], "test": []}
    for row, person in zip(rows, subjects, strict=True):
        parts[side[person]].append(row)
    return parts


def by_class(rows: Sequence[Labeled], valid: float, test: int | float, seed: int = 0) -> Parts:
    """Assign the same number, or share, of every class to each split; people may be on both sides.

    Args:
        rows: the images.
        valid: share of all images, spread over the classes by their sizes.
        test: images of each class, or a share of it; a third of a class that has less than twice as many.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 8])
    side = ["train"] * len(rows)
    classes = np.asarray([k for _, k in rows], dtype=np.int64)
    names, sizes = np.unique(classes, return_counts=True)
    for k, size, wanted_valid in zip(names, sizes.tolist(), _spread(valid * sizes), strict=True):
        members = rng.permutation(np.flatnonzero(classes == k))
        wanted = round(test * size) if isinstance(test, float) else test
        n_test = wanted if size >= 2 * wanted else size // 3
        n_valid = min(wanted_valid, size - n_test - 1)
        for i in members[:n_test]:
            side[i] = "test"
        for i in members[n_test : n_test + n_valid]:
            side[i] = "valid"
    parts: Parts = {"train": [], "valid": [], "test": []}
    for row, part in zip(rows, side, strict=True):
        parts[part].append(row)
    return parts


def _spread(wanted: npt.NDArray[np.floating]) -> list[int]:
    """Round numbers so that their sum is the rounded sum: the largest remainders are rounded up."""
    whole = np.floor(wanted).astype(np.int64)
    left = round(float(wanted.sum())) - int(whole.sum())
    whole[np.argsort(whole - wanted, kind="stable")[:left]] += 1
    return [int(n) for n in whole]
