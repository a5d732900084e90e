"""Clusters of this machine's own, and the builds that tests run on them."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from rmset.stages import fetch
from rmset.synth.compose import compose_demo


def ray_workers(video_ids=("",)):
    """Processes of Ray that work on a video now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text.startswith("ray::rmset ") and any(video_id in text for video_id in video_ids):
            found.append(int(path.parent.name))
    return found


@contextlib.contextmanager
def node(workers, *, port=None, before=None):
    """Start a node of a cluster of its own, or of the one at a port; yield the cluster's port.

    `before` is a folder that stands before all others on the path of the node's workers.
    """
    environment = dict(os.environ, RAY_USAGE_STATS_ENABLED="0")
    if before is not None:
        environment["PYTHONPATH"] = str(before)
    head = port is None
    if not head and (Path(environment["HOME"]) / ".ray" / "auth_token").exists():
        # A head asks for a token where it finds one; a node shows it only when told to.
        environment["RAY_AUTH_MODE"] = "token"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = port or probe.getsockname()[1]
    place = ["--head", f"--port={port}", "--include-dashboard=false"] if head else [f"--address=127.0.0.1:{port}"]
    command = [
        str(Path(sys.executable).with_name("ray")), "start", *place, "--block", "--node-ip-address=127.0.0.1",
        f"--num-cpus={workers}", "--object-store-memory=100000000",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                break
        else:
            raise AssertionError(f"no node of Ray came up: {''.join(said)}")
        yield port
    finally:
        process.terminate()
        process.wait()


def mashups(root, folder, count):
    """Put small composed mashups into a root."""
    for number in range(count):
        path = folder / f"mashup-{number}.mp4"
        compose_demo(path, seconds=2, size=(480, 270), layout="2x2", seed=number)
        fetch.add(root, path)
    return root.video_ids()


def command(root, *engine):
    """Command that builds a root."""
    program = str(Path(sys.executable).with_name("rmset"))
    return [program, "build", *engine, "--size", "48", "--embedder", "none", "--root", str(root)]
