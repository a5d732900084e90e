"""Locks on a bucket: one holder at a time, expiry, and a fence against holders that come back too late."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rmset.errors import RootError
from rmset.remote.files import RemoteFiles
from tests.remote import servers

HOLD = """
import sys, time
from rmset.remote.files import RemoteFiles
url, lease, key = sys.argv[1:4]
files = RemoteFiles(url, lease=float(lease))
try:
    with files.lock("v"):
        print("held", flush=True)
        sys.stdin.readline()
        with files.publish(key) as path:
            path.write_bytes(b"from the one that was stopped" * 1000)
        print("published", flush=True)
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""


@pytest.fixture
def holder(place):
    """Start processes that hold the lock of `v`, and publish when they get a line."""
    started = []

    def start(lease, key="tracks/v.parquet"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, place, str(lease), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def elsewhere(monkeypatch):
    """Let this process take others' for those of another machine."""
    monkeypatch.setattr("rmset.remote.lease._system", lambda: "another machine")


def until_free(files):
    began = time.monotonic()
    while True:
        try:
            with files.lock("v"):
                return time.monotonic() - began
        except RootError:
            time.sleep(0.1)


def test_one_process_holds_a_lock_and_others_are_told_which(place):
    first, second = RemoteFiles(place), RemoteFiles(place)
    assert not second.is_locked("v")
    with first.lock("v"):
        assert second.is_locked("v")
        with pytest.raises(
            RootError, match=rf"v: another process is working on it \(process {os.getpid()} on .*expires"
        ):
            second.lock("v").__enter__()
        with second.lock("w"):
            pass
    assert not second.is_locked("v")
    with second.lock("v"):
        pass


def test_the_lock_of_a_dead_process_of_this_machine_is_free_at_once(place, holder):
    process = holder(lease=60)
    files = RemoteFiles(place, lease=60)
    assert files.is_locked("v")
    process.kill()
    process.wait()
    assert not files.is_locked("v")
    with files.lock("v"):
        pass


@pytest.mark.slow
def test_the_lock_of_a_dead_process_elsewhere_outlives_it_by_its_lease(place, holder, monkeypatch):
    lease = 4
    process = holder(lease)
    elsewhere(monkeypatch)
    files = RemoteFiles(place, lease=lease)
    # It is renewed while its holder lives.
    time.sleep(2 * lease)
    assert files.is_locked("v")
    process.kill()
    process.wait()
    with pytest.raises(RootError, match=rf"v: another process is working on it \(process {process.pid} on"):
        files.lock("v").__enter__()
    time.sleep(lease + 2)  # the store counts whole seconds
    with files.lock("v"):
        pass


@pytest.mark.slow
def test_a_holder_that_was_stopped_too_long_publishes_nothing(place, holder, monkeypatch):
    process = holder(lease=2)
    process.send_signal(signal.SIGSTOP)
    elsewhere(monkeypatch)
    files = RemoteFiles(place, lease=2)
    until_free(files)
    with files.lock("v"):
        with files.publish("tracks/v.parquet") as path:
            path.write_bytes(b"from its successor")
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        said = process.stdout.readline()
    assert said.startswith("RootError: v: expected to hold its lock, found that it had expired"), said
    assert RemoteFiles(place).local("tracks/v.parquet").read_bytes() == b"from its successor"


def test_a_late_commit_is_refused_even_if_its_process_knows_nothing(place, monkeypatch):
    """The fence is the commit's token, not the clock of the one that is late."""
    late, next_one = RemoteFiles(place, lease=1.5), RemoteFiles(place, lease=1.5)
    monkeypatch.setattr("rmset.remote.lease.Leases._renew", lambda self, lease: None)
    monkeypatch.setattr("rmset.remote.lease.Lease.check", lambda self: None)
    lock = late.lock("v")
    lock.__enter__()
    elsewhere(monkeypatch)
    until_free(next_one)
    with pytest.raises(RootError, match="expected to hold its lock"), late.publish("tracks/v.parquet") as path:
        path.write_bytes(b"late" * 10_000)
    assert not RemoteFiles(place).exists("tracks/v.parquet")
    with next_one.lock("v"), next_one.publish("tracks/v.parquet") as path:
        path.write_bytes(b"in time")
    lock.__exit__(None, None, None)
    assert RemoteFiles(place).local("tracks/v.parquet").read_bytes() == b"in time"


def test_what_a_dead_process_uploaded_and_did_not_commit_is_swept(place, moto, monkeypatch):
    from datetime import timedelta

    bucket, _, root = place.removeprefix("s3://").partition("/")
    client = servers.bucket(moto, bucket)
    client.put_object(Bucket=bucket, Key=f"{root}/data/v/{'0' * 16}/part-000.parquet", Body=b"left")
    text = json.dumps({"holder": {"host": "gone", "pid": 1}, "token": 7})
    client.put_object(Bucket=bucket, Key=f"{root}/locks/v.json", Body=text.encode())
    monkeypatch.setattr("rmset.remote.files._ABANDONED", timedelta(0))
    time.sleep(1.1)
    until_free(RemoteFiles(place, lease=1))
    assert "Contents" not in client.list_objects_v2(Bucket=bucket, Prefix=f"{root}/data/")
    held = json.loads(client.get_object(Bucket=bucket, Key=f"{root}/locks/v.json")["Body"].read())
    assert (held["holder"], held["token"]) == (None, 8)
