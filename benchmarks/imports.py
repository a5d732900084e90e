"""Time and memory of `import rmset` and `import fertrain`, each in a fresh interpreter.

python -m benchmarks.imports --write
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.report import Line, in_turn, publish

BAR = 0.15
"""seconds"""


def _fresh(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def measure(rounds: int) -> list[Line]:
    """Lines of the table, from the fastest round: other load can only add time."""
    took = in_turn(
        rounds,
        nothing=lambda: _fresh("pass"),
        rmset=lambda: _fresh("import rmset"),
        fertrain=lambda: _fresh("import fertrain"),
    )
    cost = {name: min(t) - min(took["nothing"]) for name, t in took.items()}
    return [
        Line(f"import {name}", f"{1000 * cost[name]:.0f} ms", f"≤ {1000 * BAR:.0f} ms", cost[name] <= BAR)
        for name in ("rmset", "fertrain")
    ]


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="to benchmarks/results")
    args = parser.parse_args()
    notes = ["The interpreter's own start is taken off."]
    publish("imports", "Imports", measure(args.rounds), notes, write=args.write)


if __name__ == "__main__":
    main()
