"""Counts of the attacks: each test notes its cases, and a table adds them up."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

FILE = "RMSET_ATTACK_TALLY"
"""environment variable that names the file of counts"""
WANTED = {"fuzzed inputs": 10_000, "kills": 1000, "signals": 200, "full disks": 100, "SQL statements": 2000}


def note(kind: str, what: str, **counts: int) -> None:
    """Write down what a test ran: one line of JSON, and one line of talk.

    Args:
        kind: the class of the attack, one of `WANTED` or another.
        what: which command or reader.
        **counts: `cases`, and whatever else was counted.
    """
    print(f"{kind}: {what}: " + ", ".join(f"{value} {name}" for name, value in counts.items()))
    if os.environ.get(FILE):
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "what": what, **counts}) + "\n")


def table(path: Path) -> tuple[list[str], bool]:
    """Return the lines of a table of all counts, and whether as many were run as are wanted."""
    sums: dict[str, Counter[str]] = {}
    kinds: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        kind, what = found.pop("kind"), found.pop("what")
        sums.setdefault(kind, Counter()).update(found)
        kinds.setdefault(kind, set()).add(what)
    lines = ["| class | cases | wanted | over | more |", "|---|---:|---:|---:|---|"]
    for kind, counts in sorted(sums.items()):
        more = ", ".join(f"{value:,} {name}" for name, value in sorted(counts.items()) if name != "cases")
        lines.append(f"| {kind} | {counts['cases']:,} | {WANTED.get(kind, 0):,} | {len(kinds[kind])} | {more} |")
    return lines, all(sums.get(kind, Counter())["cases"] >= least for kind, least in WANTED.items())
