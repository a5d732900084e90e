"""A root on an object store behaves as one in a folder: keys, atomic publishing, hashes."""

import hashlib
import os
import pickle
import threading

import pytest

from rmset.errors import RootError, UnreadableError, UsageError
from rmset.local_files import LocalFiles
from rmset.remote import open_files
from rmset.remote.cache import Cache, parse_size
from rmset.root import Root
from tests.remote import servers


def objects(place, moto, prefix=""):
    bucket, _, root = place.removeprefix("s3://").partition("/")
    found = servers.bucket(moto, bucket).list_objects_v2(Bucket=bucket, Prefix=f"{root}/{prefix}").get("Contents", [])
    return sorted(each["Key"].removeprefix(f"{root}/") for each in found)


def write(files, key, data):
    with files.publish(key) as path:
        path.write_bytes(data)


def test_what_is_published_is_found_by_key_pattern_and_folder_as_in_a_directory(remote, tmp_path):
    contents = {
        "videos/a.json": b"{}", "videos/a.mp4": b"v" * 50_000, "tracks/a.parquet": b"t", "tracks/b.parquet": b"u",
        "state/track/a.json": b"1", "predictions/run.1/a.parquet": b"p", "removed.json": b"[]",
        "crops/a/part-000.parquet": b"c",
    }  # fmt: skip
    local = LocalFiles(tmp_path / "root")
    for files in (remote.files, local):
        for key, data in contents.items():
            write(files, key, data)
    patterns = [
        "videos/*",
        "videos/a.*",
        "*/a.*",
        "*/a",
        "*/*/a.*",
        "crops/*/part-*.parquet",
        "*",
        "predictions/*",
        "none/*",
        "*.json",
    ]
    for pattern in patterns:
        found = [key for key in local.keys(pattern) if not key.startswith("state/locks")]
        assert remote.files.keys(pattern) == found, pattern
    for files in (remote.files, local):
        for pattern in ("crops/*/part-*.parquet", "tracks/*.parquet", "none/*/x", "removed.json"):
            assert files.stamps(pattern) == [(key, files.stamp(key)) for key in files.keys(pattern)]
    with pytest.raises(RootError, match="file of this machine"):
        remote.files.extend("tracks/a.parquet")
    for key in [*contents, "crops/a", "crops", "crops/b", "tracks/none.parquet"]:
        assert remote.files.exists(key) == local.exists(key), key
    for key, data in contents.items():
        assert remote.files.local(key).read_bytes() == data
        assert remote.files.sha256(key) == remote.files.reread_sha256(key) == hashlib.sha256(data).hexdigest()
        assert remote.files.stamp(key).bytes == len(data)
        reader = remote.files.reader(key)
        assert reader.read_at(0, 1 << 20) == data
        reader.close()
    assert remote.files.read_text("videos/a.json") == "{}"
    with pytest.raises(FileNotFoundError):
        remote.files.stamp("videos/none.json")
    with pytest.raises(UnreadableError, match="at most 3 bytes"):
        remote.files.sha256("videos/a.mp4", 3)
    with pytest.raises(RootError, match="folder of this machine"):
        _ = remote.path


def test_another_machine_sees_what_was_published_and_a_change_has_another_stamp(remote, place, monkeypatch, tmp_path):
    write(remote.files, "tracks/a.parquet", b"old")
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "another"))
    other = Root(place)
    before = other.files.stamp("tracks/a.parquet")
    assert other.files.local("tracks/a.parquet").read_bytes() == b"old"
    write(remote.files, "tracks/a.parquet", b"new")
    again = Root(place)
    assert again.files.local("tracks/a.parquet").read_bytes() == b"new"
    assert again.files.stamp("tracks/a.parquet") != before
    assert pickle.loads(pickle.dumps(again)).files.local("tracks/a.parquet").read_bytes() == b"new"


def test_a_folder_is_replaced_by_one_commit_and_what_it_held_is_deleted(remote, place, moto):
    for parts in (3, 2):
        with remote.files.publish_folder("crops/a") as folder:
            for number in range(parts):
                (folder / f"part-{number:03d}.parquet").write_bytes(bytes([parts]) * 20_000)
                # Nothing can be seen before the commit.
                assert len(Root(place).files.keys("crops/a/*")) in (0, 3)
        found = Root(place).files
        assert [found.local(key).read_bytes()[:1] for key in found.keys("crops/a/*")] == [bytes([parts])] * parts
    assert len(objects(place, moto, "data/")) == 2
    remote.files.remove("crops/a")
    assert not remote.files.exists("crops/a")
    assert objects(place, moto, "data/") == []


def test_a_failed_publication_leaves_the_old_file_and_no_object(remote, place, moto):
    write(remote.files, "tracks/a.parquet", b"old")
    with pytest.raises(ZeroDivisionError), remote.files.publish("tracks/a.parquet") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), remote.files.publish_folder("crops/a") as folder:
        (folder / "part-000.parquet").write_bytes(b"half")
        raise ZeroDivisionError
    assert Root(place).files.local("tracks/a.parquet").read_bytes() == b"old"
    assert not Root(place).files.exists("crops/a")
    assert len(objects(place, moto, "data/")) == 1


def test_many_writers_of_one_commit_lose_nothing(place):
    def work(number):
        files = open_files(place)
        for step in range(4):
            write(files, f"predictions/run-{number}-{step}/a.parquet", bytes([number, step]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(open_files(place).keys("predictions/*/a.parquet")) == 20


@pytest.mark.slow
def test_a_large_file_arrives_in_parts_and_is_read_in_parts(remote, place, monkeypatch, tmp_path):
    from rmset.remote import ranges

    data = os.urandom(40 << 20)
    write(remote.files, "tracks/a.parquet", data)
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(ranges, "_MOST_BYTES", 1 << 20)
    reader = Root(place).files.reader("tracks/a.parquet")
    assert reader.read_at(len(data) - 1000, 5000) == data[-1000:]
    assert not [*(tmp_path / "another").rglob("a.parquet")]
    assert reader.read_at(123, 2 << 20) == data[123 : 123 + (2 << 20)]
    (copy,) = (tmp_path / "another").rglob("a.parquet")
    assert copy.read_bytes() == data
    reader.close()


def test_a_damaged_object_is_never_used(remote, place, moto, monkeypatch, tmp_path):
    write(remote.files, "tracks/a.parquet", b"as it was")
    bucket, _, root = place.removeprefix("s3://").partition("/")
    (name,) = objects(place, moto, "data/")
    servers.bucket(moto, bucket).put_object(Bucket=bucket, Key=f"{root}/{name}", Body=b"as it is!")
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "another"))
    other = Root(place).files
    with pytest.raises(RootError, match="expected the bytes that were published, found others"):
        other.local("tracks/a.parquet")
    assert other.reread_sha256("tracks/a.parquet") != other.sha256("tracks/a.parquet")
    # A commit that names files outside of the cache, or is no commit, is refused as a whole.
    for text in (
        '{"schema": 9, "token": 0, "files": {}}',
        "x",
        '{"schema": 1, "token": 0, "files": {"a": {"size": 1, "sha256": "0", "object": "data/../../x"}}}',
    ):
        servers.bucket(moto, bucket).put_object(Bucket=bucket, Key=f"{root}/commits/videos/a.json", Body=text.encode())
        with pytest.raises(RootError, match=r"expected (a commit|schema 1)"):
            Root(place).files.keys("tracks/*")


def test_the_cache_keeps_to_its_size_and_spares_what_is_in_use(tmp_path):
    cache = Cache(tmp_path, 100_000)
    for number in range(6):
        name = f"data/v{number}/{number:016x}/x.bin"
        data = bytes([number]) * 30_000
        cache.bring(name, hashlib.sha256(data).hexdigest(), len(data), lambda path, data=data: path.write_bytes(data))
        os.utime(cache.path(name).parent, (1e9 + number, 1e9 + number))
    with cache.pin("v3"):
        cache.trim(0)
    left = sorted(path.parent.parent.name for path in tmp_path.rglob("x.bin"))
    assert left == ["v3", "v4", "v5"]
    assert parse_size("2TB") == 2_000_000_000_000
    for wrong in ("0", "many", "-1GB"):
        with pytest.raises(UsageError, match="expected a size"):
            parse_size(wrong)


def test_addresses_without_a_bucket_are_refused():
    for wrong in ("s3://", "s3://a", "s3://../x", "s3://bucket/a//b", "s3://bucket/../x"):
        with pytest.raises(UsageError, match="expected a"):
            Root(wrong)


def test_the_cache_is_chosen_by_options_of_the_program_that_its_workers_inherit(remote, place, monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from rmset_cli.rmset.app import app

    monkeypatch.setenv("RMSET_CACHE_SIZE", "1GB")
    write(remote.files, "removed.json", b"[]")
    done = CliRunner().invoke(
        app, ["--cache", str(tmp_path / "mine"), "--cache-size", "2GB", "status", "--root", place]
    )
    assert os.environ["RMSET_CACHE_SIZE"] == "2GB", done.output
    assert [*(tmp_path / "mine").iterdir()]
    wrong = CliRunner().invoke(app, ["--cache-size", "many", "status", "--root", place])
    assert isinstance(wrong.exception, UsageError)
