"""`fetch`, `supervised`, `semi` and `ablate` killed at seeded random moments: the same bytes come out as without."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from rmset.files import sha256_of
from rmset.manifest import Entry, write
from rmset.root import Root
from rmset.stages.fetch import ledger
from tests.collect.clips import hls, small
from tests.collect.host import Host, one_in_ten

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CALM, KILLED = "folder-0001", "folder-0002"
"""Of one length, and found nowhere else: results hold their paths."""
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(program: str, *args: object) -> list[str]:
    code = f"from rmset_cli.{program}.app import main; main()"
    return [sys.executable, "-c", code, *map(str, args)]


def run_killed(rng: random.Random, line: list[str], kills: int, longest: float) -> int:
    """Start and kill a command some times, then let it end; returns how many kills hit it."""
    hit = 0
    # Shells start what they put into the background deaf to Ctrl-C, and children inherit that.
    hear = lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None  # noqa: E731
    for _ in range(kills):
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ALONE, preexec_fn=hear)
        # Wherever it is then, loading its libraries included.
        moment = time.monotonic() + rng.random() * longest
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.005)
        sent = rng.choice(SIGNALS)
        hit += process.poll() is None
        process.send_signal(sent)
        _, talk = process.communicate()
        # A signal before the handlers are set ends Python in its own way.
        assert process.returncode in (0, 1, -sent, 130, 143), talk.decode()
        if process.returncode in (130, 143):
            assert b"Traceback" not in talk, talk.decode()
    return hit


def faces(folder: Path) -> Path:
    """Class folders of tiny generated pictures."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 2)):
        for k, name in enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")):
            (folder / split / name).mkdir(parents=True)
            for n in range(count):
                image = np.full((48, 48), 30 * k, np.uint8) + rng.integers(0, 30, (48, 48), dtype=np.uint8)
                cv2.imwrite(str(folder / split / name / f"{n}.png"), image)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """What a run or grid is known by: weights, scores, choices; not times, speeds and places."""
    kept = ("model.safetensors", "method.safetensors", "labels.csv", "evaluations.csv", "metrics.json", "table.csv")
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.name in kept}
    assert not list(folder.rglob("*.partial"))
    assert not list(folder.rglob("resume.pt"))
    return {name: path.read_bytes() for name, path in found.items()}


def runs(name: str, images: Path, out: Path, grid: Path) -> list[str]:
    common = ["--model", "deep-emotion", "--image-size", "32", "--device", "cpu", "--quiet", "--out", out]
    common += ["--set", "precision=fp32", "--set", "checkpoint_steps=1"]
    labeled = ["--labeled", f"folder:{images}"]
    return {
        "supervised": command("fertrain", "supervised", *labeled, "--epochs", "2", *common),
        "semi": command(
            "fertrain", "semi", *labeled, "--unlabeled", "rest", "--labels", "28", "--method", "fixmatch",
            "--epochs", "2", "--batch-size", "8", *common,
        ),
        "ablate": command("fertrain", "ablate", grid, *labeled, "--seeds", "1", *common),
    }[name]  # fmt: skip


def check_runs(name: str, tmp_path: Path, kills: int, seed: int) -> None:
    images = faces(tmp_path / "faces")
    grid = tmp_path / "grid.toml"
    grid.write_text(
        '[settings]\noptim.epochs = [1]\n[variants.one]\naugment = "flip"\n[variants.two]\naugment = "none"\n'
    )
    began = time.monotonic()
    subprocess.run(runs(name, images, tmp_path / CALM, grid), check=True, stdout=subprocess.PIPE, env=ALONE)
    longest = time.monotonic() - began
    line = runs(name, images, tmp_path / KILLED, grid)
    hit = run_killed(random.Random(seed), line, kills, longest)
    # A finished run is refused: then the kills came too late, and the result has to be the same all the same.
    subprocess.run(line, check=False, capture_output=True, env=ALONE)
    assert hit or kills < 3
    calm, killed = content(tmp_path / CALM), content(tmp_path / KILLED)
    assert calm.keys() == killed.keys()
    for key, data in calm.items():
        assert killed[key].replace(KILLED.encode(), CALM.encode()) == data, key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["supervised", "semi", "ablate"])
def test_runs_that_are_killed_come_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    check_runs(name, tmp_path, kills=12, seed=7)


@pytest.mark.slow
def test_a_run_that_is_killed_comes_to_the_same_bytes(tmp_path: Path) -> None:
    check_runs("supervised", tmp_path, kills=2, seed=3)


def check_fetch(tmp_path: Path, count: int, kills: int, seed: int) -> None:
    host, rng = Host(), random.Random(seed)
    try:
        urls = [host.put(f"/{n}.mp4", small(tmp_path, seed=n % 3)) for n in range(count)]
        for name, body in hls(tmp_path / "hls", (64,)).items():
            host.put(f"/{name}", body, "application/vnd.apple.mpegurl" if name.endswith("m3u8") else "video/mp2t")
        urls.append(f"{host.url}/master.m3u8")
        write(tmp_path / "m.csv", [Entry(u) for u in urls])
        options = [
            "--min-height",
            "48",
            "--jobs",
            "3",
            "--sleep",
            "0",
            "--pause",
            "0.01",
            "--backoff",
            "0.1",
            "--quiet",
        ]
        lines = {
            name: command("rmset", "fetch", tmp_path / "m.csv", "--root", tmp_path / name, *options)
            for name in ("calm", "killed")
        }
        began = time.monotonic()
        subprocess.run(lines["calm"], check=True, stdout=subprocess.PIPE, env=ALONE)
        longest = time.monotonic() - began
        host.chance = one_in_ten(seed)
        run_killed(rng, lines["killed"], kills, longest)
        subprocess.run(lines["killed"], check=True, stdout=subprocess.PIPE, env=ALONE)
        states = []
        for name in ("calm", "killed"):
            root = Root(tmp_path / name)
            states.append({r.video_id: (r.status, r.cause) for r in ledger.read_all(root)})
            states[-1] |= {p.name: sha256_of(p) for p in (root.path / "videos").glob("*") if p.suffix != ".json"}
            assert not list((root.path / "state/downloads").glob("*/*"))
        assert states[0] == states[1]
    finally:
        host.close()


def test_a_fetch_that_is_killed_comes_to_the_same_bytes(tmp_path: Path) -> None:
    check_fetch(tmp_path, count=4, kills=2, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_fetches_that_are_killed_come_to_the_same_bytes(seed: int, tmp_path: Path) -> None:
    check_fetch(tmp_path, count=20, kills=12, seed=seed)
