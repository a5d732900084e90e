"""Checks of a labeled set: counts, missing and unreadable files, duplicates, label order.

A wrong label order shows as the published class counts under other names: 4,772 RAF-DB training images are happy, so
a folder in which they are sad has another numbering than the official one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rmset.progress import Progress, silent

from ..errors import DatasetError
from .base import Issue, LabeledSet
from .images import decode

Pictures = dict[str, list[tuple[str, str, int]]]


@dataclass(frozen=True)
class CheckReport:
    """Counts as table rows, and what is wrong."""

    counts: list[dict[str, object]]
    """One row per split and rule: split, rule, images, then one column per class."""
    findings: list[Issue]
    """What a user should know."""

    @property
    def broken(self) -> bool:
        """A file is missing or cannot be read: training would stop at it."""
        return any(f.what in ("missing file", "unreadable") for f in self.findings)


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
    """Files that are no images; every other one is added to `pictures` by what it shows."""
    source = data.load(split, data.rules()[0]).source
    bad: list[str] = []
    for done, (name, k) in enumerate(seen.items(), start=1):
        try:
            image = decode(source.get(name), name, gray=True)
            # gray pixels, not bytes: the same picture saved twice is the same picture
            pictures[hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()].append((split, name, k))
        except FileNotFoundError:
            pass  # a missing file is the data set's own finding
        except DatasetError:
            bad.append(name)
        if done % 256 == 0 or done == len(seen):
            progress(f"open {split}", done, len(seen))
    return [Issue(split, "unreadable", len(bad), bad[0])] if bad else []


# In each order of labels.py, as the data sets' papers and sites print them
PUBLISHED: dict[str, dict[str, tuple[tuple[int, ...], ...]]] = {
    "fer2013": {"train": ((3995, 436, 4097, 7215, 4830, 3171, 4965),)},
    "rafdb": {"train": ((1290, 281, 717, 4772, 1982, 705, 2524),), "test": ((329, 74, 160, 1185, 478, 162, 680),)},
    "affectnet8": {"train": ((74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750),), "valid": ((500,) * 8,)},
    "affectnet7": {"train": ((74874, 134415, 25459, 14090, 6378, 3803, 24882),), "valid": ((500,) * 7,)},
    "ckplus7": {"all": ((45, 18, 59, 25, 69, 28, 83), (135, 54, 177, 75, 207, 84, 249))},
}
"""Images per class by order and split ("all": over every split); CK+ with one frame and with three."""
_NEAR = 0.03


def evidence(data: LabeledSet) -> list[Issue]:
    """What the counts say of the order, one finding per split that something is published of."""
    found = [Issue("all", f"label order {data.order.name}", len(data.order), ", ".join(data.order.classes))]
    rule = data.rules()[0]
    counts = {split: tuple(data.load(split, rule).counts().values()) for split in data.splits()}
    counts["all"] = tuple(sum(column) for column in zip(*counts.values(), strict=True))
    for split, known in PUBLISHED.get(data.order.name, {}).items():
        if split in counts:
            found.append(Issue(split, f"label order: {_verdict(counts[split], known)}", sum(counts[split])))
    return found


def _verdict(counts: Sequence[int], known: Sequence[Sequence[int]]) -> str:
    for published in known:
        if tuple(published) == tuple(counts):
            return "counts of every class are the published ones"
        if sorted(published) == sorted(counts):
            return "the published counts stand on OTHER classes; the numbering is not the official one"
        if all(abs(a - b) <= _NEAR * b for a, b in zip(counts, published, strict=True)):
            return "counts of every class are within 3 % of the published ones"
    return "no evidence, as the counts are not those of the whole published split"


def twins(pictures: Mapping[str, Sequence[tuple[str, str, int]]]) -> list[Issue]:
    """Pictures that stand more than once.

    Args:
        pictures: by hash of the pixels: (split, name, class) of each image that shows them.

    Returns:
        Copies within a split, copies across splits (a test image that was learned from), copies that contradict.
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
        *(Issue(s, "same picture in both splits", len(e), e[0]) for s, e in across.items()),
        *(Issue(s, "same picture with different labels", len(e), e[0]) for s, e in contradicting.items()),
    ]
