"""Places of roots: no writing through links, files belong to their owner, locks work on any file system."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rmset.errors import RootError
from rmset.outputs import written
from rmset.root import Root

LINKS = hasattr(os, "symlink")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


@pytest.fixture
def outside(tmp_path):
    """A file and a folder outside that no root may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def is_untouched(outside):
    return [p.name for p in outside.iterdir()] == ["precious"] and (outside / "precious").read_text() == "precious"


def refusal_of(work):
    """Error line of refused work; empty if the work was done."""
    try:
        work()
    except RootError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("name", ["layouts/v.json", "layouts/.v.json.partial", "state/locks/v", "state/locks/v.soft"])
def test_a_planted_link_in_place_of_a_file_leaves_its_target_alone(root, outside, name):
    path = root.path / name
    path.parent.mkdir(parents=True)
    path.symlink_to(outside / "precious")

    def write():
        with root.files.lock("v"):
            root.write_text("layouts/v.json", "new")

    assert "\n" not in refusal_of(write)
    assert is_untouched(outside)


@pytest.mark.parametrize("folder", ["layouts", "state", "state/locks", "crops", "crops/v"])
def test_a_planted_link_in_place_of_a_folder_leaves_its_target_alone(root, outside, folder):
    (root.path / folder).parent.mkdir(parents=True, exist_ok=True)
    (root.path / folder).symlink_to(outside)

    def layout():
        with root.files.lock("v"):
            root.write_text("layouts/v.json", "new")

    def crops():
        with root.files.publish_folder("crops/v") as made:
            (made / "part-000.parquet").write_text("new")

    for write in (layout, crops, lambda: root.files.remove("crops/v"), lambda: root.files.remove("layouts/v.json")):
        assert refusal_of(write) == "" or "nothing is written through links" in refusal_of(write)
    assert is_untouched(outside)


def test_a_link_to_a_folder_is_replaced_by_the_folder_and_removed_as_a_link(root, outside):
    (root.path / "crops").mkdir(parents=True)
    (root.path / "crops" / "v").symlink_to(outside)
    with root.files.publish_folder("crops/v") as made:
        (made / "a").write_text("a")
    assert root.files.keys("crops/v/*") == ["crops/v/a"]
    assert [p.name for p in (root.path / "crops").iterdir()] == ["v"]
    assert is_untouched(outside)


def test_links_of_a_root_are_listed(root, outside):
    root.write_text("layouts/v.json", "x")
    (root.path / "layouts" / "w.json").symlink_to(outside / "precious")
    (root.path / "crops").symlink_to(outside)
    assert root.files.links() == ["crops", "layouts/w.json"]


def test_what_a_killed_add_left_behind_is_not_the_users_file_any_more(root, tmp_path):
    source = tmp_path / "mine.mp4"
    source.write_text("mine")
    (root.path / "videos").mkdir(parents=True)
    # Killed between linking and renaming, the unfinished name is a second name of the user's own file.
    os.link(source, root.path / "videos" / ".v.mp4.partial")
    root.write_text("videos/v.mp4", "something else")
    assert source.read_text() == "mine"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_root_is_its_owners_alone(root):
    before = os.umask(0)
    try:
        with root.files.lock("v"):
            root.write_text("layouts/v.json", "x")
            with root.files.publish_folder("crops/v") as folder:
                (folder / "part-000.parquet").write_text("x")
    finally:
        os.umask(before)
    for path in (root.path, *root.path.rglob("*")):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_root_that_its_owner_shares_with_a_group_stays_shared(root):
    root.path.mkdir(mode=0o770)
    root.path.chmod(0o770)
    root.write_text("layouts/v.json", "x")
    with root.files.publish_folder("crops/v") as folder:
        (folder / "part-000.parquet").write_text("x")
    for path in root.path.rglob("*"):
        assert mode(path) == (0o770 if path.is_dir() else 0o660), path


def test_a_folder_that_cannot_be_listed_is_no_empty_folder(root, monkeypatch):
    (root.path / "crops" / "v").mkdir(parents=True)
    if os.geteuid() == 0:
        # The superuser can list any folder, so the error of other users is simulated.
        def refuse(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))

        monkeypatch.setattr(os, "scandir", refuse)
    else:
        (root.path / "crops").chmod(0)
    with pytest.raises(RootError, match="give leave to read it"):
        root.files.keys("crops/*/part-*.parquet")


@pytest.mark.parametrize("name", ["con", "NUL.json", "com1.txt", "Aux.parquet"])
def test_names_that_windows_cannot_hold_are_refused(root, name):
    with pytest.raises(RootError, match="every system can hold"):
        root.write_text(f"layouts/{name}", "x")


# Locks.


def without_flock(monkeypatch, code):
    """Simulate a file system without locks."""
    import fcntl

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_a_marker_stands_in(root, monkeypatch, code):
    without_flock(monkeypatch, code)
    with root.files.lock("v"):
        assert root.files.is_locked("v")
        refused = pytest.raises(RootError, match=rf"another process is working on it \(process {os.getpid()}\)")
        with refused, root.files.lock("v"):
            pass
    assert not root.files.is_locked("v")
    with root.files.lock("v"):
        pass


def test_other_lock_errors_are_reported_as_they_are(root, monkeypatch):
    without_flock(monkeypatch, errno.EIO)
    with pytest.raises(RootError, match="input/output error"), root.files.lock("v"):
        pass


HOLD = """
import errno, fcntl, os, sys, time
def refuse(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from rmset.root import Root
with Root({root!r}).files.lock("v"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_marker_of_a_killed_process_is_taken_over(root, monkeypatch):
    code = textwrap.dedent(HOLD.format(root=str(root.path)))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    without_flock(monkeypatch, errno.ENOLCK)
    assert root.files.is_locked("v")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not root.files.is_locked("v")
    with root.files.lock("v"):
        pass


def test_asking_whether_something_is_locked_makes_nothing(root):
    assert not root.files.is_locked("v")
    assert not root.path.exists()


# Results outside of a root.


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_result_is_whole_or_absent_on_a_full_disk(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(RootError, match="no space left"), written(target), Path("/dev/full").open("w") as full:
        full.write("x" * 100_000)
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    assert target.read_text() == "old"


def test_a_result_is_its_owners_alone_and_replaces_a_link(tmp_path, outside):
    target = tmp_path / "preview.mp4"
    target.symlink_to(outside / "precious")
    with written(target) as path:
        path.write_text("faces")
    assert (target.read_text(), mode(target), target.is_symlink()) == ("faces", 0o600, False)
    assert is_untouched(outside)


def test_a_folder_in_place_of_a_result_is_one_line(tmp_path):
    with pytest.raises(RootError, match="is a directory"), written(tmp_path):
        pass


def small_disk():
    """A place with a few hundred kilobytes, or None."""
    return os.environ.get("RMSET_SMALL_DISK")


def test_where_small_disks_are_given_a_root_on_one_stays_whole(tmp_path):
    if small_disk() is None:
        pytest.skip("needs a nearly full file system: set RMSET_SMALL_DISK to a folder on it")
    root = Root(Path(small_disk()) / "root")
    root.write_text("layouts/v.json", "old")
    with pytest.raises(RootError, match="no space left"):
        root.write_text("layouts/v.json", "x" * (1 << 28))
    assert root.files.read_text("layouts/v.json") == "old"
    shutil.rmtree(root.path)
