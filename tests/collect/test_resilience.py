"""Random faults and kills do not change the final result."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from rmset.files import sha256_of
from rmset.manifest import Entry, write
from rmset.root import Root
from rmset.stages.fetch import ledger
from rmset.stages.fetch.check import check

from .clips import hls, small
from .conftest import fetch_all
from .host import Fault, Host, one_in_ten

FATES = {0: Fault(404), 1: Fault(403), 2: Fault(length=lambda n: n // 2)}
"""videos that cannot be had, by their number modulo 20"""
CAUSES = {0: "removed", 1: "forbidden", 2: "broken file"}
JOBS = 3


def build_host(host: Host, folder: Path, count: int) -> list[str]:
    """Host of `count` videos: most are files, one in ten is HLS in three segments, three in twenty are unavailable."""
    pieces = hls(folder / "hls", (64,))
    urls = []
    for n in range(count):
        if n % 10 == 5:
            for name, body in pieces.items():
                kind = "application/vnd.apple.mpegurl" if name.endswith("m3u8") else "video/mp2t"
                host.put(f"/{n}/{name}", body, kind)
            urls.append(f"{host.url}/{n}/master.m3u8")
        else:
            urls.append(host.put(f"/{n}.mp4", small(folder, seed=n % 5)))
        if n % 20 in FATES:
            host.always[f"/{n}.mp4"] = FATES[n % 20]
    return urls


def start(root: Path, manifest: Path) -> subprocess.Popen[bytes]:
    options = ["--min-height", "48", "--jobs", str(JOBS), "--sleep", "0", "--pause", "0.01", "--backoff", "0.1"]
    code = "from rmset_cli.rmset.app import main; main()"
    command = [sys.executable, "-c", code, "fetch", str(manifest), "--root", str(root), "--quiet", "--timeout", "5"]
    # Shells start background jobs with Ctrl-C ignored, and children inherit this.
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear)


def final_state(root: Root) -> dict[str, tuple[str, str | None, str]]:
    """video id -> status, cause, sha256 of its file."""
    rows = {}
    for record in ledger.read_all(root):
        sha = sha256_of(root.video_path(record.video_id)) if record.status == "done" else ""
        rows[record.video_id] = (record.status, record.cause and str(record.cause), sha)
    return rows


def run_with_kills(host: Host, folder: Path, count: int, kills: int, seed: int) -> Root:
    urls = build_host(host, folder, count)
    host.chance = one_in_ten(seed)
    manifest = folder / "m.csv"
    write(manifest, [Entry(u) for u in urls])
    root = Root(folder / "killed")
    rng = random.Random(seed)
    for kill in range(kills):
        process = start(root.path, manifest)
        # Kill after a number of further requests, at any point of the work.
        wanted = len(host.log) + rng.randint(1, 2 * count // kills)
        while process.poll() is None and len(host.log) < wanted:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.05)
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0, 1), f"kill {kill}"
        process.communicate()
        for path in (root.path / "videos").glob("*.json"):
            check(root.video_path(path.stem))
    last = start(root.path, manifest)
    out, talk = last.communicate()
    assert last.returncode == 1, talk.decode()
    assert host.open_most <= JOBS
    print(out.decode())
    return root


def check_end(host: Host, root: Root, folder: Path, count: int) -> None:
    state = final_state(root)
    assert len(state) == count
    expected = Counter(CAUSES.get(n % 20, "done") for n in range(count))
    assert Counter(cause or status for status, cause, _ in state.values()) == expected
    # The same without kills and without faults by chance.
    host.chance = lambda path, nth: None
    calm = Root(folder / "calm")
    calm.path.mkdir()
    fetch_all(calm, [r.url for r in ledger.read_all(root)], jobs=JOBS)
    assert final_state(calm) == state
    assert not list((root.path / "state/downloads").glob("*/copied*"))
    assert len(list((root.path / "videos").iterdir())) == 2 * expected["done"]


@pytest.mark.slow
def test_twenty_videos_a_tenth_of_requests_failing_and_three_kills(host: Host, tmp_path: Path) -> None:
    root = run_with_kills(host, tmp_path, count=20, kills=3, seed=1)
    check_end(host, root, tmp_path, 20)


@pytest.mark.slow
def test_two_hundred_videos_a_tenth_of_requests_failing_and_twenty_kills(host: Host, tmp_path: Path) -> None:
    root = run_with_kills(host, tmp_path, count=200, kills=20, seed=2)
    check_end(host, root, tmp_path, 200)


PEAK = textwrap.dedent("""
    import sys
    from pathlib import Path
    from rmset.manifest import read
    from rmset.stages.fetch.config import FetchConfig
    from rmset.stages.fetch.run import fetch
    from rmset.root import Root

    config = FetchConfig(min_height=48, sleep=0)
    done = sum(o.record.status == "done" for o in fetch(Root(Path(sys.argv[1])), read(Path(sys.argv[2])), config))
    # Not ru_maxrss, which begins with the peak of the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(done, peak.split()[1])
""")


def peak_kb(host: Host, folder: Path, count: int) -> int:
    """Peak resident memory of a process that fetches `count` videos, KB."""
    body = small(folder)
    write(folder / f"{count}.csv", [Entry(host.put(f"/{count}-{n}.mp4", body)) for n in range(count)])
    root = folder / f"root-{count}"
    root.mkdir()
    command = [sys.executable, "-c", PEAK, str(root), str(folder / f"{count}.csv")]
    done, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(done) == count
    return int(peak)


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_videos(host: Host, tmp_path: Path) -> None:
    few, many = peak_kb(host, tmp_path, 10), peak_kb(host, tmp_path, 500)
    print(f"peak of 10 videos: {few / 1024:.1f} MB, of 500: {many / 1024:.1f} MB")
    assert many < few * 1.15


def test_a_process_that_is_interrupted_says_how_to_go_on(host: Host, tmp_path: Path) -> None:
    host.put("/a.mp4", small(tmp_path))
    host.always["/a.mp4"] = Fault(429, (("Retry-After", "60"),))
    write(tmp_path / "m.csv", [Entry(host.url + "/a.mp4")])
    process = start(tmp_path / "root", tmp_path / "m.csv")
    while not host.log and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    _, talk = process.communicate()
    assert process.returncode == 130
    assert b"run the same command again" in talk
    assert len(host.log) == 1
