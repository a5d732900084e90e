"""Time of whole builds relative to decoding alone, per stage, at 1080p with eight people.

    RMSET_TEST_DATA=… python -m benchmarks.build [--rounds 3] [--lengths 20,60,600] [--codecs h264,vp9,av1] [--write]

Each measurement is a process of its own, so start-up, imports and loading of nets count. Decoding alone and the build
take turns, so that other load affects both alike. Stages are those of `rmset build`: layout, track, audit, export.
Videos of several minutes repeat one, and are measured once.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av

from benchmarks.mashups import FULL, Mashup, cache_folder, clips_folder, compose
from benchmarks.report import Line, publish
from rmset.parts.frames import VideoReader
from rmset.parts.identity import load as load_embedder
from rmset.pipeline import Config, run_stages
from rmset.read.video import index_of
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.audit import AuditConfig
from rmset.stages.export import ExportConfig
from rmset.stages.layout import ProposeConfig
from rmset.stages.track import TrackConfig

STEPS: list[tuple[str, Config]] = [
    ("layout", ProposeConfig()), ("track", TrackConfig()), ("audit", AuditConfig()), ("export", ExportConfig())
]  # fmt: skip
MASHUP = Mashup("build", "3x3", 8, "film_with_face", "mixed", size=FULL)
# Encoders of the other codecs, at a speed that makes a minute in a few.
ENCODERS = {
    "vp9": ("libvpx-vp9", {"crf": "32", "b": "0", "cpu-used": "6", "row-mt": "1", "deadline": "good"}),
    "av1": ("libsvtav1", {"crf": "35", "preset": "9"}),
}
# Frames on which facenet-pytorch, at a fifth of a second each, is run.
SAMPLED = 12
MINUTE = 60
"""seconds; longer videos repeat it"""


def videos(seconds: int, codecs: Iterable[str]) -> dict[str, Path]:
    """Return one mashup in each codec, made unless it is in the cache."""
    once = min(seconds, MINUTE)
    if seconds % once:
        raise SystemExit(f"expected at most a minute, or whole minutes, found --lengths {seconds}")
    first = compose(replace(MASHUP, name=f"build-{once}", seconds=float(once)), clips_folder(), cache_folder())
    if seconds > once:
        first = _repeated(first, seconds // once, first.with_name(f"build-{seconds}.mp4"))
    paths = {"h264": first} | {c: first.with_name(f"build-{seconds}-{c}.mkv") for c in ENCODERS}
    for codec in codecs:
        if not paths[codec].exists():
            _encode(first, paths[codec], *ENCODERS[codec])
    return {codec: paths[codec] for codec in codecs}


def _repeated(source: Path, times: int, target: Path) -> Path:
    """Return a video that plays another several times; its packets are copied."""
    if not target.exists():
        unfinished = target.with_name(f"unfinished-{target.name}")
        with av.open(str(unfinished), "w") as made:
            stream, shift = None, 0
            for _ in range(times):
                with av.open(str(source)) as given:
                    own = given.streams.video[0]
                    stream = stream or made.add_stream_from_template(own)
                    end = shift + (own.duration or 0)
                    for packet in given.demux(own):
                        if packet.dts is None or packet.pts is None:
                            continue
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        made.mux(packet)
                    shift = end
        unfinished.rename(target)
    return target


def _encode(source: Path, target: Path, name: str, options: dict[str, str]) -> None:
    unfinished = target.with_name(f"unfinished-{target.name}")
    with av.open(str(source)) as given, av.open(str(unfinished), "w") as made:
        own = given.streams.video[0]
        stream = made.add_stream(name, rate=own.average_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = own.width, own.height, "yuv420p"
        for frame in given.decode(own):
            frame.pict_type = 0
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    unfinished.rename(target)


def measured(*words: str) -> dict[str, Any]:
    """Run this file with the given arguments in its own process: wall and processor seconds, and what it prints."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.build", "--work", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - began, "cpu": cpu} | json.loads(done.stdout.splitlines()[-1])


def _work(what: str, path: str, home: str) -> dict[str, Any]:
    """Work of the child process."""
    if what == "decode":
        with VideoReader(Path(path), index=index_of(Root(Path(home)), home_id(home))) as reader:
            return {"frames": sum(1 for _ in reader.frames())}
    if what == "facenet":
        from facenet_pytorch import MTCNN

        theirs, took = MTCNN(keep_all=True, min_face_size=40), []
        with VideoReader(Path(path)) as reader:
            frames = [frame.rgb for frame in reader.sample(range(0, len(reader.index), len(reader.index) // SAMPLED))]
        for image in frames:
            began = time.perf_counter()
            theirs.detect(image)
            took.append(time.perf_counter() - began)
        return {"per frame": statistics.median(took)}
    outcomes = run_stages(Root(Path(home)), home_id(home), STEPS, force=True)
    if failed := [o.error for o in outcomes if o.error]:
        raise SystemExit("; ".join(map(str, failed)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"stages": {o.stage: o.seconds for o in outcomes}, "peak": peak}


def home_id(home: str) -> str:
    """Return the id of the only video of a root."""
    (video_id,) = Root(Path(home)).video_ids()
    return video_id


def compared(path: Path, rounds: int) -> dict[str, float]:
    """Measure one video: medians over the rounds, ratios within each."""
    with tempfile.TemporaryDirectory() as home:
        frames = fetch.add(Root(Path(home)), path).frame_count
        pairs = [(measured("decode", str(path), home), measured("build", str(path), home)) for _ in range(rounds)]
        # Before facenet-pytorch runs, whose memory is not ours.
        peak = max(b["peak"] for _, b in pairs)
        theirs = measured("facenet", str(path), home)["per frame"]
    found = {
        "decode s": statistics.median(d["wall"] for d, _ in pairs),
        "build s": statistics.median(b["wall"] for _, b in pairs),
        "build / decode": statistics.median(b["wall"] / d["wall"] for d, b in pairs),
        "processor": statistics.median(b["cpu"] / d["cpu"] for d, b in pairs),
        "facenet": theirs * frames / statistics.median(b["wall"] for _, b in pairs),
        "peak MB": peak,
    }
    for name, _ in STEPS:
        found[name] = statistics.median(b["stages"][name] / d["wall"] for d, b in pairs)
    return found


def main() -> None:
    """Measure all videos in one run, because the machine is shared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", default="20,60", help="seconds")
    parser.add_argument("--codecs", default="h264,vp9,av1")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", nargs=3, help="decode, build or facenet; a video; a root: in a process of its own")
    options = parser.parse_args()
    if options.work:
        print(json.dumps(_work(*options.work)))
        return
    rows, lines, peaks = [], [], dict[int, float]()
    for seconds in map(int, options.lengths.split(",")):
        for codec, path in videos(seconds, options.codecs.split(",")).items():
            found = compared(path, options.rounds if seconds <= MINUTE else 1)
            rows.append(
                f"| {seconds} s, {codec} | {found['decode s']:.1f} | {found['build s']:.1f} | "
                f"{found['build / decode']:.2f} | {found['processor']:.2f} | "
                + " | ".join(f"{found[name]:.2f}" for name, _ in STEPS)
                + f" | {found['peak MB']:.0f} | {found['facenet']:.0f} |"
            )
            print(rows[-1], flush=True)
            if codec == "h264":
                bar = 5.0 if seconds <= 20 else 2.5
                held = found["build / decode"] <= bar
                lines.append(Line(f"build / decode, {seconds} s", f"{found['build / decode']:.2f}", f"<= {bar}", held))
                peaks[seconds] = found["peak MB"]
    longest = max(peaks, default=MINUTE)
    if longest > MINUTE and MINUTE in peaks:
        grown = peaks[longest] / peaks[MINUTE]
        lines.append(Line(f"peak memory, {longest} s / {MINUTE} s", f"{grown:.2f}", "<= 1.1", grown <= 1.1))
    stages = " | ".join(name for name, _ in STEPS)
    table = [
        f"| video | decode, s | build, s | build / decode | processor | {stages} | peak MB | facenet |",
        "|" + "---|" * (7 + len(STEPS)),
        *rows,
    ]
    notes = [
        f"1080p at 30 frames/s, eight people. Every number is a whole process; medians of {options.rounds} rounds.",
        "Videos of more than a minute repeat that minute, and are measured once.",
        "`processor`: processor seconds of the build over those of decoding.",
        "The columns of stages are their time over that of decoding alone; crops are cut while tracking.",
        "`facenet`: time that facenet-pytorch's MTCNN would take for detection alone on every full frame, in builds.",
        f"Identity questions of the audit: {'dlib' if load_embedder('auto') else 'no embedder installed'}.",
    ]
    publish("build", "Whole builds beside decoding", lines, notes, write=options.write, after=table)


if __name__ == "__main__":
    main()
