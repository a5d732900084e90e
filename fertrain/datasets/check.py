"""What `fertrain datasets check` finds: counts, missing files, files that are no images."""

from __future__ import annotations

from dataclasses import dataclass

from rmset.progress import Progress, silent

from ..errors import DatasetError
from .images import decode
from .labelled import Finding, LabelledSet


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
    findings = data.findings()
    for split in data.splits():
        seen: dict[str, None] = {}
        for rule in data.rules():
            kept = data.load(split, rule)
            counts.append({"split": split, "rule": rule, "images": len(kept), **kept.counts()})
            seen.update(dict.fromkeys(kept.names))
        findings += _unreadable(data, split, list(seen), progress)
    return CheckReport(counts, findings)


def _unreadable(data: LabelledSet, split: str, names: list[str], progress: Progress) -> list[Finding]:
    source = data.load(split, data.rules()[0]).source
    bad: list[str] = []
    for done, name in enumerate(names, start=1):
        try:
            decode(source.get(name), name, grey=True)
        except FileNotFoundError:
            pass  # a missing file is the data set's own finding
        except DatasetError:
            bad.append(name)
        if done % 256 == 0 or done == len(names):
            progress(f"open {split}", done, len(names))
    return [Finding(split, "unreadable", len(bad), bad[0])] if bad else []
