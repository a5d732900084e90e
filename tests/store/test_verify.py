"""Verify: each fault is found, the broken file is named, and repair rebuilds only this file."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmset import schema
from rmset.inspect import charts, stats
from rmset.inspect.verify import verify
from rmset.parts.pictures import decode, encoder
from rmset.parts.shards import crop_writer, write_faces
from rmset.pipeline import repair, run_stage
from rmset.read.crops import CropStore
from rmset.root import Root
from rmset.stages.export import ExportConfig

from .worlds import files_of, video_root

VIDEO = "v-00000001"
PART = f"crops/{VIDEO}/part-001.parquet"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """An exported root of three shards."""
    root = video_root(tmp_path_factory.mktemp("verify") / "root", frames=60)
    outcome = run_stage(root, VIDEO, "export", ExportConfig(size=128, format="png", shard_mb=1))
    assert outcome.status == "done", outcome.error
    assert outcome.counts["parts"] >= 3
    return root


@pytest.fixture
def root(source, tmp_path):
    shutil.copytree(source.path, tmp_path / "root")
    return Root(tmp_path / "root")


def cut(root):
    path = root.files.local(PART)
    path.write_bytes(path.read_bytes()[:-100])


def flip(root):
    path = root.files.local(PART)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)


def lose(root):
    root.files.remove(PART)


def rewrite(root, change):
    path = root.files.local(PART)
    table = change(pq.read_table(path, partitioning=None))
    with crop_writer(path) as writer:
        writer.write_table(table.cast(schema.crops()))


def double(root):
    rewrite(root, lambda t: pa.concat_tables([t, t.slice(0, 3)]))


def strange(root):
    def change(table):
        frames = np.array(table["frame_idx"]) + 1000
        return table.set_column(table.schema.get_field_index("frame_idx"), "frame_idx", [frames.astype(np.int32)])

    rewrite(root, change)


def newer(root):
    path = root.files.local(PART)
    pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata({schema.VERSION_KEY: b"9"}), path)


def disagree(root):
    def change(table):
        sizes = pa.array([123_456_789] * table.num_rows, pa.int32())
        return table.set_column(8, schema.CROP_FIELDS[8], sizes)

    rewrite(root, change)


def blank(root):
    def change(table):
        image = pa.array([{"bytes": b"no picture", "path": "x"}] * table.num_rows, schema.CROP_FIELDS[7].type)
        sizes = pa.array([len(b"no picture")] * table.num_rows, pa.int32())
        return table.set_column(7, schema.CROP_FIELDS[7], image).set_column(8, schema.CROP_FIELDS[8], sizes)

    rewrite(root, change)


FAULTS = [
    (cut, "not a whole Parquet file"),
    (flip, "its bytes are not those that were written"),
    (lose, "missing"),
    (double, "3 crops have the key"),
    (strange, "crops have no face row"),
    (newer, "update rmset"),
    (disagree, "a tool has rewritten it"),
    (blank, "pictures cannot be decoded"),
]


def test_a_whole_root_has_no_findings(root):
    assert list(verify(root)) == []


@pytest.mark.parametrize(("damage", "problem"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_fault_is_found_named_and_repaired(root, damage, problem):
    before = files_of(root)
    kept = root.files.local(f"tracks/{VIDEO}.parquet").stat().st_mtime_ns
    damage(root)
    findings = list(verify(root))
    assert any(problem in f.problem for f in findings), findings
    assert {f.key for f in findings} <= {PART, f"crops/{VIDEO}"}
    assert [o.status for o in repair(root, findings)] == ["done"]
    assert files_of(root) == before
    assert list(verify(root)) == []
    assert root.files.local(f"tracks/{VIDEO}.parquet").stat().st_mtime_ns == kept


@pytest.mark.parametrize(("damage", "problem"), [f for f in FAULTS if f[0] not in (flip, blank)])
def test_faults_are_found_without_a_ledger_and_without_decoding(root, damage, problem):
    damage(root)
    root.files.remove("state")
    findings = list(verify(root, pixels=False))
    assert findings
    assert list(repair(root, findings)) == []


def track_times(root, change):
    path = root.files.local(f"tracks/{VIDEO}.parquet")
    table = pq.read_table(path, partitioning=None)
    at = table.schema.get_field_index("time_ms")
    times = change(table["frame_idx"].to_numpy(), table["time_ms"].to_numpy().copy())
    write_faces(
        path, table.set_column(at, schema.FACE_FIELDS[at], [times]).replace_schema_metadata(schema.faces().metadata)
    )


def backwards(frame, time_ms):
    time_ms[frame == 20] = 10.0
    return time_ms


def apart(frame, time_ms):
    time_ms[np.flatnonzero(frame == 20)[0]] += 1
    return time_ms


def late(frame, time_ms):
    return time_ms + 500 * (frame > 30)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (backwards, "times run backwards"),
        (apart, "another time than others of their frame"),
        (late, "rows have another time than their frame"),
    ],
)
def test_times_of_rows_are_those_of_their_frames_and_never_run_backwards(root, change, problem):
    track_times(root, change)
    found = [f.problem for f in verify(root, pixels=False) if f.key.startswith("tracks") and "bytes" not in f.problem]
    assert len(found) == 1
    assert problem in found[0]


def test_crops_of_other_frames_are_found_by_decoding_some_anew(root):
    assert list(verify(root, frames=5)) == []

    def shift(table):
        images = table["image"].combine_chunks()
        moved = images.take(pa.array(np.roll(np.arange(len(images)), 9)))
        sizes = pa.array([len(image["bytes"]) for image in moved.to_pylist()], pa.int32())
        table = table.set_column(7, schema.CROP_FIELDS[7], moved)
        return table.set_column(8, schema.CROP_FIELDS[8], sizes)

    rewrite(root, shift)
    (found,) = [f for f in verify(root, pixels=False, frames=60) if "show something else" in f.problem]
    assert found.stage == "export"
    assert [o.status for o in repair(root, [found])] == ["done"]
    assert list(verify(root, frames=60)) == []


def test_an_index_of_frames_that_is_damaged_or_of_another_video_is_found(root):
    key = f"frames/{VIDEO}.parquet"
    root.files.local(key).write_bytes(b"PAR1")
    assert any(f.key == key and "index of frames" in f.problem for f in verify(root, pixels=False))


def test_two_shards_with_the_same_crops(root):
    shutil.copy(root.files.local(PART), root.files.local(f"crops/{VIDEO}/part-007.parquet"))
    found = {f.problem for f in verify(root, pixels=False)}
    assert any("stand in two parts" in p for p in found)
    assert any("is missing" in p for p in found)


def test_broken_tracks_are_named(root):
    key = f"tracks/{VIDEO}.parquet"
    root.files.local(key).write_bytes(b"PAR1")
    assert (key, "track") in {(f.key, f.stage) for f in verify(root, pixels=False)}


def test_crops_of_a_video_that_is_not_there(root):
    shutil.copytree(root.path / "crops" / VIDEO, root.path / "crops" / "stranger")
    assert [f.video_id for f in verify(root, pixels=False)] == ["stranger"]


def test_stats_count_and_measure_exactly(root):
    (row,) = stats.per_video(root)
    assert {n: row[n] for n in ("frames", "people", "faces", "crops", "coverage")} == {
        "frames": 60, "people": 3, "faces": 180, "crops": 180, "coverage": 1.0
    }  # fmt: skip
    assert row["aspect"] == pytest.approx(52 / 40)
    assert row["masked"] == pytest.approx(20 * 8 / (192 * 96))
    assert stats.total([row])["faces"] == 180
    store = CropStore(root)
    assert stats.per_video(root) == [row], "the counts do not depend on whether an index is kept"
    pixels = np.stack([decode(data) for data in store.read(range(len(store)))]).reshape(-1, 3) / 255
    found = stats.pixels(root)
    assert found.crops == 180
    assert np.allclose(found.mean, pixels.mean(axis=0), atol=1e-12)
    assert np.allclose(found.std, pixels.std(axis=0), atol=1e-9)
    assert stats.pixels(root, threads=1) == found


@pytest.mark.slow
def test_a_page_of_plots(root, tmp_path):
    histograms = stats.distributions(root)
    assert {h.name: int(h.count.sum()) for h in histograms}["face height, px"] == 180
    (height,) = (h for h in histograms if h.name == "face height, px")
    assert height.left.tolist() == [50.0]
    charts.write(tmp_path / "page.png", stats.per_video(root), histograms)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_a_picture_whose_end_is_gone_is_no_picture(form):
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    whole = encoder(form, 90)(image)
    assert decode(whole).shape == image.shape
    # WebP decodes any bytes, so it does not detect zeros in place of its end
    for damaged in (whole[:-400], whole[:-400] + bytes(400))[: 1 if form == "webp" else 2]:
        with pytest.raises(ValueError, match=r"Premature|Corrupt|none"):
            decode(damaged)
