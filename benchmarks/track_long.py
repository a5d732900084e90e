"""Memory and time of tracking a long video compared with a short one: the same minute once, and repeated.

RMSET_TEST_DATA=… python -m benchmarks.track_long [--minutes 20] [--write]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Line, publish
from benchmarks.track_mashups import compose, drawn_by_hand, long_video
from rmset.pipeline import run_stage
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.track import TrackConfig
from rmset.truth import Truth


def alone(path: str, home: str, truth: str) -> None:
    """Track one video in this process and print its peak memory in MB, its frames and its seconds."""
    root = Root(home)
    record = fetch.add(root, Path(path))
    drawn = drawn_by_hand(record.video_id, Truth.read(Path(truth)))
    (segment,) = drawn.segments
    root.write_layout(replace(drawn, segments=(replace(segment, end_frame=record.frame_count),)))
    outcome = run_stage(root, record.video_id, "track", TrackConfig(), force=True)
    if outcome.error:
        raise SystemExit(outcome.error)
    # Not ru_maxrss, which remembers the process that this one was forked from.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024, record.frame_count, outcome.seconds)


def measured(path: Path, truth: Path, home: Path) -> tuple[float, int, float]:
    """Track one video in its own process; return peak memory in MB, frames and seconds."""
    command = f"from benchmarks.track_long import alone; alone({str(path)!r}, {str(home)!r}, {str(truth)!r})"
    told = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), int(told[1]), float(told[2])


def main() -> None:
    """Measure, print, and write if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=20, help="length of the long video")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "rmset-track-mashups")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    data = os.environ.get("RMSET_TEST_DATA")
    if not data:
        sys.exit("expected $RMSET_TEST_DATA, the folder with the clips")
    options.cache.mkdir(parents=True, exist_ok=True)
    path, _ = compose(options.cache, Path(data), 0, 60)
    truth = path.with_suffix("").with_suffix(".truth.json")
    with tempfile.TemporaryDirectory() as home:
        short = measured(path, truth, Path(home) / "short")
        long = measured(long_video(path, options.minutes), truth, Path(home) / "long")
    more, slower = long[0] / short[0], (long[2] / long[1]) / (short[2] / short[1])
    lines = [
        Line("frames, short and long", f"{short[1]} and {long[1]}"),
        Line("peak memory, short and long, MB", f"{short[0]:.0f} and {long[0]:.0f}", "< 1,536", long[0] < 1536),
        Line("long / short, peak memory", f"{more:.2f}", "<= 1.1", more <= 1.1),
        Line("long / short, time a frame", f"{slower:.2f}", "<= 1.1", slower <= 1.1),
    ]
    notes = ["The long video is the short one's packets over and over. Each is tracked by a process of its own."]
    publish("track_long", "Tracking a long video", lines, notes, write=options.write)


if __name__ == "__main__":
    main()
