"""Output of a benchmark: a table on the terminal, and the same table with machine and commit in a file."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Line:
    """One measurement."""

    what: str
    found: str
    bar: str = ""
    """what it must hold, if anything"""
    held: bool | None = None
    """whether it does"""


def machine(*, load: bool = True) -> str:
    """Processor, cores and, for timings, load in one line, without which a result cannot be compared."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    busy = f"load {os.getloadavg()[0]:.1f} when begun, " if load else ""
    return f"{model}, {os.cpu_count()} cores, {busy}Python {platform.python_version()}"


def commit() -> str:
    """Short hash of the commit, marked if code differs from it; call it first, as a commit may happen meanwhile."""
    code = ("rmset", "fertrain", "cli", "benchmarks/*.py")

    def git(*words: str) -> str:
        top = Path(__file__).parent.parent
        return subprocess.run(["git", *words], cwd=top, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "--", *code) else "")


def memory() -> tuple[float, float]:
    """Private memory of this process, and its total memory including mapped files, MB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, every = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS"))
    return own, every


def in_turn(rounds: int, **works: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each work, measured in turns round by round, so that other load affects all alike."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            took[name].append(time.perf_counter() - began)
    return took


def ratio(took: dict[str, list[float]], ours: str, theirs: str) -> float:
    """Speed of ours relative to theirs: the median of the ratios within each round."""
    return statistics.median(b / a for a, b in zip(took[ours], took[theirs], strict=True))


def timing_parser(about: str | None, *, threads: int, rounds: int) -> argparse.ArgumentParser:
    """Options of a benchmark that lets two ways take turns, with its docstring as help."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--write", action="store_true", help="to benchmarks/results")
    return parser


def publish(
    name: str, title: str, lines: Sequence[Line], notes: Sequence[str], *, write: bool, after: Sequence[str] = ()
) -> None:
    """Print the table, the notes and the text after them; if requested, write them to `benchmarks/results/<name>.md`.

    Parts that are empty are left out.
    """
    text = [f"# {title}", ""]
    text += [f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {machine()}.", ""]
    mark = {True: "yes", False: "**no**", None: ""}
    table = [f"| {line.what} | {line.found} | {line.bar} | {mark[line.held]} |" for line in lines]
    head = ["| measured | result | bar | held |", "|---|---|---|---|"] if table else []
    parts = [[*head, *table], [f"- {note}" for note in notes], after]
    text += "\n\n".join("\n".join(part) for part in parts if part).split("\n")
    page = "\n".join(text) + "\n"
    print(page)
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(page, encoding="utf-8")
