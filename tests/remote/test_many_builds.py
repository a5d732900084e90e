"""Builds against a store of which one request in twenty fails: all end right, or with the true cause."""

import os
from collections import Counter

import pytest

from rmset.engine import build
from rmset.errors import RmsetError
from rmset.inspect.verify import verify
from rmset.remote.files import RemoteFiles
from rmset.root import Root
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig
from tests.remote import servers
from tests.remote.faults import Faults, some
from tests.remote.test_root import copied, outputs
from tests.store.worlds import video_root

STEPS = [("track", TrackConfig()), ("export", ExportConfig(size=32))]
BUILDS = int(os.environ.get("RMSET_FAULT_BUILDS", "12"))


@pytest.mark.slow
def test_builds_against_a_failing_store_end_right_or_with_the_true_cause(aws, moto, tmp_path):
    plain = video_root(tmp_path / "plain", frames=8)
    reference = Root(tmp_path / "reference")
    copied(plain, reference.path)
    # The video has no numbers of its frames yet, so it is probed first.
    assert [o.stage for o in build(reference, reference.video_ids(), STEPS)] == ["probe", "track", "export"]
    wanted, ends, said = outputs(reference), Counter(), Counter()
    servers.bucket(moto, "many")
    for number in range(BUILDS):
        place = f"s3://many/root-{number}"
        aws(moto)
        copied(plain, place)
        with Faults(moto, some(0.05, seed=number)) as proxy:
            aws(proxy.url)
            root = Root(place, RemoteFiles(place, cache=tmp_path / f"cache-{number}", patience=1, lease=20))
            try:
                outcomes = list(build(root, root.video_ids(), STEPS))
            except RmsetError as error:
                outcomes, refusal = [], str(error)
                ends["refused"] += 1
            said += proxy.said
        assert outcomes or "expected an answer of the store" in refusal
        aws(moto)
        root = Root(place, RemoteFiles(place, cache=tmp_path / f"seen-{number}"))
        for outcome in outcomes:
            ends[outcome.status] += 1
            assert outcome.status == "done" or "expected an answer of the store" in outcome.error, outcome
        if [o.status for o in outcomes] == ["done"] * 3:
            assert outputs(root) == wanted
            assert list(verify(root)) == []
        # Nothing is half there, and no lock outlives its owner, which was this process.
        assert all(
            root.files.sha256(key) == root.files.reread_sha256(key) for key in root.files.keys("*/*") if "." in key
        )
        assert not root.files.is_locked(root.video_ids()[0]) or ends["refused"] or ends["failed"]
    print(f"{BUILDS} builds: {dict(ends)}; requests: {dict(said)}")
    assert ends["done"] >= BUILDS
