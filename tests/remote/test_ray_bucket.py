"""A cluster that builds a root in a bucket: nothing but requests to the store connects its nodes."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

import rmset
from rmset.root import Root
from rmset.stages import fetch
from tests.clusters import command, mashups, node, ray_workers
from tests.remote.test_root import outputs

VIDEOS = 3


@pytest.mark.slow
def test_a_bucket_built_by_a_cluster_with_killed_workers_has_the_bytes_of_a_local_build(place, tmp_path, monkeypatch):
    """Killed ones leave their lease behind, and half uploads; others wait for the lease, and begin again."""
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    local = Root(tmp_path / "local")
    ids = mashups(local, tmp_path, VIDEOS)
    for path in sorted(tmp_path.glob("*.mp4")):
        fetch.add(rmset.open(place).root, path)
    subprocess.run(command(local.path, "--jobs", "2"), check=True, stderr=subprocess.DEVNULL)

    # A node finds credentials and server where the provider's chain looks; the driver sends it neither.
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "cache-of-nodes"))
    killed = []
    with node(workers=2) as port:
        monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "cache-of-driver"))
        driver = subprocess.Popen(command(place, "--engine", "ray", "--address", f"127.0.0.1:{port}"))
        while driver.poll() is None:
            time.sleep(0.3)
            fresh = [pid for pid in ray_workers(ids) if pid not in killed]
            if len(killed) < 2 and fresh:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(fresh[0], signal.SIGKILL)
                    killed.append(fresh[0])
    assert (driver.returncode, len(killed)) == (0, 2)
    shutil.rmtree(tmp_path / "cache-of-nodes")
    seen = rmset.open(place).root
    assert outputs(seen) == outputs(local)
    assert all(seen.stage_record("export", video_id).status == "done" for video_id in ids)
    assert not any(seen.files.is_locked(video_id) for video_id in ids)
