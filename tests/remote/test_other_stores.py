"""Roots on Azure and Google: the laws of locks, publishing and reading that hold on S3, against their own servers.

The tests of locks, files and roots that need nothing but an address run here again, with other addresses.
"""

import itertools
import os

import pytest

from rmset.engine import build
from rmset.errors import RootError
from rmset.remote.store import Conflict, ObjectStore
from rmset.root import Root
from tests.remote import servers
from tests.remote.test_files import (
    test_a_large_file_arrives_in_parts_and_is_read_in_parts,
    test_another_machine_sees_what_was_published_and_a_change_has_another_stamp,
    test_many_writers_of_one_commit_lose_nothing,
)
from tests.remote.test_locks import (
    holder,
    test_a_holder_that_was_stopped_too_long_publishes_nothing,
    test_a_late_commit_is_refused_even_if_its_process_knows_nothing,
    test_one_process_holds_a_lock_and_others_are_told_which,
    test_the_lock_of_a_dead_process_elsewhere_outlives_it_by_its_lease,
)
from tests.remote.test_root import (
    STEPS,
    copied,
    finished,
    outputs,
    test_a_shard_that_was_exported_again_is_refused_in_one_line,
    test_pictures_come_before_their_shards_which_are_copied_if_they_fit,
    test_tables_counts_pairs_and_checks_are_those_of_the_same_root_in_a_folder,
)

__all__ = [
    "finished",
    "holder",
    "test_a_holder_that_was_stopped_too_long_publishes_nothing",
    "test_a_large_file_arrives_in_parts_and_is_read_in_parts",
    "test_a_late_commit_is_refused_even_if_its_process_knows_nothing",
    "test_a_shard_that_was_exported_again_is_refused_in_one_line",
    "test_another_machine_sees_what_was_published_and_a_change_has_another_stamp",
    "test_many_writers_of_one_commit_lose_nothing",
    "test_one_process_holds_a_lock_and_others_are_told_which",
    "test_pictures_come_before_their_shards_which_are_copied_if_they_fit",
    "test_tables_counts_pairs_and_checks_are_those_of_the_same_root_in_a_folder",
    "test_the_lock_of_a_dead_process_elsewhere_outlives_it_by_its_lease",
]

_numbers = itertools.count()


@pytest.fixture(params=["az", "gs"])
def place(request, monkeypatch, tmp_path):
    """Address of an empty root on Azurite, and on fake-gcs-server."""
    for name in [n for n in os.environ if n.startswith(("AZURE_", "GOOGLE_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "cache"))
    name = f"bucket-{next(_numbers)}"
    if request.param == "az":
        url = request.getfixturevalue("azurite")
        servers.container(url, name)
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", url)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", servers.AZURE_ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", servers.AZURE_KEY)
    else:
        url = request.getfixturevalue("google")
        servers.google_bucket(url, name)
        monkeypatch.setenv("GOOGLE_BASE_URL", url)
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "a-token")
    return f"{request.param}://{name}/data/rmset"


@pytest.fixture
def remote(place):
    """An empty root there."""
    return Root(place)


def test_a_conditional_write_is_refused_unless_the_object_is_as_expected(place):
    store = ObjectStore(place)
    first = store.put("x.json", b"one", None)
    with pytest.raises(Conflict):
        store.put("x.json", b"two", None)
    second = store.put("x.json", b"three", first)
    with pytest.raises(Conflict):
        store.put("x.json", b"four", first)
    data, version = store.get("x.json")
    assert (data, version.name) == (b"three", second.name)
    assert [(name, listed.name) for name, listed, _ in store.names("")] == [("x.json", second.name)]
    # If the answer to a write is lost, the bytes of the object tell whether the write was ours.
    assert store.put("x.json", b"three", first).name == second.name
    store.delete(["x.json", "none.json"])
    with pytest.raises(Conflict):
        store.put("x.json", b"five", second)
    with pytest.raises(FileNotFoundError):
        store.get("x.json")


@pytest.mark.slow
def test_a_build_there_makes_the_bytes_of_a_build_in_a_folder(laid_out_root, finished_root, place):
    root = copied(laid_out_root, place)
    outcomes = list(build(root, root.video_ids(), STEPS, jobs=2))
    assert [o.status for o in outcomes] == ["done", "done"], outcomes
    assert outputs(root) == outputs(finished_root)
    again = list(build(Root(place), root.video_ids(), STEPS))
    assert [o.status for o in again] == ["already done", "already done"]


def test_a_wrong_container_and_a_wrong_key_are_one_line(azurite, monkeypatch, tmp_path):
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azurite)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", servers.AZURE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", servers.AZURE_KEY)
    with pytest.raises(RootError, match="expected a bucket, found none named no-such-one; create it"):
        Root("az://no-such-one/x").video_ids()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmcga2V5")
    # Azurite says AuthorizationFailure where Azure says AuthenticationFailed.
    with pytest.raises(RootError, match=r"expected leave .* found none \(AuthorizationFailure\)"):
        Root("az://no-such-one/x").video_ids()
