"""Results of a command in its folder, and their comparison with an undisturbed run."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tests.attack.commands import Case

VARIES = re.compile(r"(.*/)?(history\.csv|state/.*\.json|state/rows/.*|removed\.json)|root/videos/[^/]*\.json")
"""Speeds, times of work and of download, and parts of an index, which name the times of their shards."""
OWN = re.compile(r".*\.lock|(.*/)?state/(locks|index)/.*")
"""Held and rebuilt at need."""

HIDDEN = re.compile(r"(^|/)\.|\.partial(/|$)|(^|/)state/")
"""Under no name that a reader looks for."""


def results(place: Path) -> dict[str, str]:
    """sha256 of every file of a folder by name; the folder's own path in texts is ignored."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.is_file() and not OWN.fullmatch(name):
            found[name] = hashlib.sha256(path.read_bytes().replace(str(place).encode(), b"PLACE")).hexdigest()
    return found


def stable(found: dict[str, str]) -> dict[str, str]:
    """Those of the files whose bytes are the same after every run."""
    return {name: data for name, data in found.items() if not VARIES.fullmatch(name)}


def unfinished(place: Path) -> list[str]:
    """Names of incomplete files."""
    found = (p.relative_to(place).as_posix() for p in place.rglob("*"))
    return sorted(name for name in found if name.endswith((".partial", "resume.pt", ".writable")))


def check_whole(case: Case, place: Path, given: dict[str, str], calm: dict[str, str]) -> None:
    """Check that every file with a final name is as given, or as an undisturbed run leaves it."""
    if case.grows:
        return
    for name, data in stable(results(place)).items():
        if not HIDDEN.search(name):
            assert data in (given.get(name), calm.get(name)), f"{name} is neither old nor new"
