"""Make `votes.csv.gz`: the distinct rows of fer2013new.csv by usage, with their counts.

    python tests/fertrain/data/make_votes.py FER2013NEW.CSV

Votes only, no names: enough to test the counts of every rule where the file itself is absent. The votes are
Microsoft's (github.com/microsoft/FERPlus, MIT license).
"""

import csv
import gzip
import sys
from collections import Counter
from pathlib import Path

OUT = Path(__file__).with_name("votes.csv.gz")


def main(path: Path) -> None:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    counts = Counter((row[0], *map(int, row[2:])) for row in rows if row[1])
    lines = [",".join(map(str, (*key, n))) for key, n in sorted(counts.items())]
    # no name and no time in the header of the archive: the same votes give the same bytes
    with OUT.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
