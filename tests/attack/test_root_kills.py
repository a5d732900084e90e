"""Every command that writes into a root, killed at random moments: run again, it leaves the bytes of a calm run."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rmset.files import sha256_of
from rmset.inspect.verify import verify
from rmset.read.index import damaged
from rmset.root import Root
from rmset.stages import fetch

VICTIMS = Path(__file__).with_name("victims.py")
FEW = 2
MANY = 70
SMALL = ["--size", "48", "--stride", "2"]


class Victims:
    """Commands in processes of their own."""

    def __init__(self, folder):
        self.errors = folder / "errors.txt"
        self.process = subprocess.Popen(
            [sys.executable, str(VICTIMS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, words, delay=None, name="SIGKILL"):
        """What became of a command, and what it said."""
        ask = {"words": words, "errors": str(self.errors), "delay": delay, "name": name}
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        said = self.errors.read_text(errors="replace")
        assert "Traceback" not in said, said
        return answer, said

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    started = Victims(tmp_path_factory.mktemp("victims"))
    yield started
    started.close()


def bytes_of(root):
    """sha256 of every file of the root but its state; unfinished files are no part of it."""
    files = sorted(p for p in root.path.rglob("*") if p.is_file() and not p.name.endswith(".partial"))
    return {str(k): sha256_of(p) for p in files if (k := p.relative_to(root.path)).parts[0] != "state"}


@pytest.fixture(scope="module")
def added_root(mashup, tmp_path_factory):
    """A root with the mashup in it, and nothing made of it."""
    root = Root(tmp_path_factory.mktemp("added") / "root")
    fetch.add(root, mashup[0])
    return root


def damage(root):
    """A shard with another byte, and tracks cut short."""
    (video_id,) = root.video_ids()
    shard = root.files.local(f"crops/{video_id}/part-000.parquet")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0x40
    shard.write_bytes(data)
    tracks = root.files.local(root.tracks_key(video_id))
    tracks.write_bytes(tracks.read_bytes()[:-40])


COMMANDS = {
    "add": ["add"],
    "layout": ["layout", "propose"],
    "track": ["track"],
    "export": ["export", *SMALL],
    "build": ["build", *SMALL],
    "build --jobs": ["build", *SMALL, "--jobs", "2"],
    "verify --repair": ["verify", "--repair"],
    "index": ["pairs", "--sample", "3", "--d-far", "3"],
}


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_killed_command_run_again_leaves_the_bytes_of_a_calm_run(
    command, kills, mashup, added_root, laid_out_root, finished_root, victims, tmp_path
):
    source = {"add": None, "layout": added_root, "build": added_root, "build --jobs": added_root}
    given = source.get(command, laid_out_root if command == "track" else finished_root)
    calm, killed = Root(tmp_path / "calm"), Root(tmp_path / "killed")
    for root in (calm, killed):
        if given is not None:
            shutil.copytree(given.path, root.path)
        if command == "verify --repair":
            damage(root)

    def words(root):
        out = tmp_path / f"{root.path.name}.parquet"
        more = [str(mashup[0])] if command == "add" else ["-o", str(out)] if command == "index" else []
        return [*COMMANDS[command], *more, "--root", str(root.path), "--quiet"]

    answer, said = victims.run(words(calm))
    assert answer["code"] == 0, said
    chance, hits = random.Random(f"{command} {kills}"), 0
    for _ in range(kills):
        name = chance.choice(["SIGKILL", "SIGTERM"])
        ended, said = victims.run(words(killed), chance.uniform(0, answer["seconds"]), name)
        hits += ended["hit"]
        assert ended["code"] in ((0, -9) if name == "SIGKILL" else (0, 143, -15)), (name, ended, said)
        if ended["code"] == 0 and command != "index":
            # Done too early to be killed again: begin anew.
            shutil.rmtree(killed.path)
            if given is not None:
                shutil.copytree(given.path, killed.path)
            if command == "verify --repair":
                damage(killed)
    print(f"{command}: {hits} of {kills} kills hit")
    again, said = victims.run(words(killed))
    assert again["code"] == 0, said
    assert bytes_of(killed) == bytes_of(calm)
    if command == "index":
        assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "calm.parquet").read_bytes()
        assert damaged(killed) == []
    if command not in ("add", "layout", "track"):
        assert [f.problem for f in verify(killed)] == []


def test_workers_end_with_their_parent(added_root, victims, tmp_path):
    """Locks of a video are free as soon as the parent is dead, however it died."""
    import os
    import time

    for name in ("SIGKILL", "SIGTERM"):
        root = Root(tmp_path / name)
        shutil.copytree(added_root.path, root.path)
        words = ["build", *SMALL, "--jobs", "2", "--root", str(root.path), "--quiet"]
        ended, said = victims.run(words, 4.0, name)
        if not ended["hit"]:
            pytest.skip("the build was done before it could be killed")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                # The command made a process group of its own; its workers belong to it.
                os.killpg(ended["pid"], 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        else:
            os.killpg(ended["pid"], 9)
            pytest.fail(f"workers outlived a parent that {name} ended: {said}")
        assert not root.files.is_locked(root.video_ids()[0])
