"""What a publisher removes later is removed from rebuilt roots too, and stays out of those that do not hold it."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from rmset import removal
from rmset.errors import RootError, UsageError
from rmset.inspect.absence import absence
from rmset.inspect.verify import verify
from rmset.read.catalog import Catalog
from rmset.release import publish, pull_removals, rebuild
from rmset.release.download import download
from rmset.release.pull import read_removals
from rmset.root import Root
from rmset.stages import fetch
from rmset_cli.rmset.app import app
from tests.collect.host import Fault, Host

from .encode import encode


@pytest.fixture(scope="module")
def world(finished_root, mashup, tmp_path_factory):
    """A release; two later ones, without a person and without single faces; and a root rebuilt from the first."""
    folder = tmp_path_factory.mktemp("pulled")
    (video,) = finished_root.video_ids()
    publish(finished_root, folder / "release")
    for name, work in {
        "person": lambda root: removal.remove_person(root, video, 1, "asked by a person"),
        "crops": lambda root: removal.remove_crops(
            root, "select video_id, person_id, frame_idx from faces where person_id = 2 and frame_idx < 20", "black"
        ),
        "video": lambda root: removal.remove_video(root, video, "taken down"),
    }.items():
        shutil.copytree(finished_root.path, folder / f"own-{name}")
        own = Root(folder / f"own-{name}")
        work(own)
        if name != "video":
            publish(own, folder / name)
        else:
            # Another video is left, so that there is something to publish.
            (folder / "video").mkdir()
            key = (folder / "person/removed.json").read_text()
            raw = json.loads(key)["removed"][0]
            raw = {"what": "video", "video_id": raw["video_id"], "sha256": raw["sha256"]}
            (folder / "video/removed.json").write_text(json.dumps({"schema": 1, "removed": [raw]}))
    encode(mashup[0], folder / "videos/a.mp4", "-vf", "trim=start_frame=5,setpts=PTS-STARTPTS,scale=480:270")
    (outcome,) = rebuild(Root(folder / "rebuilt"), folder / "release", folder=folder / "videos")
    assert outcome.state == "equivalent"
    return folder


@pytest.fixture
def rebuilt(world, tmp_path):
    shutil.copytree(world / "rebuilt", tmp_path / "root")
    return Root(tmp_path / "root")


def rows(root, query):
    return Catalog(root).sql(query).rows()


def test_a_person_is_removed_by_id_and_hash_once(world, rebuilt):
    (video,) = rebuilt.video_ids()
    dry = pull_removals(rebuilt, world / "person", dry_run=True)
    assert [(p.done, p.faces) for p in dry] == [("removed", 43)]
    assert len(rows(rebuilt, "select * from crops where person_id = 1")) == 43
    (done,) = pull_removals(rebuilt, world / "person")
    assert (done.what, done.key, done.done, done.crops) == ("person", f"{video}:1", "removed", 43)
    assert rows(rebuilt, "select * from faces where person_id = 1") == []
    assert len(rows(rebuilt, "select * from crops")) == 86
    assert [p.done for p in pull_removals(rebuilt, world / "person/removed.json")] == ["known"]
    assert list(absence(rebuilt)) == list(verify(rebuilt)) == []
    (stone,) = rebuilt.removed()
    assert stone.reason == "removed by the publisher of a release"


def test_single_faces_are_removed_in_the_frames_that_show_them_here(world, rebuilt):
    (done,) = pull_removals(rebuilt, world / "crops")
    assert (done.what, done.done, done.faces) == ("crops", "removed", 15)
    left = rows(rebuilt, "select min(frame_idx) as first from faces where person_id = 2")
    assert left == [{"first": 15}]
    assert [p.done for p in pull_removals(rebuilt, world / "crops")] == ["known"]


def test_a_removed_video_goes_and_cannot_be_rebuilt_again(world, rebuilt):
    (done,) = pull_removals(rebuilt, world / "video")
    assert done.done == "removed"
    assert rebuilt.video_ids() == []
    (outcome,) = rebuild(rebuilt, world / "release", folder=world / "videos")
    assert outcome.state == "removed"
    assert [p.done for p in pull_removals(rebuilt, world / "video")] == ["known"]


@pytest.mark.parametrize("name", ["person", "crops", "video"])
def test_what_a_root_does_not_hold_stays_out_of_its_later_builds(world, tmp_path, mashup, name):
    root = Root(tmp_path / "root")
    assert [p.done for p in pull_removals(root, world / name)] == ["recorded"]
    assert [p.done for p in pull_removals(root, world / name)] == ["known"]
    (outcome,) = rebuild(root, world / "release", folder=world / "videos")
    if name == "video":
        assert outcome.state == "removed"
        with pytest.raises(RootError, match="was removed on"):
            fetch.add(root, mashup[0])
        return
    gone = {"person": 43, "crops": 15}[name]
    assert (outcome.faces, outcome.state) == (129 - gone, "equivalent")
    person = {"person": "person_id = 1", "crops": "person_id = 2 and frame_idx < 15"}[name]
    assert rows(root, f"select * from faces where {person}") == []
    assert rows(root, f"select * from crops where {person}") == []
    assert list(absence(root)) == list(verify(root)) == []


def test_other_faces_under_the_same_id_are_kept(world, rebuilt):
    raw = json.loads((world / "person/removed.json").read_text())
    raw["removed"][0]["person_id"] = 0
    path = rebuilt.path.parent / "other.json"
    path.write_text(json.dumps(raw))
    words = ["pull-removals", str(path), "--root", str(rebuilt.path)]
    done = CliRunner().invoke(app, [*words, "--format", "json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)[0]["done"] == "not matched"
    assert "expected the faces of the release under this id, found others" in done.stderr
    assert len(rows(rebuilt, "select * from crops where person_id = 0")) == 43


@pytest.mark.parametrize(
    "raw",
    [
        "{}",
        "[]",
        '{"schema": 1, "removed": [{"what": "video", "video_id": "../../etc/passwd"}]}',
        '{"schema": 1, "removed": [{"what": "person", "video_id": "a"}]}',
        '{"schema": 1, "removed": [{"what": "video", "video_id": "a", "sha256": "../x"}]}',
        '{"schema": 1, "removed": [{"what": "crops", "video_id": "a", "frames": [[0, 5, 2]]}]}',
        '{"schema": 9, "removed": []}',
    ],
)
def test_other_files_are_refused_in_one_line(raw, tmp_path):
    (tmp_path / "removed.json").write_text(raw)
    with pytest.raises(RootError) as caught:
        pull_removals(Root(tmp_path / "root"), tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "root").exists()


def test_addresses_are_https_or_of_this_machine_and_bounded(world):
    host = Host()
    try:
        text = (world / "person/removed.json").read_text()
        url = host.put("/removed.json", text, kind="application/json")
        assert read_removals(url) == read_removals(world / "person")
        with pytest.raises(UsageError, match="expected an https address"):
            read_removals("http://example.org/removed.json")
        with pytest.raises(RootError, match="expected at most 10 bytes, found more"):
            download(url, 10)
        host.always["/away"] = Fault(302, (("Location", "http://example.org/removed.json"),))
        with pytest.raises(UsageError, match="expected an https address"):
            read_removals(f"{host.url}/away")
        with pytest.raises(RootError, match="Not Found"):
            read_removals(f"{host.url}/nothing")
    finally:
        host.close()
