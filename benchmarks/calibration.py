"""Share of right videos by confidence: a threshold chosen on one half of the kinds, tested on the other, and swapped.

    python -m benchmarks.calibration

Reads the rows that `benchmarks.kinds` and `benchmarks.places` wrote with `--json` to benchmarks/results, and prints
tables. `benchmarks.plots` draws the figure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

RESULTS = Path(__file__).parent / "results"
RECALL, IDF1 = 0.97, 0.95
SURE = 0.8
"""threshold of the review page and of `rmset status`"""
WANTED = 0.95
"""share of right videos"""
_READ = {f"places-{number:02}" for number in (*range(1, 13, 2), *range(31, 43, 2), 51, *range(61, 91, 2))}
BINS = ((0.0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01))


@dataclass(frozen=True)
class Video:
    """Scores of one measured video."""

    name: str
    half: str
    """`tuning`, or `unseen`: measured once, after all changes"""
    confidence: float
    right: bool
    """recall and IDF1 reach their bars"""


def measured() -> list[Video]:
    """Videos of both benchmarks; those of held-out people whose scores were read during tuning are left out."""
    videos = []
    for file in ("kinds.json", "places.json"):
        for row in json.loads((RESULTS / file).read_text(encoding="utf-8"))["videos"]:
            if row["half"] == "held-out" and (file == "kinds.json" or row["name"] in _READ):
                continue
            half = "tuning" if row["half"] == "tuning" else "unseen"
            # as `rmset build` leaves them: with ids corrected
            right = row["recall"] >= RECALL and row["mended"] >= IDF1
            videos.append(Video(row["name"], half, row["mended_confidence"], right))
    return videos


def least_threshold(videos: Sequence[Video], wanted: float = WANTED) -> float:
    """Return the least confidence such that of the videos at or above it, the share of right ones is `wanted`.

    1.0 if there is none.
    """
    for threshold in sorted({v.confidence for v in videos}):
        kept = [v for v in videos if v.confidence >= threshold]
        if sum(v.right for v in kept) >= wanted * len(kept):
            return threshold
    return 1.0


def least_share(right: int, count: int) -> float:
    """Lower bound of a share (Clopper-Pearson, one-sided, 95 %)."""
    return float(stats.beta.ppf(0.05, right, count - right + 1)) if right else 0.0


def told(videos: Sequence[Video], threshold: float) -> str:
    """Cells of a table: how many of the videos are kept, right, and the bound of their share."""
    kept = [v for v in videos if v.confidence >= threshold]
    right = sum(v.right for v in kept)
    share = f"{right / len(kept):.3f}" if kept else "–"
    return f"{threshold:.2f} | {len(kept)} of {len(videos)} | {right} | {share} | {least_share(right, len(kept)):.2f}"


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    videos = measured()
    halves = {h: [v for v in videos if v.half == h] for h in ("tuning", "unseen")}
    print("| threshold from | tested on | threshold | kept | right | share | at least (95 %) |")
    print("|---|---|---|---|---|---|---|")
    for name, group in {**halves, "all": videos}.items():
        print(f"| fixed | {name} | {told(group, SURE)} |")
    for of, on in (("tuning", "unseen"), ("unseen", "tuning")):
        print(f"| {of} | {on} | {told(halves[on], least_threshold(halves[of]))} |")
    print("\n| confidence | tuning: videos | right | unseen: videos | right |\n|---|---|---|---|---|")
    for low, high in BINS:
        cells = []
        for group in halves.values():
            inside = [v for v in group if low <= v.confidence < high]
            cells += [str(len(inside)), str(sum(v.right for v in inside))]
        print(f"| {low} to {min(high, 1.0)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
