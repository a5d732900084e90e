"""Files of a root are written whole or not at all; only one process at a time works on a video."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rmset.errors import RootError
from rmset.files import hash_of
from rmset.root import Root

FULL = Path("/dev/full")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


def test_a_root_is_the_one_given_else_the_one_of_the_environment_else_the_usual(monkeypatch, tmp_path):
    monkeypatch.setenv("RMSET_ROOT", "elsewhere")
    assert Root.find(tmp_path).path == tmp_path
    assert str(Root.find().path) == "elsewhere"
    monkeypatch.delenv("RMSET_ROOT")
    assert str(Root.find().path) == "data/rmset"


def test_a_file_appears_only_when_it_is_whole(root):
    root.write_text("layouts/v.json", "old")
    with pytest.raises(KeyError), root.files.publish("layouts/v.json") as path:
        path.write_text("half of the new")
        assert root.files.read_text("layouts/v.json") == "old"
        raise KeyError
    assert root.files.read_text("layouts/v.json") == "old"
    assert root.files.keys("layouts/*") == ["layouts/v.json"]
    assert [p.name for p in (root.path / "layouts").iterdir()] == ["v.json"], "nothing half-written stays behind"


def test_a_folder_replaces_the_folder_before_it(root):
    for names in (["a", "b"], ["c"]):
        with root.files.publish_folder("crops/v") as folder:
            for name in names:
                (folder / name).write_text(name)
    assert root.files.keys("crops/v/*") == ["crops/v/c"]
    assert [p.name for p in (root.path / "crops").iterdir()] == ["v"]


def test_what_a_killed_process_left_is_no_key_and_is_written_over(root):
    (root.path / "tracks").mkdir(parents=True)
    (root.path / "tracks" / ".v.parquet.partial").write_text("half")
    assert root.files.keys("tracks/*") == []
    root.write_text("tracks/v.parquet", "whole")
    assert [p.name for p in (root.path / "tracks").iterdir()] == ["v.parquet"]


def test_two_processes_do_not_work_on_the_same_video(root):
    with root.files.lock("v"):
        other = textwrap.dedent(f"""
            from rmset.root import Root
            with Root({str(root.path)!r}).files.lock("v"):
                print("got in")
        """)
        done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
    assert "another process is working on it" in done.stderr
    assert "got in" not in done.stdout
    with root.files.lock("v"):
        pass


def test_a_place_that_cannot_be_written_gives_a_one_line_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(RootError, match="choose another place") as refusal:
        Root(blocked / "root").write_text("layouts/v.json", "x")
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported_and_loses_nothing(root):
    root.write_text("layouts/v.json", "old")
    # The real error of the system, raised where a full disk would raise it.
    with pytest.raises(RootError, match="no space left"), root.files.publish("layouts/v.json"), FULL.open("w") as full:
        full.write("x" * 100_000)
    assert root.files.read_text("layouts/v.json") == "old"


def test_equal_values_have_equal_hashes_whatever_the_order_of_their_keys():
    assert hash_of({"a": 1, "b": [2]}) == hash_of({"b": [2], "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})


def test_asking_for_an_unknown_video_names_those_that_are_there(root):
    with pytest.raises(RootError, match="rmset add"):
        root.select(None)
    (root.path / "videos").mkdir(parents=True)
    (root.path / "videos" / "here.json").write_text("{}")
    with pytest.raises(RootError, match="it has here"):
        root.select(["there"])
