"""A whole root on an object store: every command and class that reads a root works, and builds are the same bytes."""

import pickle
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rmset
from rmset.engine import build
from rmset.errors import RootError, ShardError
from rmset.inspect.verify import verify
from rmset.pipeline import check_tracks
from rmset.read.crops import CropStore
from rmset.remote.files import RemoteFiles
from rmset.review.desk import Desk
from rmset.root import Root
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig
from tests.remote import servers

STEPS = [("track", TrackConfig()), ("export", ExportConfig(size=64))]


def copied(root, place):
    """Publish all files of a root elsewhere."""
    target = rmset.open(place).root
    for path in sorted(p for p in root.path.rglob("*") if p.is_file()):
        key = path.relative_to(root.path).as_posix()
        if key.startswith(("state/locks", "state/index", "state/downloads", "crops/")):
            continue
        with target.files.publish(key) as partial:
            shutil.copyfile(path, partial)
    for video_id in root.video_ids():
        with target.files.publish_folder(root.crops_key(video_id)) as folder:
            for key in root.files.keys(f"{root.crops_key(video_id)}/*"):
                shutil.copyfile(root.files.local(key), folder / Path(key).name)
    return target


@pytest.fixture
def finished(finished_root, place):
    return copied(finished_root, place)


def outputs(root):
    """Hash of every file of a root but its ledger, by key."""
    patterns = ("layouts/*", "tracks/*", "crops/*/*", "frames/*", "videos/*", "audit/*")
    return {
        key: root.files.reread_sha256(key) for p in patterns for key in root.files.keys(p)
        if not (p == "videos/*" and key.endswith(".json"))
    }  # fmt: skip


def test_tables_counts_pairs_and_checks_are_those_of_the_same_root_in_a_folder(finished, finished_root):
    here, there = rmset.open(finished_root), rmset.open(finished)
    for query in (
        "select video_id, frame_count, sha256 from videos",
        "select person_id, count(*), sum(x0) from faces group by all order by all",
        "select person_id, frame_idx, octet_length(image.bytes) from crops order by all",
        "select count(*) from regions",
    ):
        assert there.sql(query).rows() == here.sql(query).rows()
    assert there.stats(pixels=True) == here.stats(pixels=True)
    assert len(there.crops()) == len(here.crops()) > 100
    for one, other in zip(there.pairs(d_far=10).take(3), here.pairs(d_far=10).take(3), strict=True):
        assert str(one.anchor) == str(other.anchor)
        assert one.anchor.encoded == other.anchor.encoded
        assert one.anchor.box == other.anchor.box
        assert one.negatives.rows.tolist() == other.negatives.rows.tolist()
    video_id = finished.video_ids()[0]
    assert finished.video_path(video_id).name == finished_root.video_path(video_id).name
    assert check_tracks(finished, video_id, 1).status == "done"


def test_verify_finds_damage_in_the_bucket_although_the_cache_is_whole(finished, place, moto):
    assert list(verify(finished)) == []
    bucket, _, root = place.removeprefix("s3://").partition("/")
    client = servers.bucket(moto, bucket)
    names = [o["Key"] for o in client.list_objects_v2(Bucket=bucket, Prefix=f"{root}/data/")["Contents"]]
    shard = next(name for name in names if name.endswith("part-000.parquet"))
    data = bytearray(client.get_object(Bucket=bucket, Key=shard)["Body"].read())
    data[5000] ^= 1
    client.put_object(Bucket=bucket, Key=shard, Body=bytes(data))
    (found,) = verify(finished, pixels=False)
    assert (found.key.rpartition("/")[2], found.stage) == ("part-000.parquet", "export")
    assert found.problem == "its bytes are not those that were written"


@pytest.mark.slow
def test_crops_feed_a_loader_whose_forked_workers_have_to_download(finished, place, tmp_path):
    from torch.utils.data import DataLoader

    from fertrain import CropDataset

    dataset = CropDataset(place, image_size=32)
    # The shards have to come again, in the workers, which are forks of a process that has made requests.
    dataset = pickle.loads(pickle.dumps(dataset))
    for path in (tmp_path / "cache").rglob("part-000.parquet"):
        path.unlink()
    loader = DataLoader(dataset, batch_size=16, num_workers=2, multiprocessing_context="fork")
    rows = [row for batch in loader for row in batch.row.tolist()]
    assert rows == list(range(len(dataset)))
    assert [*(tmp_path / "cache").rglob("part-000.parquet")]


def test_the_review_page_shows_and_saves_layouts(finished, place):
    desk = Desk(finished, finished.video_ids())
    (row,) = desk.queue()
    opened = desk.open(row["video_id"])
    assert desk.frame(row["video_id"], 3, 320)[:2] == b"\xff\xd8"
    layout = rmset.open(place).layout(row["video_id"])
    unsure = replace(layout, segments=tuple(replace(s, reviewed=False) for s in layout.segments))
    desk.save(row["video_id"], unsure.to_json(), opened["version"])
    assert rmset.open(place).layout(row["video_id"]) == unsure


@pytest.mark.slow
def test_a_build_in_a_bucket_makes_the_bytes_of_a_build_in_a_folder(laid_out_root, finished_root, seaweed, aws):
    aws(seaweed)
    servers.bucket(seaweed, "built")
    root = copied(laid_out_root, "s3://built/root")
    outcomes = list(build(root, root.video_ids(), STEPS, jobs=2))
    assert [o.status for o in outcomes] == ["done", "done"], outcomes
    assert outputs(root) == outputs(finished_root)
    again = list(build(rmset.open("s3://built/root").root, root.video_ids(), STEPS))
    assert [o.status for o in again] == ["already done", "already done"]


def test_wrong_places_and_missing_credentials_are_one_line(place, monkeypatch, tmp_path):
    with pytest.raises(RootError, match="expected a bucket, found none named no-such-bucket-here; create it"):
        Root("s3://no-such-bucket-here/x").video_ids()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(RootError, match="expected AWS credentials, found none; set AWS_PROFILE"):
        Root(place).video_ids()


@pytest.mark.parametrize(
    ("url", "settings", "said"),
    [
        (
            "s3://b-b/x",
            {"AWS_ENDPOINT_URL": "http://storage.lab:9000"},
            "expected https in AWS_ENDPOINT_URL, found http to another machine, .*; correct it, or set AWS_ALLOW_HTTP",
        ),
        pytest.param(
            "s3://b-b/x",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            r"found no whole answer of 127.0.0.1:1 \(AWS_ENDPOINT_URL\): it cannot be reached, or was too slow; run",
            marks=pytest.mark.slow,
        ),
        (
            "az://b-b/x",
            {"AZURE_STORAGE_ACCOUNT_NAME": "lab", "AZURE_IDENTITY_ENDPOINT": "http://127.0.0.1:1"},
            "expected credentials, found none that give a token; set AZURE_STORAGE_ACCOUNT_NAME and",
        ),
        (
            "az://b-b/x",
            {},
            "expected settings of the store in the environment, found faulty ones .*; set AZURE_STORAGE",
        ),
        (
            "gs://b-b/x",
            {"GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file"},
            "expected settings of the store in the environment, .*; set GOOGLE_APPLICATION_CREDENTIALS to a file",
        ),
    ],
)
def test_settings_with_which_no_store_is_reached_are_one_line(url, settings, said, aws, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    files = RemoteFiles(url, patience=1)
    with pytest.raises(RootError, match=said) as caught:
        files.keys("videos/*")
    assert "\n" not in str(caught.value)


def test_a_profile_of_the_user_is_enough(finished, place, monkeypatch, tmp_path):
    """boto3's chain finds what obstore alone does not."""
    file = tmp_path / "credentials"
    file.write_text(f"[lab]\naws_access_key_id = {servers.KEY}\naws_secret_access_key = {servers.SECRET}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert Root(place).video_ids() == finished.video_ids()


def test_without_the_extra_one_line_says_how_to_get_it(place, monkeypatch):
    for name in ("obstore", "obstore.store"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RootError, match=r"expected the extra `s3` .* pip install 'rmset\[s3\]'"):
        Root(place).video_ids()


def test_no_key_and_no_secret_is_written_anywhere(laid_out_root, place, moto, tmp_path):
    root = copied(laid_out_root, place)
    # A stage that fails leaves a traceback in the ledger.
    with root.files.publish(root.video_key(root.video_ids()[0])) as path:
        path.write_bytes(b"no video")
    (outcome,) = build(root, root.video_ids(), STEPS[:1])
    assert outcome.status == "failed"
    bucket = place.removeprefix("s3://").partition("/")[0]
    client = servers.bucket(moto, bucket)
    kept = [
        client.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()
        for o in client.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    kept += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    # Small files are compressed in their commit.
    kept += [root.files.read_text(key).encode() for key in root.files.keys("*/*.json") + root.files.keys("*/*/*.json")]
    assert len(kept) > 8
    assert any(b"Traceback" in data for data in kept)
    for data in (*kept, str(outcome).encode()):
        assert servers.KEY.encode() not in data
        assert servers.SECRET.encode() not in data


def test_crops_are_found_without_bringing_their_shards(laid_out_root, place, monkeypatch, tmp_path):
    root = copied(laid_out_root, place)
    assert [o.status for o in build(root, root.video_ids(), STEPS)] == ["done", "done"]
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "another"))
    crops = rmset.open(place).crops()
    assert len(crops) > 100
    assert len(rmset.open(place).pairs(d_far=10)) > 0
    assert not [*(tmp_path / "another").rglob("part-*.parquet")]
    assert crops[3].image.shape == (64, 64, 3)
    assert [*(tmp_path / "another").rglob("part-*.parquet")]


def test_a_machine_s_index_needs_no_lock_of_the_bucket(place, tmp_path, monkeypatch):
    from rmset.read.crops import CropStore
    from tests.store.worlds import crop_root, crop_row, write_crops

    root = rmset.open(place).root
    write_crops(root, [crop_row("a", p, f) for p in range(2) for f in range(9)])
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "another"))
    other = Root(place)

    def refused(*_, **__):
        raise RootError("expected leave to write, found read-only credentials")

    for name in ("write", "upload"):
        monkeypatch.setattr(other.files._store, name, refused)
    with root.files.lock("index"):
        assert root.files.is_locked("index")
        assert not other.files.is_locked("index")
        assert CropStore(other).index.folder is not None
        assert CropStore(root).index.folder is None
        with pytest.raises(RootError, match="index"), root.files.lock("index"):
            pass
    assert len(CropStore(root)) == len(CropStore(crop_root(tmp_path / "here", people=2, frames=9, videos=("a",))))


def test_one_more_video_of_a_bucket_is_appended_to_the_index_of_this_machine(place):
    from rmset.read.blocks import load
    from tests.store.test_growing import seen
    from tests.store.worlds import crop_row, write_crops

    root = rmset.open(place).root
    for video_id in ("b", "a", "c"):
        write_crops(root, [crop_row(video_id, p, f) for p in range(2) for f in range(9)])
        grown = seen(root)
    assert load(root, "crops-blocks").ids == ["b", "a", "c"]
    root.files.remove("state/index")
    assert seen(root) == grown


def dropped(dataset, cache):
    """The same data set without open files and copies of shards."""
    for path in cache.rglob("part-*.parquet"):
        path.unlink()
    return pickle.loads(pickle.dumps(dataset))


def copies(cache):
    """Copies of shards, after those under way have arrived."""
    for thread in threading.enumerate():
        if thread.name == "rmset-copy":
            thread.join()
    return [*cache.rglob("part-*.parquet")]


@pytest.mark.parametrize("size", [None, "1KB"])
def test_pictures_come_before_their_shards_which_are_copied_if_they_fit(
    finished, finished_root, place, tmp_path, monkeypatch, size
):
    monkeypatch.setattr("rmset.read.far.SMALL", 0)
    monkeypatch.setattr("rmset.read.far._MANY", 40)
    if size:
        monkeypatch.setenv("RMSET_CACHE_SIZE", size)
    local = CropStore(finished_root)
    cache = tmp_path / "cache"
    store = dropped(CropStore(Root(place)), cache)
    rows = np.random.default_rng(0).permutation(len(store))[:39]
    assert store.read(rows) == local.read(rows)
    assert not copies(cache)
    for _ in range(2):
        assert store.read(range(len(store))) == local.read(range(len(store)))
        assert bool(copies(cache)) == (size is None)


def test_batches_of_a_bucket_are_fetched_ahead_and_are_those_of_a_folder(
    finished, finished_root, place, tmp_path, monkeypatch
):
    from fertrain import CropDataset, CropLoader

    monkeypatch.setattr("rmset.read.far.SMALL", 0)
    far = dropped(CropDataset(place, image_size=32), tmp_path / "cache")
    near = CropDataset(finished_root, image_size=32)
    for block in (1, 4):
        ours, theirs = (CropLoader(data, 16, workers=2, block=block) for data in (far, near))
        for a, b in zip(ours, theirs, strict=True):
            assert a.row.tolist() == b.row.tolist()
            assert a.pixels.equal(b.pixels)


def test_a_shard_that_was_exported_again_is_refused_in_one_line(finished, place, tmp_path, monkeypatch):
    monkeypatch.setattr("rmset.read.far.SMALL", 0)
    store = dropped(CropStore(finished), tmp_path / "cache")
    other = Root(place)
    (video_id,) = {shard.video_id for shard in store.index.shards}
    with other.files.publish_folder(other.crops_key(video_id)) as folder:
        (folder / "part-000.parquet").write_bytes(b"another")
    finished.files._commits.refresh(video_id)
    with pytest.raises(ShardError, match=r"part-000.parquet: has changed since the root was opened"):
        store.read([0])
