"""Run all attacks, including the long ones, and print the number of cases of each class.

    python -m tests.attack.count              runs them all in one process (about half an hour)
    python -m tests.attack.count FILE         prints the table of an earlier run, whose counts are in FILE
    python -m tests.attack.count FILE ARGS    runs pytest with these arguments and adds the counts to FILE

Exit code 1 if a test failed or fewer cases were run than docs/security.md says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.attack import tally


def main(words: list[str]) -> int:
    """Run the attacks or print a table; return the exit code."""
    path = Path(words[0]) if words else Path(tempfile.mkdtemp()) / "attacks.jsonl"
    failed = 0
    if len(words) != 1:
        asked = words[1:] or [str(Path(__file__).parent)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", *asked], env=os.environ | {tally.FILE: str(path)}, check=False
        )
        failed = done.returncode
    lines, enough = tally.table(path)
    print("\n".join(lines))
    return failed or int(not enough)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
