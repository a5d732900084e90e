"""What `fertrain datasets check` finds: counts, missing files, files that are no images, twins, label order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

from rmset.progress import Progress, silent

from ..errors import DatasetError
from .evidence import evidence, twins
from .images import decode
from .labelled import Finding, LabelledSet

Pictures = dict[str, list[tuple[str, str, int]]]


@dataclass(frozen=True)
class CheckReport:
    """Counts as table rows, and what is wrong."""

    counts: list[dict[str, object]]
    """One row per split and rule: split, rule, images, then one column per class."""
    findings: list[Finding]
    """What a user should know."""

    @property
    def broken(self) -> bool:
        """A file is missing or cannot be read: training would stop at it."""
        return any(f.what in ("missing file", "unreadable") for f in self.findings)


def check(data: LabelledSet, progress: Progress = silent) -> CheckReport:
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


def _opened(
    data: LabelledSet, split: str, seen: dict[str, int], pictures: Pictures, progress: Progress
) -> list[Finding]:
    """Files that are no images; every other one is added to `pictures` by what it shows."""
    source = data.load(split, data.rules()[0]).source
    bad: list[str] = []
    for done, (name, k) in enumerate(seen.items(), start=1):
        try:
            image = decode(source.get(name), name, grey=True)
            # grey pixels, not bytes: the same picture saved twice is the same picture
            pictures[hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()].append((split, name, k))
        except FileNotFoundError:
            pass  # a missing file is the data set's own finding
        except DatasetError:
            bad.append(name)
        if done % 256 == 0 or done == len(seen):
            progress(f"open {split}", done, len(seen))
    return [Finding(split, "unreadable", len(bad), bad[0])] if bad else []
