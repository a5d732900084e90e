"""The small posed sets, which name the subject in every file and come without splits: CK+, JAFFE, FERG.

CK+      cohn-kanade-images/S005/001/S005_001_00000011.png with Emotion/S005/001/S005_001_00000011_emotion.txt
CK+48    anger/S010_004_00000017.png, the last three frames of each sequence
JAFFE    KA.AN1.39.tiff: subject, expression, take
FERG     aia/aia_anger/aia_anger_1.png: six drawn characters

The option `split` is `subject` (no subject in two splits) or `image` (as Deep-Emotion counts), `seed` draws it. A
split by image measures, in part, how well faces are remembered; papers report it, so it can be asked for by name.
Options come as `options.read_options` has made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError

from ..errors import DatasetError
from ..labels import ORDERS, LabelOrder, canonical
from .base import SUFFIXES, Issue, Labeled, Listing, position
from .images import FolderBytes, files_below

_JAFFE = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness",
          "SU": "surprise"}  # fmt: skip


def ckplus(path: Path, options: Mapping[str, Any]) -> Listing:
    """CK+: the last `frames` (default 1) of each labeled sequence; `neutral = true` adds each first frame."""
    if not (path / "cohn-kanade-images").is_dir():
        return _ck48(path, options)
    frames, neutral = options.get("frames", 1), options.get("neutral", False)
    order = ORDERS["ckplus" if neutral else "ckplus7"]
    rows: list[Labeled] = []
    subjects: list[str] = []
    unlabeled = 0
    for sequence in sorted(p for p in (path / "cohn-kanade-images").glob("*/*") if p.is_dir()):
        images = sorted(p for p in sequence.iterdir() if p.suffix.lower() in SUFFIXES)
        labels = sorted((path / "Emotion" / sequence.parent.name / sequence.name).glob("*_emotion.txt"))
        if not labels or not images:
            unlabeled += 1
            continue
        k = _ck_class(labels[0], order)
        chosen = [(image, k) for image in images[-frames:]]
        if neutral:
            chosen.append((images[0], order.classes.index("neutral")))
        rows += [(image.relative_to(path).as_posix(), k) for image, k in chosen]
        subjects += [sequence.parent.name] * len(chosen)
    notes = (Issue("all", "sequence without an emotion label (skipped)", unlabeled),) if unlabeled else ()
    return Listing(order, _split(rows, subjects, options, "subject", 0.1, 0.2), FolderBytes(path), True, notes)


def _ck_class(file: Path, order: LabelOrder) -> int:
    """Emotion files hold one number, like "   3.0000000e+00": 1 anger … 7 surprise."""
    try:
        number = int(float(file.read_text(encoding="ascii").split()[0]))
    except (ValueError, IndexError):
        raise DatasetError(f"expected one number in {file}, found something else") from None
    full = ORDERS["ckplus"]
    return order.classes.index(full.classes[position(number, 1, ORDERS["ckplus7"], str(file)) + 1])


def _ck48(path: Path, options: Mapping[str, Any]) -> Listing:
    if strange := {"frames", "neutral"} & options.keys():
        raise UsageError(
            f"expected no option {' or '.join(sorted(strange))} for CK+48, which holds three frames of each sequence, "
            f"found one; {path} has no cohn-kanade-images/"
        )
    order = ORDERS["ckplus7"]
    rows: list[Labeled] = []
    subjects: list[str] = []
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        if canonical(folder.name) not in order.classes:
            continue
        for image in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            rows.append((f"{folder.name}/{image.name}", order.classes.index(canonical(folder.name))))
            subjects.append(image.name.partition("_")[0])
    if not rows:
        raise DatasetError(
            f"expected cohn-kanade-images/ and Emotion/, or the folders of CK+48 (anger, contempt, …), in {path}, "
            "found neither"
        )
    return Listing(order, _split(rows, subjects, options, "subject", 0.1, 0.2), FolderBytes(path), True)


def jaffe(path: Path, options: Mapping[str, Any]) -> Listing:
    """JAFFE: 213 images of ten women. By image 120 / 23 / 70 with ten of each class in test, as Deep-Emotion has it."""
    order = ORDERS["fer2013"]
    rows: list[Labeled] = []
    subjects: list[str] = []
    for image in sorted(p for p in files_below(path) if p.suffix.lower() in SUFFIXES):
        parts = image.name.split(".")
        code = parts[1][:2].upper() if len(parts) > 2 else ""
        if code not in _JAFFE:
            raise DatasetError(f"expected a name like KA.AN1.39.tiff in {path}, found {image.name}")
        rows.append((image.relative_to(path).as_posix(), order.classes.index(_JAFFE[code])))
        subjects.append(parts[0].upper())
    # 23 of the 213 images choose the epoch
    return Listing(order, _split(rows, subjects, options, "subject", 23 / 213, 10), FolderBytes(path), True)


def ferg(path: Path, options: Mapping[str, Any]) -> Listing:
    """FERG: 55,767 drawn faces. By image 34k / 14k / 7k with 1,000 of each class in test, as Deep-Emotion has it."""
    base = path / "FERG_DB_256" if (path / "FERG_DB_256").is_dir() else path
    order = ORDERS["ferg"]
    rows: list[Labeled] = []
    subjects: list[str] = []
    for folder in sorted(p for p in base.glob("*/*") if p.is_dir()):
        character, _, name = folder.name.partition("_")
        if canonical(name) not in order.classes:
            raise DatasetError(f"expected folders like aia/aia_anger in {base}, found {folder.relative_to(base)}")
        for image in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            rows.append((image.relative_to(base).as_posix(), order.classes.index(canonical(name))))
            subjects.append(character)
    return Listing(order, _split(rows, subjects, options, "image", 14 / 55.767, 1000), FolderBytes(base))


def _split(
    rows: Sequence[Labeled], subjects: Sequence[str], options: Mapping[str, Any], default: str, valid: float,
    test: float,
) -> Parts:  # fmt: skip
    how, seed = options.get("split", default), options.get("seed", 0)
    # a tenth and a fifth of the people, whatever the paper counts in images
    if how == "subject" and len(set(subjects)) > 2:
        return by_subject(rows, subjects, (0.1, 0.2), seed)
    return by_class(rows, valid, test, seed)


Parts = dict[str, list[Labeled]]


def by_subject(rows: Sequence[Labeled], subjects: Sequence[str], shares: tuple[float, float], seed: int = 0) -> Parts:
    """Whole people to each split.

    Args:
        rows: the images.
        subjects: who each shows; as long as `rows`.
        shares: of the *people* that go to valid and to test, rounded, one at least; the rest is train.
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
    """The same number, or the same share, of every class to each split; people may be on both sides.

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
    """Whole numbers near those wanted, whose sum is theirs, rounded: the largest remainders are rounded up."""
    whole = np.floor(wanted).astype(np.int64)
    left = round(float(wanted.sum())) - int(whole.sum())
    whole[np.argsort(whole - wanted, kind="stable")[:left]] += 1
    return [int(n) for n in whole]
