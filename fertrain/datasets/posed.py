"""The small posed sets, which name the subject in every file and come without splits: CK+, JAFFE, FERG.

CK+      cohn-kanade-images/S005/001/S005_001_00000011.png with Emotion/S005/001/S005_001_00000011_emotion.txt
CK+48    anger/S010_004_00000017.png, the last three frames of each sequence
JAFFE    KA.AN1.39.tiff: subject, expression, take
FERG     aia/aia_anger/aia_anger_1.png: six drawn characters

The option `split` is `subject` (nobody stands on two sides) or `image` (as Deep-Emotion counts), `seed` draws it.
Options come as `options.read_options` has made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rmset.errors import UsageError

from ..errors import DatasetError
from ..labels import ORDERS, LabelOrder, canonical
from .images import FolderBytes, files_below
from .labelled import Finding
from .listed import SUFFIXES, Labelled, Listing, position
from .splitting import Parts, by_class, by_subject

_JAFFE = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness",
          "SU": "surprise"}  # fmt: skip


def ckplus(path: Path, options: Mapping[str, Any]) -> Listing:
    """CK+: the last `frames` (default 1) of each labelled sequence; `neutral = true` adds each first frame."""
    if not (path / "cohn-kanade-images").is_dir():
        return _ck48(path, options)
    frames, neutral = options.get("frames", 1), options.get("neutral", False)
    order = ORDERS["ckplus" if neutral else "ckplus7"]
    rows: list[Labelled] = []
    subjects: list[str] = []
    unlabelled = 0
    for sequence in sorted(p for p in (path / "cohn-kanade-images").glob("*/*") if p.is_dir()):
        images = sorted(p for p in sequence.iterdir() if p.suffix.lower() in SUFFIXES)
        labels = sorted((path / "Emotion" / sequence.parent.name / sequence.name).glob("*_emotion.txt"))
        if not labels or not images:
            unlabelled += 1
            continue
        k = _ck_class(labels[0], order)
        chosen = [(image, k) for image in images[-frames:]]
        if neutral:
            chosen.append((images[0], order.classes.index("neutral")))
        rows += [(image.relative_to(path).as_posix(), k) for image, k in chosen]
        subjects += [sequence.parent.name] * len(chosen)
    notes = (Finding("all", "sequence without an emotion label (skipped)", unlabelled),) if unlabelled else ()
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
    rows: list[Labelled] = []
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
    rows: list[Labelled] = []
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
    rows: list[Labelled] = []
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
    rows: Sequence[Labelled], subjects: Sequence[str], options: Mapping[str, Any], default: str, valid: float,
    test: float,
) -> Parts:  # fmt: skip
    how, seed = options.get("split", default), options.get("seed", 0)
    # a tenth and a fifth of the people, whatever the paper counts in images
    if how == "subject" and len(set(subjects)) > 2:
        return by_subject(rows, subjects, (0.1, 0.2), seed)
    return by_class(rows, valid, test, seed)
