"""Identity switches in short mashups in which people change places, are replaced, leave and return.

Half of them show the tuning people of `benchmarks.kinds`, half the held-out ones; each has its own seed, layout and set
of edits. Clips are shown whole, because a face cut by its panel would not count. A *silent mix* is a video with an IDF1
below 0.95 and a confidence of 0.8 or more.

    python -m benchmarks.places [--first 0] [--count 120] [--json rows.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.kinds import Kind, Row, compose, measure
from benchmarks.mashups import cache_folder

SIZE, SECONDS = (640, 360), 5.0
EDITS: tuple[tuple[str, ...], ...] = (
    ("swap",),
    ("replace",),
    ("leave",),
    ("leave", "swap"),
    ("swap", "replace"),
    ("leave", "replace"),
)
LAYOUTS = (("2x2", 3), ("2x3", 5), ("row", 4), ("side", 3), ("bordered", 4))
COUNT = 120
LEAST, SURE = 0.95, 0.8


def kind_of(number: int) -> tuple[Kind, str]:
    """Return the video of a number, and the half whose people it shows."""
    layout, people = LAYOUTS[number // 2 % len(LAYOUTS)]
    edits = EDITS[number // 2 % len(EDITS)]
    name = f"places-{number:02}"
    half = "tuning" if number % 2 == 0 else "held-out"
    return Kind(name, layout, people, "generated", (*edits, "film-cuts"), SECONDS, SIZE, cover=False), half


def told(rows: Sequence[Row]) -> str:
    """Format the scores of a group as one line: before corrections, and as `rmset build` leaves them."""
    silent = [r for r in rows if r.mended < LEAST and r.mended_confidence >= SURE]
    wrong = [r for r in rows if r.mended < LEAST]
    unsure = [r for r in rows if r.mended_confidence < SURE]
    return (
        f"{len(rows)} videos: mean IDF1 {np.mean([r.idf1 for r in rows]):.3f} before corrections, "
        f"{np.mean([r.mended for r in rows]):.3f} after, mean recall "
        f"{np.mean([r.recall for r in rows]):.3f}, {len(wrong)} below {LEAST}, {len(unsure)} unsure, "
        f"{len(silent)} silent"
    )


def main() -> None:
    """Compose missing videos, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--step", type=int, default=1, help="2 takes the people of one half only")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of videos, instead of --first, --count and --step")
    parser.add_argument("--compose-only", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    rows = []
    began = time.perf_counter()
    numbers = options.only or range(options.first, min(options.first + options.count, COUNT), options.step)
    for number in numbers:
        kind, half = kind_of(number)
        if options.compose_only:
            compose(kind, half, cache)
            continue
        rows.append(measure(kind, half, compose(kind, half, cache)))
        row = rows[-1]
        edits = "+".join(kind.edits[:-1])
        print(
            f"{kind.name} {half} {kind.layout} {edits} recall={row.recall} idf1={row.idf1} switches={row.switches} "
            f"confidence={row.confidence} mended={row.mended} mended_confidence={row.mended_confidence} "
            f"said={row.said}",
            flush=True,
        )
    if not rows:
        return
    for half in ("tuning", "held-out"):
        if some := [r for r in rows if r.half == half]:
            print(f"{half}: {told(some)}")
    print(f"all: {told(rows)}; {time.perf_counter() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
