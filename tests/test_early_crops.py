"""Crops cut while a video is tracked: the export has the same bytes as one that decodes the video again."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmset.files import sha256_of
from rmset.parts import early as early_module
from rmset.parts.cropping import Bounds
from rmset.parts.detect import Detections
from rmset.parts.early import CutConfig, EarlyCrops, cut_out
from rmset.parts.plane_crops import ColorFrame
from rmset.parts.tracks import Sightings, bridge
from rmset.pipeline import run_stage, run_stages
from rmset.root import Root
from rmset.stages import export
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig

ONLY_CROPS = "crops/*/*.parquet"


@pytest.fixture
def root(laid_out_root, tmp_path):
    shutil.copytree(laid_out_root.path, tmp_path / "root")
    return Root(tmp_path / "root")


def shards(root):
    return {key: sha256_of(root.files.local(key)) for key in root.files.keys(ONLY_CROPS)}


@pytest.fixture
def decodes(monkeypatch):
    """Videos that the export decodes."""
    seen = []
    reader_of = export.reader_of
    monkeypatch.setattr(export, "reader_of", lambda root, video: seen.append(video) or reader_of(root, video))
    return seen


@pytest.mark.parametrize(
    ("tracked", "exported"),
    [
        (TrackConfig(), ExportConfig(size=64)),
        (TrackConfig(stride=2), ExportConfig(size=48, stride=4, format="png")),
        (TrackConfig(), ExportConfig(size=64, min_size=60, min_score=0.9, quality=80)),
    ],
)
def test_one_decode_gives_the_bytes_of_two(root, tmp_path, decodes, tracked, exported):
    (video,) = root.video_ids()
    apart = Root(tmp_path / "apart")
    shutil.copytree(root.path, apart.path)
    for step in (("track", tracked), ("export", exported)):
        assert run_stage(apart, video, *step).status == "done"
    assert decodes == [video]
    outcomes = run_stages(root, video, [("track", tracked), ("export", exported)])
    assert [o.status for o in outcomes] == ["done", "done"]
    assert decodes == [video], "the second export does not decode"
    assert shards(root) == shards(apart) != {}
    assert outcomes[1].counts == apart.stage_record("export", video).counts
    names = [{p.name for p in place.path.iterdir()} for place in (root, apart)]
    assert names[0] == names[1]


def test_crops_of_other_tracks_settings_or_sources_are_not_used(root, decodes):
    (video,) = root.video_ids()
    config = ExportConfig(size=64)
    early = EarlyCrops(config.cut, root.path)
    assert run_stage(root, video, "track", TrackConfig(), early=early).status == "done"
    sha256 = root.record(video).sha256
    assert early.of(sha256, config.cut) is not None
    assert early.of(sha256, replace(config, size=65).cut) is None
    assert early.of("0" * 64, config.cut) is None
    # Another command moves a panel between the two stages.
    layout = root.layout(video)
    (segment,) = layout.segments
    person = segment.people[0]
    x0, y0, x1, y1 = person.panel
    moved = replace(person, panel=(x0 + 2, y0, x1, y1))
    people = (moved, *segment.people[1:])
    root.write_layout(replace(layout, segments=(replace(segment, people=people),)))
    assert run_stage(root, video, "export", config, early=early).status == "done"
    assert decodes == [video]
    early.close()


def test_a_full_disk_costs_only_a_second_decode(root, decodes, monkeypatch):
    (video,) = root.video_ids()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(early_module.Spool, "add", full)
    outcomes = run_stages(root, video, [("track", TrackConfig()), ("export", ExportConfig(size=64))])
    assert [o.status for o in outcomes] == ["done", "done"]
    assert decodes == [video]


class Still:
    """A frame without planes."""

    stored_planes = None

    def __init__(self, number):
        self.frame_idx, self.time_ms = number, 40.0 * number
        self.rgb = np.random.default_rng(number).integers(0, 255, (64, 96, 3), dtype=np.uint8)


def one(spool, frame, box, bounds):
    return spool.rows(np.array([frame], np.int32), np.array([box], np.float32), [bounds], np.zeros(1, np.int64))


@settings(max_examples=30, deadline=None)
@given(
    seen=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30),
    stride=st.integers(1, 3),
    every=st.integers(1, 2),
    longest=st.integers(0, 6),
    segment=st.integers(0, 30),
    low=st.sampled_from([0.0, 20.0]),
)
def test_every_row_of_a_track_has_its_crop(tmp_path_factory, seen, stride, every, longest, segment, low):
    folder = tmp_path_factory.mktemp("spool")
    config = CutConfig(16, 0.31, "png", 95, stride=every, min_size=low)
    bounds = Bounds({(0, 0): (0.0, 0.0, 48.0, 64.0), (1, 0): None, (0, 1): (48.0, 0.0, 96.0, 64.0)}, (0, 0, 96, 64))
    early = EarlyCrops(config, folder)
    early.begin("sha", bounds, stride=stride, longest=longest)
    sightings = Sightings()
    frames = {}
    rng = np.random.default_rng(len(seen))
    for number, present in enumerate(seen):
        frame = frames.setdefault(number * stride, Still(number * stride))
        before = len(sightings)
        for person in np.flatnonzero(present).tolist():
            # Now and then outside the panel.
            x, y, side = rng.uniform(-30, 90), rng.uniform(0, 40), rng.uniform(8, 30)
            box = np.array([[x, y, x + side, y + side]], np.float32)
            found = Detections(box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
            sightings.add(person, int(number >= segment), frame.frame_idx, frame.time_ms, found, 0, 1.0)
        early.see(frame, sightings.since(before))
    early.end()
    spool = early.of("sha", config)
    for table in bridge(sightings, "v", stride=stride, longest=longest, part_gap=60):
        for row in table.to_pylist():
            if row["frame_idx"] % every or np.float32(row["y1"]) - np.float32(row["y0"]) < low:
                continue
            box = tuple(row[n] for n in ("x0", "y0", "x1", "y1"))
            inside = bounds.of(row["segment"], row["person_id"])
            (at,) = one(spool, row["frame_idx"], box, inside)
            frame = frames[row["frame_idx"]]
            assert spool.read(int(at)) == (frame.time_ms, cut_out(ColorFrame(frame.rgb), box, inside, config))
    assert one(spool, 1000, (0, 0, 0, 0), bounds.frame) is None
    early.close()
    assert list(folder.iterdir()) == []
