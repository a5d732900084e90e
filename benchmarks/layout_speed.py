"""What proposing costs beside decoding, for ten minutes at 1080p: `python -m benchmarks.layout_speed [--write]`.

The ten minutes are one composed mashup again and again, its packets copied, so every tenth second has a key frame.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import av

from benchmarks.mashups import MASHUPS, cache_folder, clips_folder, compose
from rmset.parts.frames import VideoReader
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, propose
from rmset.store import Root

RESULTS = Path(__file__).parent / "results" / "layout_speed.md"


def repeated(video: Path, output: Path, times: int) -> None:
    """The video so many times after itself; packets are copied, nothing is encoded."""
    with av.open(str(output), "w") as target:
        stream = None
        shift = 0
        for _ in range(times):
            with av.open(str(video)) as source:
                own = source.streams.video[0]
                stream = stream or target.add_stream_from_template(own)
                length = own.duration or 0
                for packet in source.demux(own):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = (packet.pts or 0) + shift, packet.dts + shift
                    packet.stream = stream
                    target.mux(packet)
            shift += length


def main() -> None:
    """Measure both in one run, because the machine is shared."""
    mashup = next(m for m in MASHUPS if m.name == "bordered-c")
    video = compose(mashup, clips_folder(), cache_folder())
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.mp4"
        repeated(video, long, round(600 / mashup.seconds))
        root = Root(Path(folder) / "root")
        record = fetch.add(root, long)
        config = ProposeConfig()
        began = time.perf_counter(), time.process_time()
        propose(root, record.video_id, config)
        took = time.perf_counter() - began[0], time.process_time() - began[1]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter(), time.process_time()
        with VideoReader(long) as reader:
            frames = sum(1 for _ in reader.frames())
        decoded = time.perf_counter() - began[0], time.process_time() - began[1]
    lines = [
        "| what | wall s | processor s |",
        "|---|---|---|",
        f"| decoding all {frames} frames of {record.width}x{record.height} | {decoded[0]:.1f} | {decoded[1]:.1f} |",
        f"| proposing its layout, detector made included | {took[0]:.1f} | {took[1]:.1f} |",
        f"| ratio (bar: 0.15) | {took[0] / decoded[0]:.3f} | {took[1] / decoded[1]:.3f} |",
        f"| peak memory after proposing | {memory:.0f} MB | |",
    ]
    print("\n".join(lines))
    if "--write" in sys.argv:
        RESULTS.write_text("# Proposing beside decoding\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
