"""Time of layout proposal relative to decoding, at 1080p, for 1, 5 and 10 minutes.

    python -m benchmarks.layout_speed [--write]

The ten minutes are composed like the other mashups (half an hour, once); the shorter videos are their beginning.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.mashups import FULL, Mashup, cache_folder, clips_folder, compose
from rmset.parts.frames import VideoReader
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, propose

RESULTS = Path(__file__).parent / "results" / "layout_speed.md"
MINUTES = (1, 5, 10)
LONG = Mashup("long", "bordered", 3, "film_without_face", "clips", size=FULL, seconds=600)
BAR = 0.15


@dataclass(frozen=True)
class Cost:
    """Time and memory of one process, from start to end."""

    wall_s: float
    cpu_s: float
    """user and system, all threads"""
    peak_mb: float
    """largest resident memory"""
    said: str


def cost(*words: str) -> Cost:
    """Run this file with the given arguments in its own process."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.layout_speed", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = json.loads(done.stdout.splitlines()[-1])
    return Cost(time.perf_counter() - began, cpu, said["peak_mb"], said["said"])


def beginning(video: Path, output: Path, seconds: float) -> None:
    """Copy the packets of a video's first seconds."""
    with av.open(str(video)) as source, av.open(str(output), "w") as target:
        own = source.streams.video[0]
        stream = target.add_stream_from_template(own)
        for packet in source.demux(own):
            if packet.dts is not None and packet.dts * packet.time_base < seconds:
                packet.stream = stream
                target.mux(packet)


def videos() -> dict[int, Path]:
    """Videos of each length."""
    whole = compose(LONG, clips_folder(), cache_folder())
    paths = {minutes: cache_folder() / f"{LONG.name}-{minutes}.mp4" for minutes in MINUTES[:-1]} | {MINUTES[-1]: whole}
    for minutes, path in paths.items():
        if not path.exists():
            beginning(whole, path, 60.0 * minutes)
    return paths


def _work(what: str, place: str, name: str) -> None:
    """Work of the child process: decode a file, or propose the layout of a video of a root."""
    if what == "decode":
        with VideoReader(Path(place)) as reader:
            said = str(sum(1 for _ in reader.frames()))
    else:
        said = str(propose(Root(Path(place)), name, ProposeConfig()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak_mb": peak, "said": said}))


def main() -> None:
    """Measure everything in one run, because the machine is shared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", nargs=3, help="decode or propose, where, which: in a process of its own")
    options = parser.parse_args()
    if options.work:
        _work(*options.work)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        for minutes, path in videos().items():
            record = fetch.add(root, path)
            proposed = cost("--work", "propose", folder, record.video_id)
            decoded = cost("--work", "decode", str(path), "")
            wall, cpu = proposed.wall_s / decoded.wall_s, proposed.cpu_s / decoded.cpu_s
            rows.append(
                f"| {minutes} | {decoded.wall_s:.1f} | {decoded.cpu_s:.1f} | {proposed.wall_s:.1f} | "
                f"{proposed.cpu_s:.1f} | {wall:.3f} | {cpu:.3f} | {proposed.peak_mb:.0f} |"
            )
            print(rows[-1], proposed.said, flush=True)
    head = [
        "| minutes | decoding s | its processor s | proposing s | its processor s | ratio | of processor | peak MB |",
        "|" + "---|" * 8,
    ]
    print("\n".join([*head, *rows]))
    if options.write:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        text = (
            f"# Proposing beside decoding\n\n{platform.machine()}, {os.cpu_count()} cores, commit {commit}, "
            f"`python -m benchmarks.layout_speed --write`. 1080p at 30 frames/s; each number is a whole process, the "
            f"start of Python, imports and making the detector included. Bar: ratio at most {BAR} for ten minutes.\n\n"
        )
        RESULTS.write_text(text + "\n".join([*head, *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
