"""Checks of a labeled set: counts, missing, unreadable and damaged files, duplicates, label order.

Every image is read by the reader that training uses, so both agree on what is there.

A wrong label order shows as published class counts under other names: RAF-DB has 4,772 happy training images, so a
folder with 4,772 sad ones does not use the official numbering.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simplejpeg

from rmset.parts.picture_size import check_picture
from rmset.progress import Progress, silent

from ..errors import DatasetError
from .base import Issue, LabeledSet, Level
from .images import decode
from .published import PUBLISHED, near

Pictures = dict[str, list[tuple[str, str, int]]]


@dataclass(frozen=True)
class CheckReport:
    """Counts as table rows, and findings."""

    counts: list[dict[str, object]]
    """One row per split and rule: split, rule, images, then one column per class."""
    findings: list[Issue]
    """All findings."""

    @property
    def broken(self) -> bool:
        """Whether training would stop, or learn wrong labels."""
        return any(f.level is Level.ERROR for f in self.findings)

    def rows(self) -> list[dict[str, Any]]:
        """List counts and findings as the rows of one table; a finding has the columns finding, level, n, example."""
        classes = list(dict.fromkeys(name for row in self.counts for name in row))
        blank: dict[str, Any] = dict.fromkeys([*classes, "finding", "level", "n", "example"])
        counted = [{**blank, **row} for row in self.counts]
        said = [
            {**blank, "split": f.split, "finding": f.what, "level": str(f.level), "n": f.n, "example": f.example}
            for f in self.findings
        ]
        return counted + said


def check(data: LabeledSet, progress: Progress = silent) -> CheckReport:
    """Count every split under every rule, then open every image once."""
    counts: list[dict[str, object]] = []
    findings = data.findings() + evidence(data)
    pictures: Pictures = defaultdict(list)
    for split in data.splits():
        seen: dict[str, int] = {}
        for rule in data.rules():
            kept = data.load(split, rule)
            counts.append({"split": split, "rule": rule, "images": len(kept), **kept.counts()})
            for name, k in zip(kept.names, kept.classes.tolist(), strict=True):
                seen.setdefault(name, k)
        findings += _opened(data, split, seen, pictures, progress)
    return CheckReport(counts, findings + twins(pictures))


def _opened(data: LabeledSet, split: str, seen: dict[str, int], pictures: Pictures, progress: Progress) -> list[Issue]:
    """Missing, damaged and non-image files; adds every other file to `pictures` under its pixel hash."""
    source = data.load(split, data.rules()[0]).source
    bad: dict[str, list[str]] = {"missing file": [], "unreadable": [], _DAMAGED: []}
    for done, (name, k) in enumerate(seen.items(), start=1):
        try:
            content = source.get(name)
            if (fault := jpeg_fault(content)) is not None:
                bad["unreadable" if "Premature end of JPEG" in fault else _DAMAGED].append(name)
                continue
            image = decode(content, name, gray=True)
            # gray pixels, not bytes: the same picture saved twice is the same picture
            pictures[hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()].append((split, name, k))
        except FileNotFoundError:
            bad["missing file"].append(name)
        except DatasetError:
            bad["unreadable"].append(name)
        if done % 256 == 0 or done == len(seen):
            progress(f"open {split}", done, len(seen))
    return [Issue(split, what, len(names), names[0], Level.ERROR) for what, names in bad.items() if names]


_DAMAGED = "damaged image: decoders invent the missing part"


def jpeg_fault(content: bytes) -> str | None:
    """Return the decoder's warning about a damaged JPEG; None for whole ones and other formats."""
    if not content.startswith(b"\xff\xd8"):
        return None
    try:
        check_picture(content)
    except ValueError:
        return None  # `decode` raises for it
    try:
        simplejpeg.decode_jpeg(content, "GRAY", strict=True)
    except ValueError as error:
        text = str(error)
        return text if text.startswith(("Corrupt", "Premature")) else None
    return None


def evidence(data: LabeledSet) -> list[Issue]:
    """Compare class counts with published ones; one finding per split with published counts."""
    found = [Issue("all", f"label order {data.order.name}", len(data.order), ", ".join(data.order.classes))]
    rule = data.rules()[0]
    counts = {split: tuple(data.load(split, rule).counts().values()) for split in data.splits()}
    counts["all"] = tuple(sum(column) for column in zip(*counts.values(), strict=True))
    for split, known in PUBLISHED.get(data.order.name, {}).items():
        if split in counts:
            verdict, level = _verdict(counts[split], known)
            found.append(Issue(split, f"label order: {verdict}", sum(counts[split]), level=level))
    return found


def _verdict(counts: Sequence[int], known: Sequence[Sequence[int]]) -> tuple[str, Level]:
    for published in known:
        if tuple(published) == tuple(counts):
            return "counts of every class are the published ones", Level.NOTE
        if sorted(published) == sorted(counts):
            other = "the published counts belong to OTHER classes; the numbering is not the official one"
            return other, Level.ERROR
        if near(counts, published):
            return "counts of every class are within 3 % of the published ones", Level.NOTE
    return "no evidence, as the counts are not those of the whole published split", Level.NOTE


def twins(pictures: Mapping[str, Sequence[tuple[str, str, int]]]) -> list[Issue]:
    """Pictures that occur more than once.

    Args:
        pictures: by hash of the pixels: (split, name, class) of each image that shows them.

    Returns:
        Copies within a split, copies across splits (a test image in the training set), copies with different labels.
    """
    within: dict[str, list[str]] = {}
    across: dict[str, list[str]] = {}
    contradicting: dict[str, list[str]] = {}
    for copies in pictures.values():
        if len(copies) < 2:
            continue
        splits = list(dict.fromkeys(split for split, _, _ in copies))
        example = f"{copies[0][1]} = {copies[1][1]}"
        if len(splits) > 1:
            across.setdefault(" and ".join(splits), []).append(example)
        elif len({name for _, name, _ in copies}) > 1:
            within.setdefault(splits[0], []).append(example)
        if len({k for _, _, k in copies}) > 1:
            contradicting.setdefault(" and ".join(splits), []).append(example)
    return [
        *(Issue(s, "same picture more than once", len(e), e[0]) for s, e in within.items()),
        *(Issue(s, "same picture in both splits", len(e), e[0], Level.WARNING) for s, e in across.items()),
        *(
            Issue(s, "same picture with different labels", len(e), e[0], Level.WARNING)
            for s, e in contradicting.items()
        ),
    ]
