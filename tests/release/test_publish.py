"""A release has what a rebuild needs, and no picture, embedding, title or name."""

import csv
import json
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from rmset import release, removal
from rmset.errors import RootError, UsageError
from rmset.files import sha256_of
from rmset.parts.shards import read_faces
from rmset.read.persons import Persons, Row, tracks_hash, write_persons
from rmset.release import Options, publish, scan
from rmset.release.removals import from_json
from rmset.root import Root
from rmset_cli.rmset.app import app


@pytest.fixture(scope="module")
def published(finished_root, tmp_path_factory):
    return publish(finished_root, tmp_path_factory.mktemp("published") / "release")


@pytest.fixture
def root(finished_root, tmp_path):
    shutil.copytree(finished_root.path, tmp_path / "root")
    return Root(tmp_path / "root")


def files(folder):
    return {p.relative_to(folder).as_posix(): sha256_of(p) for p in folder.rglob("*") if p.is_file()}


def test_the_tables_are_those_of_the_root(published, finished_root):
    (video,) = finished_root.video_ids()
    row = pq.read_table(published.path / "videos.parquet").to_pylist()[0]
    record = finished_root.record(video)
    assert (row["sha256"], row["frame_count"], row["width"]) == (record.sha256, 48, 640)
    assert json.loads(row["export_config"])["size"] == 64
    assert (row["faces"], row["people"], row["crops"]) == (144, 3, 144)
    people = pq.read_table(published.path / "people.parquet").to_pylist()
    parts = [pq.read_table(p, partitioning=None) for p in sorted(published.path.glob("tracks/*/*.parquet"))]
    released = pa.concat_tables(parts).sort_by([("person_id", "ascending"), ("frame_idx", "ascending")])
    own = read_faces(finished_root.files.local(finished_root.tracks_key(video)))
    for name in ("person_id", "frame_idx", "time_ms", "x0", "y1", "score", "landmarks"):
        assert released[name].to_pylist() == own[name].to_pylist()
    for person in people:
        table = pq.read_table(published.path / f"tracks/{person['split']}/{row['video_id']}.parquet", partitioning=None)
        assert person["person_id"] in table["person_id"].to_pylist()
    looks = pq.read_table(published.path / f"frames/{row['video_id']}.parquet", partitioning=None)
    assert (looks.num_rows, looks["time_us"].to_pylist()[:3]) == (48, [0, 33333, 66667])


def test_the_same_root_and_options_give_the_same_bytes(published, finished_root, tmp_path):
    again = publish(finished_root, tmp_path / "again")
    assert files(again.path) == files(published.path)
    other = publish(finished_root, tmp_path / "other", Options(seed=3))
    assert {k for k, v in files(other.path).items() if published.path / k and files(published.path).get(k) != v}


def test_checksums_are_those_of_sha256sum(published):
    subprocess.run(["sha256sum", "-c", "--quiet", "checksums.sha256"], cwd=published.path, check=True)


def test_a_release_has_no_title_name_picture_or_path(published, finished_root):
    (video,) = finished_root.video_ids()
    assert video.startswith("mashup-")
    row = pq.read_table(published.path / "videos.parquet").to_pylist()[0]
    assert row["video_id"] == f"video-{video[-8:]}"
    assert "title" not in row
    words = {video, str(finished_root.path)}
    assert list(scan(published.path, words=words)) == []


def test_titles_are_published_if_asked_for(root, tmp_path):
    done = publish(root, tmp_path / "release", Options(titles=True, names=True))
    row = pq.read_table(done.path / "videos.parquet").to_pylist()[0]
    assert (row["title"], row["video_id"]) == ("mashup", root.video_ids()[0])
    assert list(scan(done.path, ("titles", "names"))) == []
    assert [leak.problem for leak in scan(done.path)] == ["the column title of string"]


def spoil_with_picture(folder, crop):
    (folder / "licenses.csv").write_bytes(b"license,videos,faces\n" + crop)


def spoil_with_column(folder, crop):
    path = folder / "people.parquet"
    table = pq.read_table(path)
    vectors = pa.array([[0.1] * 128] * len(table), pa.list_(pa.float32(), 128))
    pq.write_table(table.append_column("embedding", vectors), path)


def spoil_with_pictures_as_hashes(folder, crop):
    path = next(folder.glob("frames/*.parquet"))
    table = pq.read_table(path, partitioning=None)
    looks = pa.array([crop[:32]] * len(table), pa.binary(32))
    pq.write_table(table.set_column(1, table.schema.field(1), looks), path, compression="zstd")


def spoil_with_file(folder, crop):
    (folder / "crops").mkdir()
    (folder / "crops/a.jpg").write_bytes(crop)


def spoil_with_title(folder, crop):
    path = folder / "datasheet.md"
    path.write_text(path.read_text() + "My private title of a mashup")


def spoil_with_key(folder, crop):
    path = folder / "removed.json"
    path.write_text('{"schema": 1, "removed": [{"what": "video", "video_id": "a", "reason": "asked"}]}')


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (spoil_with_picture, "beginning of a picture"),
        (spoil_with_column, "column embedding"),
        (spoil_with_pictures_as_hashes, "beginning of a picture in the column likeness"),
        (spoil_with_file, "a file that no release has"),
        (spoil_with_title, "the text 'My private title of a mashup'"),
        (spoil_with_key, "the key reason"),
    ],
)
def test_the_scan_finds_what_must_not_be_there(published, finished_root, tmp_path, spoil, problem):
    from rmset.read.crops import CropStore

    shutil.copytree(published.path, tmp_path / "release")
    key = finished_root.files.keys("crops/*/part-*.parquet")[0]
    crop = pq.read_table(finished_root.files.local(key), columns=["image"])["image"][0].as_py()["bytes"]
    assert CropStore(finished_root)
    spoil(tmp_path / "release", crop)
    found = [leak.problem for leak in scan(tmp_path / "release", words={"My private title of a mashup"})]
    assert any(problem in each for each in found), found


def test_the_guard_stops_a_release_that_would_tell_a_title(root, tmp_path):
    (video,) = root.video_ids()
    record = root.files.local(root.record_key(video))
    raw = json.loads(record.read_text()) | {"uploader": "Anna Example", "license": "courtesy of Anna Example"}
    record.write_text(json.dumps(raw))
    with pytest.raises(RootError, match="without the text 'Anna Example'"):
        publish(root, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_only_people_with_consent_are_shown(root, tmp_path):
    (video,) = root.video_ids()
    consent = tmp_path / "consent.csv"
    consent.write_text(f"video_id,person_id,form\n{video},1,signed on paper\n")
    done = publish(root, tmp_path / "release", Options(consent=consent))
    (path,) = done.path.glob("crops/*/*.parquet")
    rows = pq.read_table(path, partitioning=None).to_pylist()
    assert {row["person_id"] for row in rows} == {1}
    assert len(rows) == 48
    assert rows[0]["image"]["path"].startswith(f"video-{video[-8:]}/")
    assert list(scan(done.path, ("pixels",))) == []
    assert any(leak.file.startswith("crops/") for leak in scan(done.path))
    consent.write_text(f"video_id,person_id\n{video},7\n")
    with pytest.raises(UsageError, match=r"expected people of this data set, found .*:7"):
        publish(root, tmp_path / "other", Options(consent=consent))
    assert not (tmp_path / "other").exists()


def test_the_removed_are_absent_and_their_removal_tells_ids_and_hashes_only(root, tmp_path):
    (video,) = root.video_ids()
    removal.remove_person(root, video, 1, "asked by Anna Example")
    done = publish(root, tmp_path / "release")
    assert {p["person_id"] for p in pq.read_table(done.path / "people.parquet").to_pylist()} == {0, 2}
    for path in done.path.glob("tracks/*/*.parquet"):
        assert 1 not in pq.read_table(path, partitioning=None)["person_id"].to_pylist()
    (raw,) = json.loads((done.path / "removed.json").read_text())["removed"]
    assert set(raw) == {"what", "video_id", "person_id", "sha256", "faces"}
    (removed,) = from_json((done.path / "removed.json").read_text(), "removed.json")
    assert removed.key == f"video-{video[-8:]}:1"
    assert done.facts.removed == {"person": 1}


def test_unfinished_videos_are_left_out_and_damaged_ones_refused(root, tmp_path, mashup):
    from rmset.stages import fetch

    (tmp_path / "second.mp4").write_bytes(mashup[0].read_bytes() + bytes(16))
    second = fetch.add(root, tmp_path / "second.mp4").video_id
    done = publish(root, tmp_path / "release")
    assert done.left_out == (f"video {second} is left out: it has no layout; run `rmset build`",)
    assert done.facts.videos == 1
    video = next(v for v in root.video_ids() if v != second)
    tracks = root.files.local(root.tracks_key(video))
    tracks.write_bytes(tracks.read_bytes()[:-1])
    with pytest.raises(RootError, match="expected the bytes that stage track wrote, found others"):
        publish(root, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_people_who_are_linked_over_videos_share_a_split(root, tmp_path):
    (video,) = root.video_ids()
    tracks = tracks_hash(root, video)
    write_persons(root, Persons(tuple(Row(f"{video}:0", video, n, 0.9, "linked", tracks=tracks) for n in (0, 2))))
    done = publish(root, tmp_path / "release", Options(persons=True))
    people = {p["person_id"]: p for p in pq.read_table(done.path / "people.parquet").to_pylist()}
    assert people[0]["person_key"] == people[2]["person_key"]
    assert people[0]["person_key"].startswith("person-")
    assert people[0]["split"] == people[2]["split"]
    assert people[1]["person_key"] is None
    assert (done.facts.split_by, done.facts.persons) == ("person_key", 2)
    assert list(scan(done.path, ("persons",))) == []


def test_the_croissant_is_valid_and_its_records_are_read_through_it(published):
    mlc = pytest.importorskip("mlcroissant", reason="needs the extra `publish`")
    found = mlc.Dataset(str(published.path / "croissant.json"))
    assert not found.metadata.ctx.issues.errors
    videos = list(found.records("videos"))
    assert videos[0]["videos/frame_count"] == 48
    faces = list(found.records("faces"))
    assert len(faces) == 144
    assert len(faces[0]["faces/landmarks"]) == 10
    assert len(list(found.records("people"))) == 3


def test_the_card_loads_with_datasets(published, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs the extra `hf`")
    loaded = datasets.load_dataset(str(published.path), cache_dir=str(tmp_path))
    assert sum(part.num_rows for part in loaded.values()) == 144
    videos = datasets.load_dataset(str(published.path), "videos", split="full", cache_dir=str(tmp_path))
    assert videos[0]["frame_count"] == 48


def test_licenses_and_datasheet_are_filled_with_counts(published):
    rows = list(csv.DictReader((published.path / "licenses.csv").open()))
    assert rows == [{"license": "not stated", "videos": "1", "faces": "144"}]
    sheet = (published.path / "datasheet.md").read_text()
    assert "144 faces" in sheet
    assert "TO BE FILLED IN BY THE PUBLISHER" in sheet
    assert "640x360 (1)" in sheet


def test_the_command_tells_what_it_wrote(root, tmp_path):
    place = ["-o", str(tmp_path / "release"), "--root", str(root.path)]
    done = CliRunner().invoke(app, ["publish", *place, "--format", "json"])
    assert done.exit_code == 0, done.output
    assert {row["what"] for row in json.loads(done.stdout)} >= {"tracks", "frames", "README.md", "croissant.json"}
    card = tmp_path / "release/README.md"
    card.write_text(card.read_text() + "filled in")
    assert CliRunner().invoke(app, ["publish", *place]).exit_code == 0, "the same release is there already"
    assert card.read_text().endswith("filled in")
    for other, words in ((tmp_path / "release", "found another"), (tmp_path, "expected no folder or an empty one")):
        again = CliRunner().invoke(app, ["publish", "-o", str(other), "--seed", "5", "--root", str(root.path)])
        assert isinstance(again.exception, RootError)
        assert words in str(again.exception)


def test_names_are_those_of_the_package():
    assert all(getattr(release, name) for name in release.__all__)
