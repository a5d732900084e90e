"""Cost of RMset at several sizes: hours of work, bytes, requests, money.

python -m benchmarks.cost [--videos 216 2000 20000] [--prices prices.toml] [--here]; a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rmset.bounded import read_toml
from rmset.inspect.calibrate import Rates, rates
from rmset.inspect.estimate import estimate
from rmset.manifest import Entry
from rmset.remote.lease import SECONDS
from rmset.remote.store import PART
from rmset.root import Root

# Two calm cores of an AMD EPYC (benchmarks/results/build.md at commit b4b19f5): 20 s of 1080p with eight people.
CALM = Rates(
    decode_fps=194, per_video_s=11.6, track_s_per_face=1.93e-3, export_s_per_crop=1.2e-4, bytes_per_crop=15_960,
    cores=2, busy=1.4, measured="2026-11-29",
)  # fmt: skip
# Counted by a proxy before moto: adding a video and building it (tests/remote/faults.py).
PUTS, GETS = 37, 23


@dataclass(frozen=True)
class Prices:
    """US dollars; round figures of large providers, to be replaced by the reader's own."""

    worker_hour: float = 0.08
    """two virtual cores"""
    gb_month: float = 0.023
    million_puts: float = 5.0
    million_gets: float = 0.4
    gb_out: float = 0.09
    """leaving the provider's network"""


def rows(videos: int, prices: Prices, speed: Rates) -> dict[str, str]:
    """Cost of one size; lengths and people as in the paper."""
    cost = estimate(Root("no root"), [Entry(f"https://host.invalid/{n}") for n in range(videos)], speed)
    hours = cost.decode_hours + cost.track_hours + cost.export_hours
    size = cost.video_bytes + cost.crop_bytes
    # Large files go up in parts; a lock is renewed four times in its life.
    puts = videos * PUTS + size / PART + hours * 3600 / (SECONDS / 4)
    gets = videos * GETS + cost.video_bytes / PART
    return {
        "frames, million": f"{cost.frames / 1e6:,.1f}",
        "crops, million": f"{cost.crops / 1e6:,.1f}",
        "hours of one worker": f"{hours:,.0f}",
        "… in days": f"{hours / 24:,.1f}",
        "… on 16 workers, days": f"{hours / 24 / 16:,.1f}",
        "videos, TB": f"{cost.video_bytes / 1e12:,.2f}",
        "crops, TB": f"{cost.crop_bytes / 1e12:,.2f}",
        "requests that write, million": f"{puts / 1e6:,.2f}",
        "requests that read, million": f"{gets / 1e6:,.2f}",
        "workers, $": f"{hours * prices.worker_hour:,.0f}",
        "requests, $": f"{puts / 1e6 * prices.million_puts + gets / 1e6 * prices.million_gets:,.1f}",
        "keeping it for a month, $": f"{size / 1e9 * prices.gb_month:,.0f}",
        "reading all crops once from elsewhere, $": f"{cost.crop_bytes / 1e9 * prices.gb_out:,.0f}",
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=[216, 2000, 20_000])
    parser.add_argument("--prices", type=Path, help="TOML with fields of Prices, such as worker_hour = 0.03")
    parser.add_argument("--here", action="store_true", help="rates of this machine, as `rmset estimate` has them")
    args = parser.parse_args()
    prices = replace(Prices(), **read_toml(args.prices)) if args.prices else Prices()
    found = [rows(videos, prices, rates() if args.here else CALM) for videos in args.videos]
    lines = [f"| videos | {' | '.join(f'{videos:,}' for videos in args.videos)} |", f"|---|{'---|' * len(found)}"]
    lines += [f"| {name} | {' | '.join(each[name] for each in found)} |" for name in found[0]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
