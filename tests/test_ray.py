"""Builds on Ray: the bytes of a local build, whatever dies meanwhile."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rmset.engine import build
from rmset.errors import RootError, UsageError
from rmset.files import sha256_of
from rmset.pipeline import run_stage
from rmset.ray_engine import build_on_ray
from rmset.root import Root
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig
from tests.clusters import command, mashups, node, ray_workers
from tests.store.worlds import video_root

STEPS = [("export", ExportConfig(size=24))]
IDS = [f"v-{number:08d}" for number in range(6)]


@pytest.fixture
def root(tmp_path):
    for video_id in IDS:
        root = video_root(tmp_path / "root", frames=8, video_id=video_id)
    return root


def shards(root):
    return {key: sha256_of(root.files.local(key)) for key in root.files.keys("crops/*/*")}


@pytest.fixture(autouse=True, scope="module")
def _home(tmp_path_factory):
    """A home of its own: Ray keeps a token there, and whether one is there decides how clusters are joined."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _mode(monkeypatch):
    """As in a new shell: Ray sets this when it starts a cluster."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)


def test_an_unknown_engine_and_an_address_without_ray_are_refused():
    from rmset_cli.rmset.build import runner

    for wrong in (("dask", None), ("local", "head:6379")):
        with pytest.raises(UsageError, match="expected --engine local, or --engine ray"):
            runner(*wrong, 1)
    with pytest.raises(UsageError, match="expected no number of processes with --engine ray"):
        runner("ray", None, 4)


def test_without_the_extra_one_line_says_how_to_get_it(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"expected the extra `ray`, found it missing; pip install 'rmset\[ray\]'"):
        list(build_on_ray(root, IDS, STEPS))


def test_an_address_where_no_cluster_is_is_one_line(root):
    pytest.importorskip("ray", reason="needs the extra ray")
    with pytest.raises(RootError, match=r"expected the head of a Ray cluster, found none .*; start it") as caught:
        list(build_on_ray(root, IDS, STEPS, address="127.0.0.1:1"))
    assert "\n" not in str(caught.value)
    for wrong in ("head", "head:port", "ray://head:10001x"):
        with pytest.raises(UsageError, match="expected HOST:6379"):
            list(build_on_ray(root, IDS, STEPS, address=wrong))


@pytest.mark.slow
def test_on_ray_the_bytes_are_those_of_a_local_build(root, tmp_path):
    pytest.importorskip("ray", reason="needs the extra ray")
    outcomes = list(build_on_ray(root, IDS, STEPS, jobs=2))
    assert sorted((o.video_id, o.status) for o in outcomes if o.stage == "export") == [(v, "done") for v in IDS]
    on_ray = shards(root)
    local = [run_stage(root, video_id, "export", STEPS[0][1], force=True) for video_id in IDS]
    assert {o.status for o in local} == {"done"}
    assert shards(root) == on_ray
    # Started again, nothing is repeated.
    again = list(build_on_ray(root, IDS, STEPS))
    assert {o.status for o in again} == {"already done"}


def made(root):
    """Hash of every output of a root, by key."""
    patterns = ("layouts/*", "tracks/*", "crops/*/*", "frames/*")
    return {key: sha256_of(root.files.local(key)) for pattern in patterns for key in root.files.keys(pattern)}


@pytest.mark.slow
def test_four_workers_of_a_cluster_that_runs_already_make_the_bytes_of_a_local_build(tmp_path):
    pytest.importorskip("ray", reason="needs the extra ray")
    root = Root(tmp_path / "ray")
    ids = mashups(root, tmp_path, 5)
    shutil.copytree(root.path, tmp_path / "local")
    subprocess.run(command(tmp_path / "local", "--jobs", "2"), check=True, stderr=subprocess.DEVNULL)
    most = 0
    with node(workers=4) as port:
        engine = ("--engine", "ray", "--address", f"127.0.0.1:{port}")
        driver = subprocess.Popen(command(root.path, *engine), stderr=subprocess.DEVNULL)
        while driver.poll() is None:
            most = max(most, len(ray_workers(ids)))
            time.sleep(0.02)
    assert driver.returncode == 0
    assert most == 4
    assert len([key for key in made(root) if key.startswith("crops/")]) == len(ids)
    assert made(root) == made(Root(tmp_path / "local"))


@pytest.mark.slow
def test_a_cluster_that_asks_for_a_token_is_joined_with_that_of_this_user(root, monkeypatch, tmp_path):
    """With a token file, `ray start` enables authentication; a driver without the token gets an error that says so."""
    pytest.importorskip("ray", reason="needs the extra ray")
    ray = str(Path(sys.executable).with_name("ray"))
    subprocess.run([ray, "get-auth-token", "--generate"], check=True, capture_output=True)
    with node(workers=1) as port:
        build = command(root.path, "--engine", "ray", "--address", f"127.0.0.1:{port}")
        assert subprocess.run(build, check=False, stderr=subprocess.DEVNULL).returncode == 0
        monkeypatch.setenv("HOME", str(tmp_path))
        refused = subprocess.run(build, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        "start it, install the same versions, set RAY_AUTH_MODE=token where it asks for a token, or use --engine local"
    )


@pytest.mark.slow
def test_without_an_address_no_cluster_that_runs_here_is_joined(root):
    """Else another's would be used, or one that died would be looked for during minutes: Ray notes the last one."""
    pytest.importorskip("ray", reason="needs the extra ray")
    with node(workers=0):
        during = list(build_on_ray(root, IDS[:1], STEPS))
    # Now the one noted is gone.
    after = list(build_on_ray(root, IDS[1:2], STEPS))
    assert [o.status for o in during + after if o.stage == "export"] == ["done", "done"]


@pytest.mark.slow
def test_a_node_with_another_rmset_is_one_line(root, tmp_path):
    """The node is a runtime of its own that finds another version first; it joins a head that runs no tasks."""
    pytest.importorskip("ray", reason="needs the extra ray")
    other = tmp_path / "other" / "rmset-9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: rmset\nVersion: 9.9\n")
    # Its code differs, too: nothing of it can be loaded.
    (other.parent / "rmset.py").write_text("raise ImportError('another rmset')\n")
    with node(workers=0) as port, node(workers=2, port=port, before=other.parent):
        engine = ("--engine", "ray", "--address", f"127.0.0.1:{port}")
        done = subprocess.run(command(root.path, *engine), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected the versions of the driver (rmset " in done.stderr
    assert "found rmset 9.9, Python " in done.stderr
    assert "install the same there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_video_that_kills_its_worker_three_times_fails_and_the_others_go_on(root):
    pytest.importorskip("ray", reason="needs the extra ray")
    # This one takes long enough to be caught: a detector runs on it.
    guilty, killed = IDS[2], []
    steps = [("track", TrackConfig(search="frame")), *STEPS]
    import threading

    def kill():
        while len(killed) < 3:
            for pid in ray_workers([guilty]):
                if pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    outcomes = list(build_on_ray(root, IDS, steps, jobs=2))
    failed = [o for o in outcomes if o.status == "failed"]
    assert [o.video_id for o in failed] == [guilty]
    assert "the worker process died 3 times" in failed[0].error
    assert {o.video_id for o in outcomes if o.stage == "export" and o.status == "done"} == set(IDS) - {guilty}
    thread.join()
    # The next run does it.
    assert {o.status for o in build(root, [guilty], steps)} <= {"done", "already done"}


@pytest.mark.slow
def test_a_driver_that_dies_takes_its_tasks_along_and_the_next_one_goes_on(root):
    pytest.importorskip("ray", reason="needs the extra ray")
    command = [
        str(Path(sys.executable).with_name("rmset")),
        "build",
        "--engine",
        "ray",
        "--size",
        "24",
        "--embedder",
        "none",
        "--root",
        str(root.path),
    ]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not root.files.keys("state/track/*.json") and first.poll() is None:
        time.sleep(0.05)
    first.kill()
    first.wait()
    until = time.monotonic() + 60
    while ray_workers() and time.monotonic() < until:
        time.sleep(0.2)
    assert ray_workers() == []
    done = {v for v in IDS if (r := root.stage_record("export", v)) is not None and r.status == "done"}
    before = {v: root.files.stamp(root.state_key("export", v)) for v in done}
    assert subprocess.run(command, check=False).returncode == 0
    assert all(root.stage_record("export", v).status == "done" for v in IDS)
    assert {v: root.files.stamp(root.state_key("export", v)) for v in done} == before
    assert isinstance(Root(root.path).video_ids(), list)


@pytest.mark.slow
@pytest.mark.parametrize(("videos", "most_workers", "most_drivers"), [(4, 20, 3)])
def test_twenty_killed_workers_and_three_killed_drivers_change_no_byte(tmp_path, videos, most_workers, most_drivers):
    """Kills at seeded random moments; tracks, crops and layouts are those of a local build that nothing disturbed."""
    pytest.importorskip("ray", reason="needs the extra ray")
    chance, root = random.Random(7), Root(tmp_path / "ray")
    ids = mashups(root, tmp_path, videos)
    shutil.copytree(root.path, tmp_path / "local")
    subprocess.run(command(tmp_path / "local", "--jobs", "2"), check=True, stderr=subprocess.DEVNULL)
    workers = drivers = 0
    while True:
        driver = subprocess.Popen(command(root.path, "--engine", "ray"), stderr=subprocess.DEVNULL)
        last = workers + chance.randint(2, 5) if drivers < most_drivers else 1000
        while driver.poll() is None:
            time.sleep(chance.uniform(0.05, 0.8))
            if workers < most_workers and (now := ray_workers(ids)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(now), signal.SIGKILL)
                    workers += 1
            if workers >= last:
                driver.kill()
                drivers += 1
                break
        code = driver.wait()
        while ray_workers(ids):
            time.sleep(0.2)
        if code == 0:
            break
    assert (workers, drivers) == (most_workers, most_drivers), "all videos were done before all had been killed"

    expected = made(Root(tmp_path / "local"))
    assert len([key for key in expected if key.startswith("crops/")]) == videos
    assert made(root) == expected
