"""Export: the right pixels, the same bytes, whole or not at all."""

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from rmset import schema
from rmset.errors import UsageError
from rmset.fields import settings_of
from rmset.files import hash_of
from rmset.inspect.verify import verify
from rmset.parts import cropping
from rmset.parts.frames import VideoReader
from rmset.parts.likeness import likeness_of
from rmset.parts.pictures import decode
from rmset.parts.shards import read_faces, write_faces
from rmset.pipeline import run_stage
from rmset.read.crops import CropStore
from rmset.root import Root
from rmset.stages.export import ExportConfig

from .worlds import files_of, video_root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return video_root(tmp_path_factory.mktemp("export") / "root")


@pytest.fixture
def root(source, tmp_path):
    shutil.copytree(source.path, tmp_path / "root")
    return Root(tmp_path / "root")


def export(root, **config):
    (video_id,) = root.video_ids()
    outcome = run_stage(root, video_id, "export", ExportConfig(**{"size": 32, **config}))
    assert outcome.status == "done", outcome.error
    return outcome.counts


def crops(root):
    return pq.read_table(root.path / "crops", partitioning=None)


def test_a_crop_is_what_the_transform_makes_of_its_face(root):
    export(root, format="png")
    table = crops(root).to_pylist()
    faces = {
        (r["person_id"], r["frame_idx"]): r
        for r in read_faces(root.files.local("tracks/v-00000001.parquet")).to_pylist()
    }
    panels = {p.person_id: p.panel for p in root.layout("v-00000001").segments[0].people}
    with VideoReader(root.video_path("v-00000001")) as reader:
        frames = [frame.rgb for frame in reader.frames()]
    assert len(table) == len(faces) == 90
    for row in table[::7]:
        face = faces[row["person_id"], row["frame_idx"]]
        box = tuple(face[n] for n in ("x0", "y0", "x1", "y1"))
        expected = cropping.cut(frames[row["frame_idx"]], box, panels[row["person_id"]], 32)
        assert np.array_equal(decode(row["image"]["bytes"]), expected.image)
        assert row["padding"] == pytest.approx(expected.padding, abs=1e-6)
        assert row["time_ms"] == pytest.approx(face["time_ms"], abs=1e-6)
        gray = cv2.cvtColor(expected.image, cv2.COLOR_RGB2GRAY)
        assert row["brightness"] == pytest.approx(gray.mean() / 255, abs=1e-6)
        assert row["sharpness"] == pytest.approx(cv2.Laplacian(gray, cv2.CV_64F).var(), rel=1e-5)
        assert row["yaw"] == pytest.approx(0, abs=1e-5)


def test_a_crop_never_shows_beyond_its_panel():
    image = np.zeros((50, 100, 3), np.uint8)
    image[:, 50:] = 255
    crop = cropping.cut(image, (30.0, 10.0, 60.0, 40.0), (0.0, 0.0, 50.0, 50.0), 32)
    assert crop.image.max() == 0
    assert crop.padding > 0.3


@pytest.mark.parametrize(("form", "sign"), [("jpeg", b"\xff\xd8"), ("png", b"\x89PNG"), ("webp", b"RIFF")])
def test_formats(root, form, sign):
    export(root, format=form)
    table = crops(root)
    assert all(row["bytes"].startswith(sign) for row in table["image"].to_pylist())
    assert table["image"][0].as_py()["path"].endswith({"jpeg": ".jpg"}.get(form, f".{form}"))
    assert CropStore(root).images([0])[0].shape == (32, 32, 3)


def test_filters_and_stride(root):
    assert export(root, stride=7)["crops"] == 3 * 5
    assert set(crops(root)["frame_idx"].to_pylist()) == {0, 7, 14, 21, 28}
    assert export(root, max_per_person=4)["crops"] == 3 * 4
    assert set(crops(root)["frame_idx"].to_pylist()) == {0, 10, 19, 29}
    assert export(root, min_score=0.9)["crops"] < 30
    assert export(root, min_size=53)["crops"] == 0
    assert CropStore is not None
    assert root.files.keys("crops/*/part-*") == []


def test_crops_that_look_like_the_last_kept_one_are_left_out(root):
    everything = export(root)["crops"]
    pictures = {(r["person_id"], r["frame_idx"]): r["image"]["bytes"] for r in crops(root).to_pylist()}
    counts = export(root, distinct=12)
    kept = {(r["person_id"], r["frame_idx"]) for r in crops(root).to_pylist()}
    assert counts["crops"] == len(kept) < everything
    assert counts["crops"] + counts["like"] == everything
    last = {}
    for person, frame in sorted(pictures, key=lambda k: (k[1], k[0])):
        own = likeness_of(pictures[person, frame])
        apart = (int.from_bytes(own) ^ int.from_bytes(last.get(person, own))).bit_count()
        assert ((person, frame) in kept) == (person not in last or apart > 12)
        if (person, frame) in kept:
            last[person] = own
    assert export(root, distinct=255)["crops"] == 3


def test_settings_that_came_later_leave_earlier_results_up_to_date():
    config = ExportConfig(size=32)
    recorded = settings_of(config)
    assert "distinct" not in recorded
    assert hash_of(recorded) == hash_of({k: v for k, v in asdict(config).items() if k not in ("distinct", "grid")})
    assert settings_of(replace(config, distinct=3))["distinct"] == 3


def test_a_face_outside_its_panel_is_counted_and_left_out(root):
    key = "tracks/v-00000001.parquet"
    faces = read_faces(root.files.local(key))
    x = np.array(faces["x0"]).copy()
    x[:5] = 1000.0
    faces = faces.set_column(faces.schema.get_field_index("x0"), faces.schema.field("x0"), [x])
    faces = faces.set_column(faces.schema.get_field_index("x1"), faces.schema.field("x1"), [x + 30])
    write_faces(root.files.local(key), faces)
    counts = export(root)
    assert counts["outside"] == 5
    assert counts["crops"] == 85


def test_the_same_bytes_again_and_from_any_process(root, tmp_path):
    export(root, shard_mb=1)
    first = files_of(root)
    shutil.rmtree(root.path / "crops")
    code = (
        "from rmset.root import Root; from rmset.stages import export;"
        f"export.run(Root({str(root.path)!r}), 'v-00000001', export.ExportConfig(size=32, shard_mb=1))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert files_of(root) == first


def test_metadata_names_the_schema_and_the_pictures(root):
    export(root)
    metadata = pq.read_schema(root.files.local("crops/v-00000001/part-000.parquet")).metadata
    assert metadata[schema.VERSION_KEY] == b"1"
    assert b'"Image"' in metadata[b"huggingface"]
    entry = root.stage_record("export", "v-00000001")
    assert list(entry.outputs) == ["crops/v-00000001/part-000.parquet"]
    assert entry.counts["crops"] == 90


def test_hugging_face_shows_pictures(root, tmp_path):
    datasets = pytest.importorskip("datasets")
    export(root)
    files = [str(root.files.local(k)) for k in root.files.keys("crops/*/*.parquet")]
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(data.features["image"], datasets.Image)
    assert data[3]["image"].size == (32, 32)
    assert data[3]["person_id"] == 0


@pytest.mark.parametrize(
    "wrong", [{"size": 2}, {"stride": 0}, {"quality": 101}, {"format": "gif"}, {"widen": -1}, {"shard_mb": 9999}]
)
def test_configs_that_cannot_be(wrong):
    with pytest.raises(UsageError, match="expected"):
        ExportConfig(**wrong)


def test_frames_that_are_missing_fail_the_export(root):
    video = root.video_path("v-00000001")
    key = "tracks/v-00000001.parquet"
    faces = read_faces(root.files.local(key)).to_pylist()
    import pyarrow as pa

    faces.append({**faces[-1], "frame_idx": 99})
    write_faces(root.files.local(key), pa.Table.from_pylist(faces, schema=schema.faces()))
    outcome = run_stage(root, "v-00000001", "export", ExportConfig(size=32))
    assert outcome.status == "failed"
    assert "found frames for 90" in outcome.error
    assert video.exists()
    assert not root.files.exists("crops/v-00000001")


WORK = """
import sys
from rmset.pipeline import run_stage
from rmset.stages.export import ExportConfig
from rmset.root import Root
print("begun", flush=True)
outcome = run_stage(Root(sys.argv[1]), "v-00000001", "export", ExportConfig(size=96))
assert outcome.status in ("done", "already done"), outcome.error
"""


def _killed(root, times, seed):
    """Kill exports at random moments; each resumed export must equal an undisturbed one."""

    def start():
        return subprocess.Popen([sys.executable, "-c", WORK, str(root.path)], stdout=subprocess.PIPE)

    began = time.monotonic()
    with start() as whole:
        whole.stdout.readline()
        ready = time.monotonic() - began
        assert whole.wait() == 0
    length = time.monotonic() - began - ready
    expected, rng = files_of(root), random.Random(seed)
    killed = 0
    for _ in range(times):
        root.files.remove("crops")
        root.files.remove("state/export")
        with start() as work:
            work.stdout.readline()
            time.sleep(rng.uniform(0, length))
            work.kill()
            killed += work.wait() != 0
        # A file under its final name is complete after every kill.
        present = {k: v for k, v in files_of(root).items() if ".partial" not in k}
        assert all(expected[key] == data for key, data in present.items())
        with start() as again:
            assert again.wait() == 0
        assert files_of(root) == expected
        assert list(verify(root)) == []
    return killed


def test_a_killed_export_is_resumed_to_the_same_bytes(root):
    _killed(root, 2, seed=1)


@pytest.mark.slow
def test_thirty_killed_exports(tmp_path):
    root = video_root(tmp_path / "root", frames=150)
    assert _killed(root, 30, seed=os.getpid()) > 15
